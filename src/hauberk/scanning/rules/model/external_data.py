"""ONNX tensors whose data lies in other files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Reference

_ROOTED = re.compile(r"[/\\]|[A-Za-z]:|~")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


class ExternalData:
    """Report external tensor data that is not a plain file next to the model.

    What: the location climbs with "..", is absolute, names a drive or an address, or holds a NUL.
    Why: loading the model reads that file into a tensor, from where its content can be read back: keys, tokens,
    other people's data. Three fixes of this in ONNX itself were incomplete, so the path is judged as written.
    Fix: save the model with its data in one file, or beside it under a plain name.
    """

    card: ClassVar[Card] = Card(
        title="External data leads out of the model's folder",
        summary="An ONNX tensor is read from a file outside the model's folder.",
        paper="CWE-22; CVE-2022-25882; CVE-2024-27318; CVE-2026-27489",
        threats=("CWE-22", "AML.T0010", "CVE-2022-25882", "CVE-2024-27318"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each location that leads out."""
        told: set[str] = set()
        for fact in artifact.references:
            why = _why(fact)
            if why and fact.value not in told:
                told.add(fact.value)
                yield Draft(
                    message=f"tensor data is read from {fact.value[:200]!r}, which {why}",
                    fix="do not load it; save the model with its data inside or beside it under a plain name",
                    place=fact.place,
                )


def _why(fact: Reference) -> str:
    if fact.kind != "external-data":
        return ""
    value = fact.value
    if "\x00" in value or r"\x00" in value:
        return "holds a NUL"
    if _ADDRESS.match(value):
        return "is an address"
    if _ROOTED.match(value):
        return "is absolute"
    return "climbs out of the folder" if ".." in re.split(r"[/\\]", value) else ""
