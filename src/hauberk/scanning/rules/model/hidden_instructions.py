"""Instructions that a model's chat template slips into every conversation, and characters nobody sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Note, Place

_PHRASES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|all|any|safety|system)\b"
        r"[^.\n]{0,30}\b(?:instructions?|prompts?|rules|guidelines|messages?|policies|policy)",
        r"\b(?:do not|don't|never)\s+(?:tell|reveal|mention|inform|alert|warn|disclose|show)\b[^.\n]{0,40}"
        r"\b(?:users?|anyone|human|operator|developers?)\b(?! about (?:function|tool)s?)",
        r"\bwithout\s+(?:telling|informing|asking|notifying|alerting)\s+(?:the\s+)?(?:users?|anyone|human|operator)",
        r"\b(?:secretly|silently|covertly|surreptitiously)\s+(?:\w+\s+){0,3}(?:insert|include|add|send|exfiltrate"
        r"|forward|append|embed|leak|upload|post|call|execute|run|recommend|redirect)",
        r"\b(?:exfiltrat\w+|developer mode enabled|jailbreak\w*|you are now (?:DAN|in|unrestricted|jailbroken)"
        r"|no (?:ethical|safety) (?:guidelines|restrictions|filters))",
        r"\b(?:send|post|forward|upload|leak|transmit|append|encode)\b[^.\n]{0,60}\b(?:conversation|api[ _-]?keys?"
        r"|passwords?|credentials?|secrets?|chat history|user (?:data|input|message)s?)\b[^.\n]{0,60}"
        r"\b(?:https?:|to\b[^.\n]{0,20}(?:server|url|endpoint|webhook))",
        r"!\[[^\]\n]{0,40}\]\(https?://[^)\s]{0,200}(?:\{\{|\?)",
    )
)
_ADDRESS = re.compile(
    r"https?://[^\s'\"<>)]{1,200}?[?&/][\w\-./&?=]{0,60}['\"]?\s*(?:~|\+|\{\{)\s*\(?\s*\w*(?:messages?|content|prompt)"
)
_UNSEEN = {
    "tag characters that spell text nobody sees": re.compile("[\U000e0020-\U000e007e]{4,}"),
    "direction overrides that show text in another order": re.compile("[\u202a-\u202e\u2066-\u2069]"),
    "runs of characters of no width": re.compile("[\u200b\u2060\u2061-\u2064\ufeff\u180e]{3,}"),
    "runs of variation selectors that can carry bytes": re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}"),
}
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
            if note.name.startswith("template:chat:"):
                yield from _judged(note)


def _judged(note: Note) -> Iterator[Draft]:
    text = note.text[:_BYTES]
    found = [("tells the model what the user does not see", one) for p in _PHRASES if (one := p.search(text))]
    found += [("joins the conversation to an address", one) for one in [_ADDRESS.search(text)] if one]
    found += [(f"holds {what}", one) for what, pattern in _UNSEEN.items() if (one := _first(pattern, text))]
    for what, match in found:
        line = text.count("\n", 0, match.start())
        yield Draft(
            message=f"the chat template {what}: {match.group()[:120]!r}",
            fix="read the template; take that of the base model where you cannot explain the text",
            confidence="medium",
            place=Place(line=(note.place.line or 1) + line)
            if note.place.line and note.name.endswith(":")
            else note.place,
        )


def _first(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Find a run, but not the flags of regions, which are spelled by tags after a black flag."""
    return next(
        (one for one in pattern.finditer(text) if text[max(0, one.start() - 1) : one.start()] != "\U0001f3f4"), None
    )
