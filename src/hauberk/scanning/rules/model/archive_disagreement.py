"""Archives that mean different things to different readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_ARCHIVES = ("zip_archive", "tar_archive", "compressed")


class ArchiveDisagreement:
    """Report archives whose records contradict each other or the bytes.

    What: local and central records of a zip differ, names repeat, members overlap or are unlisted, flags claim an
    encryption that is not there, checksums or lengths are wrong.
    Why: a scanner that follows one record and a loader that follows the other see two different files; this has been
    used to hide pickles from scanners.
    Fix: do not load it; pack the content anew from its source.
    """

    card: ClassVar[Card] = Card(
        title="Archive read differently by different readers",
        summary="Records of the archive contradict each other or its bytes.",
        paper="CWE-436; CVE-2025-1944; CVE-2025-1945; CVE-2025-10156",
        threats=("CWE-436", "AML.T0010", "CVE-2025-1944", "CVE-2025-1945"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each contradiction."""
        if artifact.format not in _ARCHIVES:
            return
        weight: dict[str, Severity] = {
            "disagreement": "high", "malformed": "medium", "truncated": "medium", "mismatch": "medium"
        }  # fmt: skip
        for problem in artifact.problems:
            if problem.kind in weight:
                yield Draft(
                    message=f"the archive contradicts itself: {problem.message}",
                    fix="do not load it; pack its content anew from the source",
                    severity=weight[problem.kind],
                    place=problem.place,
                )
