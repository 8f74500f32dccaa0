"""What is known of a name that a keras file asks for: part of a network, somebody's own, or a thing that acts."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from hauberk.scanning.allowlist import standing

KerasStanding: TypeAlias = Literal["part", "own", "project", "unknown", "code", "pickle", "acts"]
"""part: of a network, inert. own: registered by its user, nothing is imported. project: of a module that is imported.
unknown: of keras or its kin, and no known part. code, pickle: runs what the file carries. acts: runs, loads or fetches.
"""
_ROOTS = re.compile(
    r"(?:keras\._tf_keras\.keras|keras\.api(?:\._v\d)?(?:\.keras)?|tensorflow\.python\.keras(?:\.api\._v\d\.keras)?"
    r"|tensorflow\.keras|tf\.keras|tf_keras|keras|keras_core|keras_hub|keras_nlp|keras_cv|keras_tuner)(?=\.|$)"
)
_FAMILIES = frozenset(
    """layers initializers activations regularizers constraints optimizers losses metrics models dtype_policies
    quantizers random engine feature_column mixed_precision applications tokenizers samplers bounding_box
    modeling keras_core kpl legacy_tf_layers layers_v1 policies optimizer_v1 optimizer_v2
    optimizer_experimental""".split()  # noqa: SIM905
)
_TOPS = frozenset(
    """Model Sequential Functional Layer Input InputLayer KerasTensor Variable DTypePolicy FloatDTypePolicy Loss
    Metric Optimizer Regularizer Initializer Quantizer Function Operation InputSpec SeedGenerator
    StatelessScope""".split()  # noqa: SIM905
)
_BACKENDS = frozenset({"torch", "jax", "tensorflow", "numpy", "openvino", "common"})
_OF_BACKENDS = re.compile(r"optimizers?|core|variables|keras_tensor")
"""Modules of a backend whose classes stand in the place of keras' own ("backend.torch.optimizers.torch_adam")."""
_CODE = frozenset({"Lambda"})
_PICKLE = frozenset({"TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "FunctionLayer"})
_ACTING = re.compile(
    r"(?:de)?serialize.*|get|.*load.*|.*save.*|model_from_\w+|clone_model|get_file|.*open.*|.*exec.*|.*eval.*|import_\w+"
    r"|map|scan|associative_scan|cond|switch|while_loop|fori_loop|vectorized_map|custom_gradient|.*pickle.*|.*lambda.*"
    r"|enable_unsafe.*|set_.*|.*file.*|.*path.*|from_config|func_\w+|.*download.*|register_\w+|.*run.*|plot_.*",
    re.IGNORECASE,
)

_TENSORFLOW_ACTING = re.compile(
    r"(?:^|\.)(?:io|gfile|saved_model|train|summary|data|experimental|autograph|config|distribute|debugging|profiler"
    r"|load_library|load_op_library|py_function|numpy_function|py_func|eager_py_func|sysconfig|test|tools|platform)(?:\.|$)"
    r"|(?:^|[._])(?:\w*PyFunc\w*|\w*File\w*|\w*Dataset\w*|Save\w*|Restore\w*|LoadLibrary|ShellExecute|PrintV2"
    r"|RemoteCall|MergeV2\w*|SymbolicGradient|\w*Debug\w*)$"
)


def keras_standing(module: str, name: str, verb: str) -> KerasStanding:
    """Judge one name that a configuration asks for. verb: "class", "function" or "registered"."""
    last = name.rpartition(">")[2]
    if last in _CODE:
        return "code"
    if last in _PICKLE:
        return "pickle"
    if not module or module == "builtins":
        return _bare(name, verb)
    root = _ROOTS.match(module)
    if root is None and module.partition(".")[0] in ("tensorflow", "tf"):
        return _tensorflow(module, name)
    if root is None:
        return _elsewhere(module, last, verb)
    steps = [step for step in module[root.end() :].split(".") if step not in ("", "src", "api")]
    if "." in name and ">" not in name:
        return "acts"
    if not steps:
        return "part" if name in _TOPS else _by_case(name)
    if steps[0] == "ops":
        return "acts" if _ACTING.fullmatch(name) else "part"
    if _is_of_a_backend(steps):
        return "part" if name[:1].isupper() and name.isidentifier() else "acts"
    if steps[0] not in _FAMILIES and "layers" not in steps and "models" not in steps:
        return "unknown" if name[:1].isupper() and steps[0] not in ("utils", "saving", "config", "export") else "acts"
    return _by_case(name)


def _is_of_a_backend(steps: list[str]) -> bool:
    return len(steps) > 2 and steps[0] == "backend" and steps[1] in _BACKENDS and bool(_OF_BACKENDS.fullmatch(steps[2]))


def _tensorflow(module: str, name: str) -> KerasStanding:
    """Judge a function of TensorFlow itself: those that compute are many, those that act are in a few places."""
    dotted = f"{module}.{name}".removeprefix("tensorflow.").removeprefix("python.")
    return "acts" if _TENSORFLOW_ACTING.search(dotted) else "part"


def _by_case(name: str) -> KerasStanding:
    """Part classes, which are made, from functions, which are called: those that act have telling names."""
    if not name.isidentifier():
        return "unknown"
    if name[:1].isupper():
        return "part"
    return "acts" if _ACTING.fullmatch(name) else "part"


def _bare(name: str, verb: str) -> KerasStanding:
    """Judge a name without a module: looked up among what its user registered, and among keras' own parts."""
    if name in _parts():
        return "part"
    if "." in name and ">" not in name:
        return "acts" if standing(name) in ("dangerous", "foreign") else "unknown"
    if standing(f"builtins.{name}") == "dangerous" or name in ("exec", "eval", "__import__", "system", "popen"):
        return "acts"
    if verb == "function":
        return "acts" if _ACTING.fullmatch(name) and name not in ("get",) else "own"
    return "own"


@cache
def _parts() -> frozenset[str]:
    """Read the names of keras' own parts, for files that give no module."""
    path = Path(__file__).parent / "allowlists" / "keras_parts.txt"
    return frozenset(path.read_text(encoding="utf-8").split("\n")[1:]) - {""}


def _elsewhere(module: str, name: str, verb: str) -> KerasStanding:
    known = standing(f"{module}.{name}")
    if known in ("dangerous", "foreign"):
        return "acts"
    top = module.partition(".")[0]
    if top == "__main__" or verb == "registered":
        return "own"
    return "part" if known == "inert" else "project"
