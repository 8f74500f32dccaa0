"""Jinja templates in files of their own: chat templates above all."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place
from hauberk.scanning.settings_facts import template_kind
from hauberk.scanning.text import is_text, read_text


class JinjaTemplate:
    """Read a template whole; what it reaches is a rule's work."""

    card: ClassVar[Card] = Card(
        title="Jinja template",
        summary="Templates in files of their own, such as chat_template.jinja.",
        paper="Hugging Face transformers, chat templates; Jinja template syntax",
        suffixes=(".jinja", ".jinja2", ".j2"),
        begins=("{{", "{%", "{#"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the endings, or text that begins with a tag."""
        named = blob.name.endswith((".jinja", ".jinja2", ".j2"))
        return is_text(blob.head) and (named or blob.head.startswith((b"{{", b"{%", b"{#")))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """State the text."""
        read = read_text(blob, limits)
        name = f"template:{template_kind(read.text, named='chat' in blob.name)}:"
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="jinja_template",
            size=blob.size,
            digest=read.digest,
            notes=(Note(name=name, text=read.text, place=Place(line=1)),),
        )
