"""Generate the lists of graph operators the standards define, from the installed onnx, onnxruntime and TensorFlow.

Run by hand after a pin moves: `python tools/make_operator_lists.py onnx`, or `tensorflow` where that is installed.
Names that an earlier version had stay in the list: models outlive releases.
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "src" / "hauberk" / "scanning" / "operators"


def onnx_names() -> set[str]:
    """List "domain::Type" of every operator of the standard and of the runtime, deprecated ones too."""
    from onnx import defs
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    schemas = [*defs.get_all_schemas_with_history(), *runtime.get_all_operator_schema()]
    return {f"{schema.domain}::{schema.name}" for schema in schemas}


def tensorflow_names() -> set[str]:
    """List every operator TensorFlow registers."""
    from tensorflow.core.framework import op_def_pb2  # type: ignore[import-not-found]
    from tensorflow.python.client import pywrap_tf_session  # type: ignore[import-not-found]

    listed = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return {one.name for one in listed.op}


def main() -> None:
    """Write the lists that are named."""
    makers = {"onnx": onnx_names, "tensorflow": tensorflow_names}
    for library in sys.argv[1:] or ["onnx"]:
        path = FOLDER / f"{library}.txt"
        old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        names = makers[library]() | {line for line in old if line and not line.startswith("#")}
        path.write_text("\n".join([f"# operators of {library}", *sorted(names)]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
