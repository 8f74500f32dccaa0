"""Packages come from a second or unprotected index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_PUBLIC = ("https://download.pytorch.org/", "https://pypi.org/", "https://pypi.nvidia.com")


class SecondIndex:
    """Find extra indexes, plain HTTP indexes and trusted hosts in requirement files and pyproject.toml.

    What: packages may come from more than one place, or over a channel nobody checks. Why: with two indexes pip takes
    the higher version wherever it is: a public package of your private package's name wins (dependency confusion, as
    torchtriton did). uv's own order is safe unless `index-strategy` says unsafe.

    Bad: `--extra-index-url https://pypi.corp.example/simple`. Good: `--index-url` of one that proxies the other.
    Fix: one index, or hashes.
    """

    card: ClassVar[Card] = Card(
        title="Second index",
        summary="Packages come from a second or unprotected index.",
        paper="CWE-427; MITRE ATLAS AML.T0010.001",
        threats=("CWE-427", "AML.T0010.001"),
        severity="low",
        reads=("notes",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every index option."""
        for note in artifact.notes:
            option = note.name.removeprefix("option ")
            if option not in ("--extra-index-url", "--index-url", "--find-links", "--trusted-host"):
                continue
            if option == "--trusted-host" or note.text.startswith("http://"):
                yield Draft(
                    message=f"{option} {note.text}: packages come over a channel nobody checks",
                    fix="use https and the private authority's certificate",
                    severity="high" if note.text.startswith("http://") else "medium",
                    place=note.place,
                )
            elif option == "--extra-index-url" and not note.text.startswith(_PUBLIC):
                yield Draft(
                    message="a second index lets a public package of the same name replace yours",
                    fix="use one index that proxies the other, or pin with hashes",
                    place=note.place,
                )
