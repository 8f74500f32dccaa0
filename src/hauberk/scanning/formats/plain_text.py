"""Any text file that no other format reads as a program: settings, scripts, documents, for rules that read text."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place
from hauberk.scanning.text import is_text, read_text

_DATA_BYTES = 4 << 20
_DATA = (".csv", ".tsv", ".jsonl", ".ndjson", ".arff", ".svm", ".libsvm", ".geojson", ".svg", ".vcf", ".fasta", ".log")
"""Endings of data: read where they fit, left to the formats of data where they are larger than that."""


class PlainText:
    """Read text of any kind; what it means is other formats' work."""

    card: ClassVar[Card] = Card(
        title="Plain text",
        summary="Settings, environment files, scripts and documents, for rules that look for secrets in text.",
        suffixes=(".env", ".txt", ".md", ".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf", ".sh", ".pem"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept text that is neither Python nor a notebook, nor a data set of some size."""
        if blob.name.endswith((".py", ".pyw", ".ipynb")):
            return False
        if blob.name.endswith(_DATA) and blob.size > _DATA_BYTES:
            return False
        return is_text(blob.head)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - text has no parts
        """Read the text whole."""
        read = read_text(blob, limits)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="plain_text",
            size=blob.size,
            digest=read.digest,
            notes=(Note(name="text", text=read.text, place=Place(line=1)),),
        )
