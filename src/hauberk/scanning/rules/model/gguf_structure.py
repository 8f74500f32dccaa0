"""GGUF files whose tables promise what the bytes do not hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_MEMORY = ("announces", "beyond", "overflows", "dimensions", "overlaps", "nests arrays")


class GgufStructure:
    """Report GGUF files that a careful reader would refuse.

    What: counts, lengths or offsets beyond the file, shapes that overflow, tensors that overlap (high); bytes that
    belong to nothing, repeated keys, unknown types, tables that break off (medium).
    Why: readers in C multiply these numbers into allocations and addresses: heap overflows and reads of other memory
    were had with just such files (CVE-2024-21802, -21825, -21836, -23496, -23605, CVE-2026-7482).
    Bad: a table of 2⁶¹ tensors in a file of a kilobyte
    Good: what gguf-py and llama.cpp write
    Fix: do not load it; convert the model anew.
    """

    card: ClassVar[Card] = Card(
        title="Malformed GGUF file",
        summary="The tables of a GGUF file contradict its bytes.",
        paper="CWE-1284; CWE-190; CWE-125; CVE-2024-23496; CVE-2026-7482",
        threats=("CWE-1284", "CWE-190", "CWE-125", "AML.T0010", "CVE-2024-23496", "CVE-2026-7482"),
        severity="high",
        reads=("problems",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each contradiction."""
        if artifact.format != "gguf":
            return
        for problem in artifact.problems:
            if problem.kind != "limit":
                grave = any(word in problem.message for word in _MEMORY)
                severity: Severity = "high" if grave else "medium"
                yield Draft(
                    message=f"not a well-formed GGUF file: {problem.message}",
                    fix="do not load it; convert the model anew",
                    severity=severity,
                    place=problem.place,
                )
