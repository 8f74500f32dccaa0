"""The project can only run on a Python that gets no security fixes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

KEPT = ("3.11", "3.12", "3.13", "3.14", "3.15")
"""Pythons with security fixes as of November 2026 (PEP 664 and its successors; 3.10 ended in October 2026)."""
_DECLARING = ("pyproject", "setuptools_files", "pipfile", "conda_environment")


class EndedPython:
    """Find projects whose declared Pythons have all reached their end.

    What: `requires-python` allows no Python that is still mended. Why: holes in the interpreter and its standard
    library stay open, and fixed releases of dependencies no longer install.

    Bad: `requires-python = "<3.10"`. Good: `requires-python = ">=3.11"`. Fix: allow and test a newer one.
    """

    card: ClassVar[Card] = Card(
        title="Python past its end",
        summary="The project can only run on a Python that gets no security fixes.",
        paper="PEP 602; CWE-1104",
        threats=("CWE-1104",),
        severity="low",
        reads=("notes",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the declared range."""
        for note in artifact.notes if artifact.format in _DECLARING else ():
            if note.name != "requires-python":
                continue
            try:
                allowed = SpecifierSet(_comparable(note.text))
            except InvalidSpecifier:
                continue
            if not any(allowed.contains(f"{python}.99") or allowed.contains(python) for python in KEPT):
                yield Draft(
                    message=f"no Python that {note.text} allows gets security fixes any more",
                    fix="allow a newer Python and test on it",
                    place=note.place,
                )


def _comparable(text: str) -> str:
    """Turn Poetry's ^3.8 and ~3.8 and Pipenv's bare 3.8 into PEP 440."""
    parts = []
    for part in (piece.strip() for piece in text.split(",")):
        if part.startswith("^"):
            parts.append(f">={part[1:]},<4")
        elif part.startswith("~") and not part.startswith("~="):
            parts.append(f"=={part[1:]}.*")
        elif part[:1].isdigit():
            parts.append(f"=={part}.*" if not part.endswith("*") else f"=={part}")
        else:
            parts.append(part)
    return ",".join(parts)
