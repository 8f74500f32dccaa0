"""Weights whose layout stands elsewhere: recognised, and only searched for what does not belong there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft


class UnreadLayout:
    """Say which weights were not held against a structure of their own.

    What: the file is known by its first bytes, and which numbers belong to what only the program that reads it knows.
    Why: sizes that lie are found in formats that describe themselves; here a reader without checks of its own is on
    its own. Nothing in such a file is code.
    Bad: an old GGML file of an unknown program. Good: the same weights as GGUF or safetensors.
    Fix: convert it to a format that describes itself.
    """

    card: ClassVar[Card] = Card(
        title="Weights of a layout that is not read",
        summary="The file is recognised; only what does not belong into weights was looked for.",
        paper="OWASP ML06:2023",
        threats=("OWASP-ML06",),
        severity="info",
        reads=("references",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for such a file."""
        for fact in artifact.references:
            if fact.kind == "opaque-layout":
                yield Draft(
                    message=fact.value,
                    fix="convert it to a format that describes itself, such as GGUF or safetensors",
                    place=fact.place,
                )
