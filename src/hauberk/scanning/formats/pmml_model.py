"""PMML models: extensions, functions and scripts, from the XML alone."""

from __future__ import annotations

import re
from collections import Counter
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Operator, Place, Reference
from hauberk.scanning.text import is_text
from hauberk.scanning.watch import Watch
from hauberk.scanning.xml_events import read_xml

_ROOT = re.compile(rb"<(?:\w+:)?PMML[\s>]")
_TOLD = 1_000
_SCRIPTS = frozenset({"script", "Script", "code", "Code", "exec", "object", "embed", "iframe"})


class PmmlModel:
    """Read elements; entities are refused, nothing outside the file is opened."""

    card: ClassVar[Card] = Card(
        title="PMML model",
        summary="Extensions, called functions, scripts and paths of PMML files.",
        paper="DMG PMML 4.4.1; W3C XML 1.0",
        suffixes=(".pmml", ".xml"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending, or XML whose root is PMML."""
        return blob.name.endswith(".pmml") or (is_text(blob.head) and bool(_ROOT.search(blob.head)))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the elements."""
        seen = _Seen()
        with blob.open() as stream:
            facts = read_xml(stream, Watch(limits), seen.began, seen.ended)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="pmml_model",
            size=blob.size,
            references=(*facts.references, *seen.references),
            operators=tuple(Operator(domain="pmml", type=kind, count=seen.used[kind]) for kind in sorted(seen.used)),
            notes=tuple(seen.notes),
            problems=facts.problems,
        )


class _Seen:
    """What the elements said."""

    def __init__(self) -> None:
        self.used: Counter[str] = Counter()
        self.references: list[Reference] = []
        self.notes: list[Note] = []
        self._defined: set[str] = set()
        self._inside = 0

    def began(self, name: str, attributes: dict[str, str], place: Place) -> None:
        """Take an element."""
        self._inside += name == "Extension"
        if name == "DefineFunction":
            self._defined.add(attributes.get("name", ""))
        elif name == "Apply" and attributes.get("function", "") not in self._defined:
            self.used[attributes.get("function", "")[:200]] += 1
        elif name in _SCRIPTS:
            self.references.append(Reference(kind="script-element", value=name, place=place))
        if name == "Extension" or self._inside:
            for key, value in attributes.items():
                if len(self.notes) < _TOLD:
                    self.notes.append(Note(name=f"metadata:Extension {key[:80]}", text=value, place=place))
        if name == "TableLocator" or "href" in attributes:
            value = attributes.get("href", "")
            self.references.append(Reference(kind="external-data", value=value, place=place))

    def ended(self, name: str, text: str, place: Place) -> None:
        """Take the text of an element."""
        if text.strip() and (self._inside or name in ("Annotation", "Header", *_SCRIPTS)) and len(self.notes) < _TOLD:
            self.notes.append(Note(name=f"metadata:{name[:80]}", text=text, place=place))
        self._inside -= name == "Extension"
