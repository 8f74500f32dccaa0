"""Archives that mean different things to different readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_ARCHIVES = ("zip_archive", "tar_archive", "seven_zip", "compressed")
_WEIGHT: dict[str, Severity] = {
    "disagreement": "high", "malformed": "medium", "truncated": "medium", "mismatch": "medium"
}  # fmt: skip


class ArchiveDisagreement:
    """Report archives whose records contradict each other or the bytes.

    What: a zip has two directories, or its local and central records differ; names repeat, or differ only in case;
    members overlap or are unlisted; flags claim an encryption that is not there; a tar has two sizes or names for one
    member, or members after its end (high). Checksums, descriptors or lengths are wrong, bytes belong to no member, or
    the archive breaks off (medium).
    Why: a scanner that follows one record and a loader that follows the other see two different files; this has been
    used to hide pickles from scanners. torch reads offsets from the beginning of the file, ignores checksums and the
    case of names; Python's zipfile does none of that.
    Bad: `archive/data.pkl` in the directory, `archive/data.txt` before its bytes. Good: what torch.save, numpy.savez
    or any zip tool writes.
    Fix: do not load it; pack the content anew from its source.
    """

    card: ClassVar[Card] = Card(
        title="Archive read differently by different readers",
        summary="Records of the archive contradict each other or its bytes.",
        paper="CWE-436; CVE-2025-1944; CVE-2025-1945; CVE-2025-10156; CVE-2025-62518",
        threats=("CWE-436", "OWASP-ML06", "OWASP-LLM03", "AML.T0010", "CVE-2025-1944", "CVE-2025-1945"),
        severity="high",
        reads=("problems",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each contradiction."""
        if artifact.format not in _ARCHIVES:
            return
        for problem in artifact.problems:
            if problem.kind in _WEIGHT:
                yield Draft(
                    message=f"the archive contradicts itself: {problem.message}",
                    fix="do not load it; pack its content anew from the source",
                    severity=_WEIGHT[problem.kind],
                    place=problem.place,
                )
