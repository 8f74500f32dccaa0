"""Compiled engines whose content no reader can judge: recognised and said aloud."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Problem, Reference

_BEGINNINGS = {b"ptrt": "TensorRT engine", b"binf": "XGBoost model in the binary format of releases before 3.1"}
_ENDINGS = {
    ".plan": "TensorRT engine",
    ".engine": "TensorRT engine",
    ".trt": "TensorRT engine",
    ".rknn": "RKNN model",
    ".mlmodelc": "compiled Core ML model",
    ".dlc": "Qualcomm DLC model",
    ".hef": "Hailo model",
}


class OpaqueEngine:
    """Name files that hold machine code for an accelerator."""

    card: ClassVar[Card] = Card(
        title="Compiled engine, not read",
        summary="TensorRT plans and other compiled engines are named as not looked at.",
        suffixes=(".plan", ".engine", ".trt", ".rknn", ".hef", ".dlc"),
        begins=("ptrt", "binf"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept binary files by the first bytes or the ending."""
        named = any(blob.name.endswith(ending) for ending in _ENDINGS) and b"\x00" in blob.head
        return named or blob.head.startswith(tuple(_BEGINNINGS))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """State what it is and that it was not read."""
        by_bytes = next((title for magic, title in _BEGINNINGS.items() if blob.head.startswith(magic)), "")
        by_name = next((title for ending, title in _ENDINGS.items() if blob.name.endswith(ending)), "compiled engine")
        title = by_bytes or by_name
        problem = Problem(
            kind="limit", message=f"a {title}: compiled code that cannot be read; its content was not judged"
        )
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="opaque_engine",
            size=blob.size,
            references=(Reference(kind="compiled-engine", value=title),),
            problems=(problem,),
        )
