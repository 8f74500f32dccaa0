"""Names by a language model of spaCy or by presidio, where the user has them installed; nothing is ever downloaded."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Protocol, TypeAlias

from hauberk.core.errors import MissingExtra, UsageError
from hauberk.core.tables import FIRST, Rows, Sightings

_PEOPLE = ("PERSON", "PER")
_SCORE = 0.5


class _Document(Protocol):
    ents: Sequence[_Entity]


class _Entity(Protocol):
    label_: str


class _Model(Protocol):
    def pipe(self, texts: list[str]) -> Sequence[_Document]: ...


Found: TypeAlias = dict[str, tuple[int, list[int]]]


class NamesByModel:
    """Looks for people's names with a spaCy model that is installed; fits `core.tables.Personal`.

    model: the name of an installed package, such as "en_core_web_sm". Raises MissingExtra, UsageError.
    """

    def __init__(self, model: str) -> None:
        if importlib.util.find_spec("spacy") is None:
            raise MissingExtra("spacy", "data")
        if importlib.util.find_spec(model) is None:
            raise UsageError(f"the model {model} is not installed", fix=f"pip install {model}; nothing is downloaded")
        self._model: _Model = importlib.import_module("spacy").load(model)
        self._found: Found = {}

    def visit(self, column: str, first: int, texts: Sequence[str | None]) -> None:
        """Look at one batch of a column."""
        count, rows = self._found.get(column, (0, []))
        for row, document in enumerate(self._model.pipe([text or "" for text in texts])):
            if any(entity.label_ in _PEOPLE for entity in document.ents):
                count += 1
                rows = rows if len(rows) >= FIRST else [*rows, first + row]
        self._found[column] = (count, rows)

    def seen(self) -> dict[str, tuple[Sightings, ...]]:
        """Return column → names seen."""
        return {
            column: (Sightings("name", Rows(count=count, first=tuple(rows))),)
            for column, (count, rows) in self._found.items()
            if count
        }


class NamesByPresidio:
    """Looks for people's names with presidio's analyzer where it is installed; fits `core.tables.Personal`."""

    def __init__(self, language: str = "en") -> None:
        if importlib.util.find_spec("presidio_analyzer") is None:
            raise MissingExtra("presidio-analyzer", "data")
        self._engine = importlib.import_module("presidio_analyzer").AnalyzerEngine()
        self._language = language
        self._found: Found = {}

    def visit(self, column: str, first: int, texts: Sequence[str | None]) -> None:
        """Look at one batch of a column."""
        count, rows = self._found.get(column, (0, []))
        for row, text in enumerate(texts):
            if not text:
                continue
            hits = self._engine.analyze(text=text, language=self._language, entities=["PERSON"])
            if any(hit.score >= _SCORE for hit in hits):
                count += 1
                rows = rows if len(rows) >= FIRST else [*rows, first + row]
        self._found[column] = (count, rows)

    def seen(self) -> dict[str, tuple[Sightings, ...]]:
        """Return column → names seen."""
        return {
            column: (Sightings("name", Rows(count=count, first=tuple(rows))),)
            for column, (count, rows) in self._found.items()
            if count
        }
