"""Conda's names of packages as the Python index calls them, and conda's way of writing a dependency."""

from __future__ import annotations

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from hauberk.scanning.artifact import NOWHERE, Place, Requirement
from hauberk.scanning.requirement_lines import pin_of

_PYTHON = {
    "pytorch": "torch", "pytorch-cpu": "torch", "pytorch-gpu": "torch", "libtorch": "torch", "torchtriton": "triton",
    "matplotlib-base": "matplotlib", "py-opencv": "opencv-python", "opencv": "opencv-python", "py-xgboost": "xgboost",
    "py-xgboost-gpu": "xgboost", "py-xgboost-cpu": "xgboost", "dask-core": "dask", "huggingface_hub": "huggingface-hub",
    "python-flatbuffers": "flatbuffers", "msgpack-python": "msgpack", "tensorflow-base": "tensorflow",
    "onnxruntime-cpp": "onnxruntime", "ray-default": "ray", "ray-core": "ray", "ray-serve": "ray", "ray-tune": "ray",
    "mlflow-skinny": "mlflow-skinny", "jupyter_server": "jupyter-server", "brotlipy": "brotlipy",
}  # fmt: skip
"""Where the names differ. "torchtriton" is PyTorch's own on conda and was the attacker's on the Python index."""
_NATIVES = """
python pip setuptools cudatoolkit cudnn cuda nccl mkl blas openblas openssl libgcc-ng libstdcxx-ng ffmpeg r-base gcc
gxx cmake make git zlib sqlite ca-certificates nodejs
"""
_NATIVE = frozenset(_NATIVES.split())
_SPEC = re.compile(r"\s*(?:[\w./:-]+::)?([A-Za-z0-9_.-]+)\s*(?:\[[^\]]*\])?\s*(.*)$")


def python_name(name: str) -> str:
    """Return a package's name on the Python index; what is no Python package keeps a name none there can have."""
    low = name.lower()
    if low in _NATIVE or low.startswith(("lib", "_", "cuda-", "xorg-", "r-")):
        return f"conda:{low}"
    return canonicalize_name(_PYTHON.get(low, low))


def conda_requirement(text: str, place: Place = NOWHERE) -> Requirement | None:
    """Read "channel::name=1.2=build", "name ==1.2", "name>=1,<2" or "name 1.2.*"; None where it is not one."""
    found = _SPEC.match(text)
    if found is None:
        return None
    rest = found[2].split("#")[0].strip()
    written = _specifier(rest)
    try:
        parsed = SpecifierSet(written)
    except InvalidSpecifier:
        return Requirement(name=python_name(found[1]), specifier=rest, version=None, place=place)
    return Requirement(name=python_name(found[1]), specifier=str(parsed), version=pin_of(parsed), place=place)


def _specifier(rest: str) -> str:
    """Turn conda's specifier into PEP 440: one equals sign is a prefix, a third field is the build."""
    if not rest:
        return ""
    if rest.startswith("=") and not rest.startswith("=="):
        version, _, build = rest[1:].strip().partition("=")
        return f"=={version}" if build or version.endswith("*") else f"=={version}.*"
    first = rest.split()[0] if " " in rest and rest[0].isdigit() else rest
    if first[0].isdigit():
        return f"=={first.partition('=')[0]}"
    if first.startswith("==") and "=" in first[2:]:
        return f"=={first[2:].partition('=')[0]}"
    return rest
