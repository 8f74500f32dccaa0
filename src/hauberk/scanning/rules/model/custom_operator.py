"""Operators that need code from outside the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Operator
from hauberk.scanning.operators import known, reaching

_PYTHON = frozenset({"PyOp", "PythonOp", "PyFunc", "PyFuncStateless", "EagerPyFunc", "NumpyFunc", "PyCustomOp"})
_TRAINING = frozenset({"ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"})
_RUNTIME = frozenset({"com.microsoft", "com.microsoft.nchwc", "com.microsoft.dml", "com.ms.internal.nhwc"})
_TFLITE = frozenset(
    {
        "TFLite_Detection_PostProcess", "Convolution2DTransposeBias", "MaxPoolingWithArgmax2D", "MaxUnpooling2D",
        "TransformLandmarks", "TransformTensorBilinear", "Landmarks2TransformMatrix", "AudioSpectrogram", "Mfcc",
        "AudioMicrofrontend", "SIGNAL_RFFT", "SIGNAL_FFT_AUTO_SCALE", "SIGNAL_FILTER_BANK", "SIGNAL_FRAMER",
        "SIGNAL_WINDOW", "SIGNAL_PCAN", "SIGNAL_DELAY", "SIGNAL_STACKER", "SIGNAL_OVERLAP_ADD", "SIGNAL_ENERGY",
        "SIGNAL_FILTER_BANK_LOG", "SIGNAL_FILTER_BANK_SQUARE_ROOT", "SIGNAL_FILTER_BANK_SPECTRAL_SUBTRACTION",
        "SIGNAL_IRFFT", "NumericVerify", "edgetpu-custom-op", "ethos-u", "PADV2", "aeq.hadamard_rotation",
        "odml.update_kv_cache", "odml.scaled_dot_product_attention", "odml.rms_norm", "DISPATCH_OP",
    }
)  # fmt: skip
"""Custom operators that TensorFlow Lite, its micro runtime, MediaPipe and common accelerators register themselves."""
_EXECUTORCH = frozenset(
    {
        "aten",
        "prims",
        "executorch_prim",
        "dim_order_ops",
        "quantized_decomposed",
        "llama",
        "et_vk",
        "torchao",
        "cadence",
        "cortex_m",
    }
)
_EXPORT = (
    "aten",
    "prims",
    "higher_order",
    "quantized_decomposed",
    "quantized",
    "torchvision",
    "torchao",
    "_c10d_functional",
    "inductor",
    "prim",
    "_quantized",
    "onednn",
    "mkldnn",
    "xnnpack",
    "profiler",
    "export",
    "triton_kernel",
)
_REACHING = frozenset({"from_file", "load_library", "load", "save", "_save", "system", "py_func"})

Verdict = tuple[Severity, str] | None


class CustomOperator:
    """Report operators that need code from outside the model.

    What: a node uses an operator of neither the standard nor the runtime, and the model does not define it (medium); or
    it calls Python, reaches files or is a function that is no operator at all (high). A model's own function that
    takes a standard operator's name is reported too (medium).
    Why: such an operator only runs with a native library registered by the application: whoever supplies the library
    runs code. A function under a standard name makes two readers run two models.
    Bad: `evil.ops::Backdoor`; a target `os.system` in an exported program. Good: `ai.onnx::Relu`, `FlexErf`.
    Fix: know where the library comes from and pin it, or export the model with standard operators.
    """

    card: ClassVar[Card] = Card(
        title="Custom operator",
        summary="The graph needs operators from a library outside the model.",
        paper="CWE-829; OWASP ML06:2023, LLM03:2025; ONNX operator specification; TensorFlow Lite custom operators",
        threats=("CWE-829", "OWASP-ML06", "OWASP-LLM03", "AML.T0010"),
        severity="medium",
        reads=("operators", "references"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each such operator."""
        judge = _JUDGES.get(artifact.format)
        for operator in artifact.operators if judge else ():
            verdict = judge(operator) if judge else None
            if verdict:
                severity, words = verdict
                name = f"{operator.domain}::{operator.type}" if operator.domain else operator.type
                yield Draft(
                    message=f"needs the operator {name[:200]} ({operator.count} times){words}",
                    fix="know where its library comes from and pin it, or export with standard operators",
                    severity=severity,
                    confidence="high" if severity == "high" else "medium",
                )
        for fact in artifact.references:
            if fact.kind == "redefined-operator":
                yield Draft(
                    message=f"defines a function by the name of the standard operator {fact.value[:200]}",
                    fix="export it anew; readers differ on which of the two runs",
                    confidence="medium",
                )


