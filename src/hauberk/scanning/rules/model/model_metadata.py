"""Program text, templates and addresses in the metadata of a model file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Note

_LONGEST = 1 << 20
_CODE = re.compile(
    r"\b__import__\s*\(|\b(?:os|posix|subprocess|pty)\s*\.\s*(?:system|popen|exec\w*|spawn\w*|run|call|Popen|check_output)\s*\("
    r"|\b(?:eval|exec|compile)\s*\(\s*(?:['\"b_]|compile|base64|bytes|open|requests|urllib|\w+\.(?:read|get|b64decode))"
    r"|\bbase64\s*\.\s*b64decode\s*\(|\bpickle\s*\.\s*loads?\s*\(|\bmarshal\s*\.\s*loads?\s*\(|<script[\s>]|javascript:"
    r"|\bimport\s+(?:os|subprocess|socket|pty|ctypes)\s*(?:;|\n|$)|/bin/(?:ba)?sh\s+-[ci]\b|\bpowershell(?:\.exe)?\s+-"
    r"|\b(?:curl|wget)\s+[^\n|;]{0,200}\|\s*(?:ba|z)?sh\b|\brm\s+-rf\s+[/~]|/dev/tcp/|\bnc\s+-\w*e"
    r"|\bRuntime\s*\.\s*getRuntime\s*\(|\bProcessBuilder\s*\(",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(
    r"\{[{%].{0,400}?(?:__\w+__|\bcycler\b|\bjoiner\b|\blipsum\b|\bself\._|\|\s*attr\s*\()", re.DOTALL
)
_PICKLED = re.compile(r"^(?:gASV|gAJ|gAN|gAR|Y29z|Y19f|Y3Bvc2l4|KGRw)[A-Za-z0-9+/=\s]{8,}")
_PRIVATE = re.compile(
    r"https?://(?:\d{1,3}\.){3}\d{1,3}[:/]|https?://[\w.-]+\.(?:onion|ngrok\.io|ngrok-free\.app)\b", re.IGNORECASE
)


class ModelMetadata:
    """Report metadata that is no description.

    What: a metadata value or a description is program text (high), a template that reaches Python's internals (high),
    a pickle in Base64 (medium) or names a server by its bare address (medium).
    Why: tools show, render, evaluate or unpickle metadata; what one loader never reads may be read by the next.
    Bad: `"note": "__import__('os').system('id')"`. Good: `"author": "me", "labels": "{0: 'cat'}"`.
    Fix: drop the entry; find out who put it there.
    """

    card: ClassVar[Card] = Card(
        title="Code in a model's metadata",
        summary="Metadata of a model file holds program text, a reaching template, a pickle or a bare address.",
        paper="CWE-94; CWE-1336; OWASP LLM03:2025; MITRE ATLAS AML.T0010",
        threats=("CWE-94", "CWE-1336", "OWASP-LLM03", "OWASP-ML06", "AML.T0010"),
        severity="high",
        reads=("notes",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each odd entry."""
        for note in artifact.notes:
            if note.name.startswith("metadata:"):
                yield from _odd(note)


def _odd(note: Note) -> Iterator[Draft]:
    text = note.text[:_LONGEST]
    kinds: tuple[tuple[re.Pattern[str], str, Severity], ...] = (
        (_CODE, "is program text", "high"),
        (_TEMPLATE, "is a template that reaches into Python", "high"),
        (_PICKLED, "looks like a pickle in Base64", "medium"),
        (_PRIVATE, "names a server by a bare or tunnelled address", "medium"),
    )
    for pattern, words, severity in kinds:
        match = pattern.search(text)
        if match:
            yield Draft(
                message=f"the metadata entry {note.name.removeprefix('metadata:')[:80]!r} {words}",
                fix="drop the entry; find out who put it there",
                severity=severity,
                confidence="medium",
                place=note.place,
                trace=(text[max(0, match.start() - 20) : match.start() + 160],),
            )
            return
