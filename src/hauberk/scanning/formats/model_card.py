"""Model and data set cards: the YAML front matter of a README.md, as Hugging Face reads it."""

from __future__ import annotations

import re
from typing import ClassVar

import yaml

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem
from hauberk.scanning.text import read_text
from hauberk.scanning.yaml_documents import document

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.S)
_KEYS = {
    "license": "licence", "license_name": "licence name", "license_link": "licence link", "datasets": "datasets",
    "base_model": "base model", "pipeline_tag": "task", "library_name": "library", "model_name": "model",
    "pretty_name": "data set", "task_categories": "task", "language": "language", "tags": "tags",
    "metrics": "metrics", "model_type": "architecture",
}  # fmt: skip
_MOST, _LONGEST = 50, 500


class ModelCard:
    """Read what a card says of a model or data set: licence, data, base model, task."""

    card: ClassVar[Card] = Card(
        title="Model card",
        summary="Licence, data sets, base model and task that a README.md's front matter declares.",
        paper="Mitchell et al. 2019, arXiv:1810.03993; Hugging Face model card metadata",
        suffixes=("readme.md", "modelcard.md", "model_card.md", "dataset_card.md"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept a README or card that begins with front matter."""
        return blob.name.endswith(self.card.suffixes) and blob.head.lstrip(b"\xef\xbb\xbf").startswith(b"---")

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read the front matter."""
        read = read_text(blob, limits)
        front = _FRONT.match(read.text.lstrip("\ufeff"))
        notes: tuple[Note, ...] = ()
        problems: tuple[Problem, ...] = ()
        if front is not None:
            try:
                notes = tuple(_notes(document(front[1], limits), front[1].split("\n")))
            except LimitExceeded:
                raise
            except (yaml.YAMLError, RecursionError, ValueError) as error:
                message = f"the card's front matter is not YAML: {' '.join(str(error).split())[:200]}"
                problems = (Problem(kind="malformed", message=message),)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="model_card",
            size=blob.size,
            digest=read.digest,
            notes=notes,
            problems=problems,
        )


def _notes(content: object, lines: list[str]) -> list[Note]:
    if not isinstance(content, dict):
        return []
    found = []
    for key, name in _KEYS.items():
        value = content.get(key)
        line = next((at for at, text in enumerate(lines, 2) if text.startswith(f"{key}:")), None)
        values = value if isinstance(value, list) else [value]
        for one in values[:_MOST]:
            if isinstance(one, str) and one.strip():
                found.append(Note(name=name, text=one.strip()[:_LONGEST], place=Place(line=line)))
    return found
