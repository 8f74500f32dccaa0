"""Jinja templates of a model that reach beyond the conversation they are to write down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Note, Place

_TOLD = 20


class TemplateInjection:
    """Report templates that reach into Python, call what no tokenizer gives them, read files or never end.

    What: the syntax tree is judged, nothing is rendered: attributes such as __globals__ by dot, subscript, |attr or a
    name put together from pieces (critical); the name of one in any text, private attributes, other files, loops and
    products without end (high); unknown functions and templates that do not parse (medium).
    Why: a chat template comes with the model and is rendered by whoever serves it. Servers that render it without a
    sandbox run its code for every request (CVE-2024-34359, CVE-2026-5760).
    Bad: `{{ cycler.__init__.__globals__.os.popen('id').read() }}`
    Good: `{% for message in messages %}{{ message['content'] }}{% endfor %}`
    Fix: do not serve the model with this template; write one yourself or take that of the base model.
    """

    card: ClassVar[Card] = Card(
        title="Template reaches out",
        summary="A template that comes with a model reaches into Python, files or without end.",
        paper="CWE-1336; CVE-2024-34359; CVE-2026-5760; OWASP LLM03:2025; MITRE ATLAS AML.T0011",
        threats=("CWE-1336", "CWE-94", "OWASP-LLM03", "AML.T0010", "AML.T0011", "CVE-2024-34359"),
        severity="critical",
        reads=("notes",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield a draft for each thing a template reaches, the worst of one line first."""
        for note in artifact.notes:
            if note.name.startswith("template:"):
                yield from _judged(note)


def _judged(note: Note) -> Iterator[Draft]:
    from hauberk.scanning.template_reach import reaches  # only files with a template need the parser

    _, kind, where = note.name.split(":", 2)
    lines = note.text.split("\n", 2000)
    first = (note.place.line or 1) - 1
    own_file = not where and note.place.line is not None
    for count, found in enumerate(reaches(note.text, kind)):
        if count == _TOLD:
            return
        source = lines[found.line - 1].strip()[:200] if 0 < found.line <= len(lines) else ""
        yield Draft(
            message=f"the template{f' at {where[:120]}' if where else ''} {found.what}",
            fix="do not render it; write the template yourself or take that of the base model",
            severity=found.grade,
            place=Place(line=first + found.line) if own_file else note.place,
            trace=(f"line {found.line} of the template: {source}",) if source else (),
        )
