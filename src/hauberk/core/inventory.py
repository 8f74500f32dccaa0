"""What a project consists of: models, data sets, libraries; what a bill of materials lists."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hauberk.core.evidence import Digest, Setting

Kind: TypeAlias = Literal["model", "data", "library", "file", "application"]


class Component(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One part of a project.

    path, line: where it lies, or where it is declared; POSIX, relative to the root. purl: its package URL, empty where
    it has none. licences: SPDX identifiers or expressions where they were recognised, else as written.
    digests: named by algorithm, "sha256" and "blake3", of the bytes.
    properties: what else is known, such as ("format", "safetensors") or ("task", "text-generation").
    """

    kind: Kind
    name: str
    version: str = ""
    path: str = ""
    line: int | None = None
    purl: str = ""
    licences: tuple[str, ...] = ()
    digests: tuple[Digest, ...] = ()
    properties: tuple[Setting, ...] = ()

    def known(self, name: str) -> str:
        """Return a property's text, empty where it is not known."""
        return next((str(row.value) for row in self.properties if row.name == name), "")
