"""Files outside the model that loading it reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import unquote

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Reference

_ROOTED = re.compile(r"[/\\]|[A-Za-z]:|~")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/|data:|file:|memory:")


class ExternalData:
    """Report external data that is not a plain file next to the model.

    What: the location climbs with "..", is absolute, names a drive or an address, holds a NUL, a backslash or an
    environment variable, plainly or percent-encoded.
    Why: loading the model reads that file into a tensor, from where its content can be read back: keys, tokens,
    other people's data. Three fixes of this in ONNX itself were incomplete, so the path is judged as written,
    and links and lengths on the disk besides.
    Bad: `location: "../../etc/passwd"`. Good: `location: "weights.bin"`.
    Fix: save the model with its data in one file, or beside it under a plain name.
    """

    card: ClassVar[Card] = Card(
        title="External data leads out of the model's folder",
        summary="A model reads data from a file outside its folder.",
        paper="CWE-22; CWE-59; CVE-2022-25882; CVE-2024-27318; CVE-2025-51480; CVE-2026-27489, -34446, -34447",
        threats=(
            "CWE-22", "OWASP-ML06", "OWASP-LLM03", "AML.T0010", "CVE-2022-25882", "CVE-2024-27318", "CVE-2025-51480",
            "CVE-2026-27489",
        ),
        severity="high",
        reads=("references",),
    )  # fmt: skip

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each location that leads out."""
        told: set[str] = set()
        for fact in artifact.references:
            if fact.kind == "external-link":
                yield Draft(
                    message=f"data is read from {fact.value[:300]}",
                    fix="do not load it; replace the link by a file of its own, of the length the model expects",
                    place=fact.place,
                )
            why = _why(fact)
            if why and fact.value not in told:
                told.add(fact.value)
                yield Draft(
                    message=f"data is read from {fact.value[:200]!r}, which {why}",
                    fix="do not load it; save the model with its data inside or beside it under a plain name",
                    place=fact.place,
                )


def _why(fact: Reference) -> str:
    if fact.kind not in ("external-data", "data-beside"):
        return ""
    return _odd(fact.value) or _odd(unquote(fact.value))


def _odd(value: str) -> str:
    if "\x00" in value or r"\x00" in value:
        return "holds a NUL"
    if _ADDRESS.match(value):
        return "is an address"
    if _ROOTED.match(value):
        return "is absolute"
    if ".." in re.split(r"[/\\]", value) or re.search(r"(?:^|[/\\])\s*\.\.\s*(?:[/\\]|$)", value):
        return "climbs out of the folder"
    if "\\" in value:
        return "has a backslash, which is a separator on some systems and a letter on others"
    return "names an environment variable" if re.search(r"\$\{?\w|%\w+%", value) else ""
