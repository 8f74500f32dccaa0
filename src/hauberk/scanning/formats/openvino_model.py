"""OpenVINO intermediate representation: layers, operator sets and extensions, from the XML alone."""

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

_ROOT = re.compile(rb"<net[\s>]")
_PATHS = frozenset(
    {"weights_path", "library", "lib", "extension", "extensions", "custom_lib", "path", "kernel", "filename"}
)
_TOLD = 1_000


class OpenvinoModel:
    """Read layers by type and operator set; entities are refused, nothing outside the file is opened."""

    card: ClassVar[Card] = Card(
        title="OpenVINO model",
        summary="Layers, custom operators and paths of OpenVINO .xml files.",
        paper="OpenVINO documentation, IR format; W3C XML 1.0",
        suffixes=(".xml",),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept XML whose root is a net."""
        return is_text(blob.head) and bool(_ROOT.search(blob.head))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the elements."""
        seen = _Seen()
        with blob.open() as stream:
            facts = read_xml(stream, Watch(limits), seen.began, seen.ended)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="openvino_model",
            size=blob.size,
            references=(*facts.references, *seen.references),
            operators=tuple(Operator(domain=key[0], type=key[1], count=seen.used[key]) for key in sorted(seen.used)),
            notes=tuple(seen.notes),
            problems=facts.problems,
        )


class _Seen:
    """What the elements said."""

    def __init__(self) -> None:
        self.used: Counter[tuple[str, str]] = Counter()
        self.references: list[Reference] = []
        self.notes: list[Note] = []

    def began(self, name: str, attributes: dict[str, str], place: Place) -> None:
        """Take an element."""
        if name == "layer":
            version = attributes.get("version", "")
            self.used[f"openvino.{version}" if version else "openvino", attributes.get("type", "")[:200]] += 1
        for key, value in attributes.items():
            if key.lower() in _PATHS and _is_path(value) and len(self.references) < _TOLD:
                self.references.append(Reference(kind="external-data", value=value, place=place))
            elif name != "layer" and key == "value" and len(value) > 16 and len(self.notes) < _TOLD:
                self.notes.append(Note(name=f"metadata:{name[:80]}", text=value, place=place))

    def ended(self, name: str, text: str, place: Place) -> None:
        """Take the text of an element."""
        if name in ("meta_data", "rt_info", "cli_parameters") and text.strip() and len(self.notes) < _TOLD:
            self.notes.append(Note(name=f"metadata:{name}", text=text, place=place))


def _is_path(value: str) -> bool:
    return "/" in value or "\\" in value or value.lower().endswith((".so", ".dll", ".dylib", ".bin", ".xml"))
