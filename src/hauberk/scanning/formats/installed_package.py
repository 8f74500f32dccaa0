"""METADATA of an installed package, a wheel or a source archive: name, version, licence; nothing is imported."""

from __future__ import annotations

import re
from typing import ClassVar

from packaging.utils import canonicalize_name

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Problem, Requirement
from hauberk.scanning.text import read_text

_WHERE = re.compile(r"(?:^|.*[/!])[^/!]+\.(?:dist-info/metadata|egg-info/pkg-info)|(?:^|.*!)[^/!]+/pkg-info")
_HEAD = 1 << 16
_FIELD = re.compile(r"^([A-Za-z-]+):[ \t]*(.*)$", re.M)
_KEPT = {"license-expression": "licence", "license": "licence", "requires-python": "requires-python"}


class InstalledPackage:
    """Read what a package says of itself in METADATA or PKG-INFO."""

    card: ClassVar[Card] = Card(
        title="Installed package",
        summary="Name, version and licence of packages in an environment, a wheel or a source archive.",
        paper="PyPA core metadata specification 2.4",
        suffixes=("metadata", "pkg-info"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by the folder the file lies in."""
        inner = blob.part or blob.path
        return blob.head.startswith(b"Metadata-Version:") and _WHERE.fullmatch(inner.lower()) is not None

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read the header fields."""
        read = read_text(blob, limits)
        head = read.text[:_HEAD].split("\n\n", 1)[0]
        fields: dict[str, str] = {}
        notes: list[Note] = []
        for found in _FIELD.finditer(head):
            key, value = found[1].lower(), found[2].strip()
            fields.setdefault(key, value)
            if key in _KEPT and value and len(value) < 200:
                notes.append(Note(name=_KEPT[key], text=value))
            elif key == "classifier" and value.startswith("License ::"):
                notes.append(Note(name="licence classifier", text=value))
        name, version = fields.get("name", ""), fields.get("version", "")
        ours = (Requirement(name=canonicalize_name(name), specifier=f"=={version}", version=version, hashed=True),)
        broken = Problem(kind="malformed", message="metadata without a name or a version")
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="installed_package",
            size=blob.size,
            digest=read.digest,
            requirements=ours if name and version else (),
            notes=tuple(notes),
            problems=() if name and version else (broken,),
        )
