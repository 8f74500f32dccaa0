"""HDF5 files that lead out of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Reference

_OUT = re.compile(r"[/\\~]|[A-Za-z]:[/\\]|[A-Za-z][A-Za-z0-9+.-]*://|(.*[/\\])?\.\.([/\\]|:|$)")
_WORDS = {
    "hdf5-external-link": "an external link",
    "hdf5-external-storage": "external storage",
    "hdf5-virtual-source": "a virtual data set",
}
_KNOWN_FILTERS = range(32_000, 32_100)
"""Numbers that The HDF Group has registered (lzf, blosc, lz4, zstd, bitshuffle, zfp …)."""


class Hdf5External:
    """Report data sets and links of an HDF5 file whose content lies in other files, and code it asks for.

    What: external storage, external links and virtual data sets of a model, or whose file is absolute, an address or
    climbs out of the folder (high); such a file beside other HDF5 data (low); a link class or an unregistered filter
    that only a library of someone's own can serve (medium).
    Why: loading the weights reads that file into a tensor, from where it is sent on: keys, tokens, other people's data
    (CVE-2026-1669). An unknown filter or link class has the library load a plug-in from a path of the environment.
    Good: weights that lie in the file itself
    Fix: do not load it; save the weights in one file.
    """

    card: ClassVar[Card] = Card(
        title="HDF5 file leads out of itself",
        summary="An HDF5 file takes data from other files, or needs a plug-in to be read.",
        paper="CWE-73; CWE-200; CVE-2026-1669; HDF5 File Format Specification 3.0",
        threats=("CWE-73", "CWE-200", "AML.T0010", "CVE-2026-1669"),
        severity="high",
        reads=("references",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each way out."""
        keras = any(note.name == "hdf5:keras" for note in artifact.notes)
        told: set[str] = set()
        for fact in artifact.references:
            if fact.kind.startswith("hdf5-") and fact.value not in told and len(told) < 200:
                told.add(fact.value)
                yield from _judged(fact, keras)


def _judged(fact: Reference, keras: bool) -> Iterator[Draft]:
    if fact.kind in _WORDS:
        out = _OUT.match(fact.value) is not None
        severity: Severity = "high" if out or keras else "low"
        why = ", which lies outside its folder" if out else ", another file"
        yield Draft(
            message=f"{_WORDS[fact.kind]} reads {fact.value[:200]!r}{why}",
            fix="do not load it; save the data in one file",
            severity=severity,
            place=fact.place,
        )
    elif fact.kind == "hdf5-link-class":
        yield Draft(
            message=f"a link of the class {fact.value[:100]!r}, which only a library of someone's own can follow",
            fix="save the file without it",
            severity="medium",
            place=fact.place,
        )
    elif fact.kind == "hdf5-filter":
        number = int(fact.value.split()[0])
        known = number in _KNOWN_FILTERS
        yield Draft(
            message=f"data is packed by the filter {fact.value[:100]}, which the library loads as a plug-in",
            fix="know where the plug-in comes from, or save the data with gzip",
            severity="low" if known else "medium",
            place=fact.place,
        )
