"""Text that speaks to a model behind the reader's back: imperative phrases, addresses, characters nobody sees."""

from __future__ import annotations

import re
from typing import NamedTuple

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


class Hidden(NamedTuple):
    """One thing hidden in a text. what: in words, after "the text …"."""

    what: str
    match: re.Match[str]


def hidden_in(text: str) -> list[Hidden]:
    """Find phrases aimed at a model, addresses a conversation is joined to, and runs of invisible characters."""
    found = [Hidden("tells the model what the user does not see", one) for p in _PHRASES if (one := p.search(text))]
    found += [Hidden("joins the conversation to an address", one) for one in [_ADDRESS.search(text)] if one]
    found += [Hidden(f"holds {what}", one) for what, pattern in _UNSEEN.items() if (one := _first(pattern, text))]
    return found


def _first(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Find a run, but not the flags of regions, which are spelled by tags after a black flag."""
    return next(
        (one for one in pattern.finditer(text) if text[max(0, one.start() - 1) : one.start()] != "\U0001f3f4"), None
    )
