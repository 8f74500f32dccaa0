"""Instructions that a model's chat template slips into every conversation, and characters nobody sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Note, Place
from hauberk.scanning.hidden_text import hidden_in

_BYTES = 1 << 20


class HiddenInstructions:
    """Report templates that speak for themselves: imperative text aimed at the model, addresses, invisible characters.

    What: the template's own text tells the model to ignore instructions, keep things from the user or send data
    elsewhere; it joins a conversation to an address; or it holds characters that are not seen.
    Why: the template is put around every message, and reviews of weights never look at it: one line in it turns an
    honest model (a poisoned template survives every fine-tune and every filter on the user's input).
    Good: a default system line such as "You are a helpful assistant."
    Fix: read the template; take that of the base model where you cannot explain the text.
    """

    card: ClassVar[Card] = Card(
        title="Hidden instructions in a template",
        summary="A chat template carries imperative text, addresses or invisible characters of its own.",
        paper="OWASP LLM01:2025, LLM03:2025; MITRE ATLAS AML.T0051; CWE-1007",
        threats=("OWASP-LLM01", "OWASP-LLM03", "AML.T0051", "AML.T0010", "CWE-1007"),
        severity="medium",
        reads=("notes",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Look at chat templates only: prompts of an application say such things with reason."""
        for note in artifact.notes:
            if note.name.startswith(("template:chat:", "template:prompt:")):
                yield from _judged(note)


def _judged(note: Note) -> Iterator[Draft]:
    text = note.text[:_BYTES]
    for what, match in hidden_in(text):
        line = text.count("\n", 0, match.start())
        yield Draft(
            message=f"the chat template {what}: {match.group()[:120]!r}",
            fix="read the template; take that of the base model where you cannot explain the text",
            confidence="medium",
            place=Place(line=(note.place.line or 1) + line)
            if note.place.line and note.name.endswith(":")
            else note.place,
        )
