"""safetensors headers that promise what the bytes do not hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft


class SafetensorsHeader:
    """Report safetensors files the reference reader would refuse.

    What: tensors overlap, leave gaps, lie outside the file or contradict their shape; keys repeat; the header is too
    large or no JSON; bytes follow the last tensor.
    Why: less strict readers load such files with memory that is not theirs, or with other tensors than a checker saw;
    surplus bytes make the file a second thing at once (a polyglot).
    Fix: do not load it; save the tensors anew with the reference library.
    """

    card: ClassVar[Card] = Card(
        title="Malformed safetensors file",
        summary="Header and bytes of a safetensors file contradict each other.",
        paper="CWE-1284; CWE-125; safetensors format description",
        threats=("CWE-1284", "CWE-125", "AML.T0010"),
        severity="medium",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each contradiction."""
        if artifact.format != "safetensors":
            return
        for problem in artifact.problems:
            if problem.kind != "limit":
                yield Draft(
                    message=f"not a well-formed safetensors file: {problem.message}",
                    fix="do not load it; save the tensors anew with the reference library",
                    place=problem.place,
                )
