"""An onnxruntime session, its telemetry off: one input, one output of scores, and whatever batch the graph takes."""

from __future__ import annotations

import os

# Since 1.29 the wheel collects usage data and writes a device id unless this is set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from hauberk.core.errors import ProjectError

TYPES: dict[str, type[np.floating]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}
SCORES = ("probabilities", "logits", "scores", "output_probability")
"""Output names that are scores where a graph has several outputs."""

onnxruntime.disable_telemetry_events()


class Session(NamedTuple):
    """A loaded graph. shape: of one input, () where the graph leaves it open. batch: inputs at once, None for any."""

    run_session: onnxruntime.InferenceSession
    input: str
    output: str
    shape: tuple[int, ...]
    batch: int | None
    kind: type[np.floating]

    def run(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Score x (n, *shape); a graph of fixed batch is fed whole batches, the last one filled up."""
        fed = x.astype(self.kind)
        if self.batch is None:
            return self._scores(fed)
        rows = []
        for start in range(0, len(fed), self.batch):
            part = fed[start : start + self.batch]
            filled = np.concatenate([part, np.repeat(part[-1:], self.batch - len(part), axis=0)])
            rows.append(self._scores(filled)[: len(part)])
        return np.concatenate(rows)

    def _scores(self, x: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        answer = self.run_session.run([self.output], {self.input: x})[0]
        return np.asarray(answer, dtype=np.float32)


def open_session(path: Path) -> Session:
    """Load a graph; raises ProjectError where it cannot be loaded or is no classifier of one input."""
    if not path.is_file():
        raise ProjectError("no such file", where=f"model.source = {path.name}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has its own error classes without a public base
        reason = str(error).splitlines()[0][:200]
        raise ProjectError(f"onnxruntime cannot load it: {reason}", where=path.name, fix="export it again") from error
    fed = session.get_inputs()
    if len(fed) != 1:
        names = ", ".join(value.name for value in fed)
        raise ProjectError(f"the graph has {len(fed)} inputs ({names})", where=path.name, fix="export one of one input")
    if fed[0].type not in TYPES:
        raise ProjectError(f"its input is {fed[0].type}", where=path.name, fix="export it with floating-point inputs")
    shape = tuple(length if isinstance(length, int) else 0 for length in fed[0].shape)
    return Session(
        session,
        fed[0].name,
        _output(session, path),
        shape[1:] if shape and all(shape[1:]) else (),
        shape[0] if shape and shape[0] > 0 else None,
        TYPES[fed[0].type],
    )


def graph_of(path: Path) -> onnx.ModelProto:
    """Read the graph with the weights that lie beside it; raises ProjectError where they leave its folder."""
    try:
        return onnx.load(str(path))
    except Exception as error:  # the checker's and protobuf's errors have no common base
        raise ProjectError(f"cannot be read: {str(error)[:200]}", where=path.name) from error


def _output(session: onnxruntime.InferenceSession, path: Path) -> str:
    """Choose the output of scores: the one that is called so, else the first floating-point tensor."""
    outputs = session.get_outputs()
    tensors = [value for value in outputs if value.type in TYPES]
    named = [value for value in tensors if value.name in SCORES]
    if not tensors:
        kinds = ", ".join(f"{value.name}: {value.type}" for value in outputs)
        raise ProjectError(
            f"none of its outputs is a tensor of scores ({kinds})",
            where=path.name,
            fix='export probabilities as a tensor (skl2onnx: options={"zipmap": False})',
        )
    name: str = (named or tensors)[0].name
    return name