def _onnx(operator: Operator) -> Verdict:
    if operator.type in _PYTHON:
        return "high", ", which calls Python"
    domain = "" if operator.domain == "ai.onnx" else operator.domain
    if known("onnx", f"{domain}::{operator.type}") or domain in _TRAINING or domain in _RUNTIME:
        return None
    return "medium", ", which the standard does not define"


def _tflite(operator: Operator) -> Verdict:
    if operator.domain == "tflite.custom":
        return None if operator.type in _TFLITE else ("medium", ", a custom operator")
    if operator.domain != "tensorflow":
        return None
    group = reaching(operator.type)
    if group:
        grave = group.severity in ("critical", "high") or group.words.startswith("reads")
        return ("high" if grave else "medium"), f", which {group.words}"  # no input pipeline belongs into these files
    return None if known("tensorflow", operator.type) else ("medium", ", which TensorFlow does not define")


def _executorch(operator: Operator) -> Verdict:
    if operator.type.partition(".")[0] in _REACHING:
        return "high", ", which reaches files or code"
    return None if operator.domain in _EXECUTORCH else ("medium", ", of a library outside ExecuTorch")


def _export(operator: Operator) -> Verdict:
    name = operator.type
    parts = name.split(".")
    if any(part in _REACHING or part.startswith("__") for part in parts):
        return "high", ", which reaches files or code"
    if name.startswith("torch.ops."):
        return None if parts[2:3] and parts[2] in _EXPORT else ("medium", ", of a library outside torch")
    if name.startswith("_operator.") and len(parts) == 2:
        return None
    if (
        name.startswith(("torch.sym_", "torch._sym_", "math.", "torch.autograd.", "torch._C._set_grad"))
        and len(parts) <= 5
    ):
        return None
    if name.startswith("#") or (name.isidentifier() and not name.startswith("_")):
        return None
    return "high", ", which is no operator"


def _openvino(operator: Operator) -> Verdict:
    version = operator.domain.removeprefix("openvino").lstrip(".")
    if version.removeprefix("opset").isdigit() or version in (
        "",
        "experimental",
        "util",
        "ie_internal_opset",
        "internal",
        "ov_gpu",
    ):
        return None
    return "medium", ", of an extension library"


def _coreml(operator: Operator) -> Verdict:
    if operator.domain == "coreml.custom":
        return "medium", ", a class the application must supply"
    return None


_BUILT_IN = frozenset({"+", "-", "*", "/"})
_EVALUATING = frozenset({"eval", "exec", "system", "script", "javascript", "groovy", "python"})


def _pmml(operator: Operator) -> Verdict:
    name = operator.type
    if name in _BUILT_IN or name.startswith("x-") or (name.isidentifier() and name.lower() not in _EVALUATING):
        return None
    return "high", ", which names a class of the host program"


def _paddle(operator: Operator) -> Verdict:
    if operator.type in ("py_func", "py_layer", "pylayer", "custom_py_func"):
        return "high", ", which calls Python"
    if operator.type in ("save", "load", "save_combine", "load_combine", "sparse_tensor_load", "read_file"):
        return "medium", ", which reads or writes files"
    return None


def _mxnet(operator: Operator) -> Verdict:
    if operator.type in ("_Native", "_NDArray"):
        return "high", ", which calls an address that stands in the file"
    if operator.type in ("Custom", "_CustomFunction", "CustomSubgraph", "_custom_subgraph_op"):
        return "medium", ", a Python class the application must supply"
    return None


def _caffe(operator: Operator) -> Verdict:
    return ("high", ", a Python layer: its module is imported and run") if operator.type == "Python" else None


_JUDGES: dict[str, Callable[[Operator], Verdict]] = {
    "onnx_graph": _onnx,
    "ort_model": _onnx,
    "tflite_model": _tflite,
    "executorch_program": _executorch,
    "exported_program": _export,
    "openvino_model": _openvino,
    "coreml_model": _coreml,
    "pmml_model": _pmml,
    "paddle_program": _paddle,
    "mxnet_symbol": _mxnet,
    "caffe_text": _caffe,
    "caffe_weights": _caffe,
}
