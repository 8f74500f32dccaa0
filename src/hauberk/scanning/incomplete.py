"""Which faults of a file mean that not all of it was read: what a loader takes of it may be more than what was seen."""

from __future__ import annotations

from hauberk.scanning.artifact import Artifact

_WHOLE = frozenset(
    {
        "pickle_stream", "numpy_array", "compressed", "zip_archive", "tar_archive", "seven_zip", "hdf5_file",
        "claimed_model", "safetensors", "gguf", "ggml_legacy", "onnx_graph", "onnx_tensor", "ort_model",
        "tensorflow_graph", "tensorflow_text", "tensorflow_checkpoint", "tflite_model", "executorch_program",
        "exported_program", "coreml_model", "openvino_model", "pmml_model", "xgboost_model", "lightgbm_model",
        "catboost_model", "sentencepiece_model", "paddle_program", "paddle_params", "mxnet_params", "mxnet_symbol",
        "caffe_text", "caffe_weights", "darknet_weights", "arrow_table", "skops_schema", "json_settings",
        "yaml_settings", "notebook",
    }
)  # fmt: skip
"""Formats that are read whole or not at all. Of requirements and the like only a line is lost, which a rule tells."""
_POINTER = "Git LFS"
"""A pointer was read whole; the file it stands for is not in the folder."""


def unread(artifact: Artifact) -> str:
    """Say why an artifact may hold more than was read; empty where it does not.

    A file that breaks off or contradicts itself is judged by what stands before the break: some loader goes on.
    """
    if artifact.format not in _WHOLE:
        return ""
    faults = [one.message for one in artifact.problems if one.kind in ("malformed", "truncated")]
    faults = [message for message in faults if _POINTER not in message]
    if not faults:
        return ""
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"not known to be read whole: {faults[0]}{more}"
