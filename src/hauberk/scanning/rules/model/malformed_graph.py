"""Graph and tree model files that break off or contradict themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_TITLES = {
    "tensorflow_graph": "TensorFlow graph",
    "tensorflow_text": "TensorFlow graph as text",
    "tensorflow_checkpoint": "TensorFlow checkpoint index",
    "tflite_model": "TensorFlow Lite model",
    "executorch_program": "ExecuTorch program",
    "exported_program": "exported program",
    "ort_model": "ONNX Runtime model",
    "coreml_model": "Core ML model",
    "openvino_model": "OpenVINO model",
    "pmml_model": "PMML model",
    "xgboost_model": "XGBoost model",
    "lightgbm_model": "LightGBM model",
    "catboost_model": "CatBoost model",
    "ggml_legacy": "GGML model",
    "sentencepiece_model": "SentencePiece model",
    "paddle_program": "PaddlePaddle program",
    "paddle_params": "PaddlePaddle parameter file",
    "mxnet_params": "MXNet parameter file",
    "mxnet_symbol": "MXNet symbol",
    "caffe_weights": "Caffe model",
    "darknet_weights": "Darknet weight file",
    "arrow_table": "Arrow table",
}


class MalformedGraph:
    """Report graph and tree model files that are broken.

    What: an offset, length or count that the bytes contradict, a part that is missing, or a tree whose children are no
    nodes of it.
    Why: native loaders trust these numbers: such files have turned into reads and writes outside memory. A file that
    breaks off may also be one that shows a scanner less than a loader.
    Bad: a tree of 3 nodes whose left child is node 1000000. Good: what the framework's own writer makes.
    Fix: fetch or export the file anew.
    """

    card: ClassVar[Card] = Card(
        title="Malformed graph file",
        summary="A graph or tree model contradicts its own numbers or breaks off.",
        paper="CWE-1284; CWE-125; CWE-20; OWASP ML06:2023",
        threats=("CWE-1284", "CWE-125", "OWASP-ML06", "OWASP-LLM03", "AML.T0010"),
        severity="medium",
        reads=("problems",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each problem."""
        title = _TITLES.get(artifact.format)
        for problem in artifact.problems if title else ():
            if problem.kind in ("limit", "encrypted"):
                continue
            severity: Severity = "low" if problem.kind == "mismatch" else "medium"
            yield Draft(
                message=f"not a well-formed {title}: {problem.message}",
                fix="fetch or export the file anew",
                severity=severity,
                place=problem.place,
            )
