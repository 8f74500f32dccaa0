"""Models for names are asked where they are installed, and nothing is ever downloaded."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import pytest

from hauberk.core.errors import MissingExtra, UsageError
from hauberk.scanning.pii.recognisers import NamesByModel, NamesByPresidio


@pytest.fixture
def spacy(monkeypatch) -> None:
    """A library and a model of the same interface, that know one name."""

    def pipe(texts: list[str]):
        return [SimpleNamespace(ents=[SimpleNamespace(label_="PERSON")] if "Ada" in text else []) for text in texts]

    made = ModuleType("spacy")
    made.load = lambda name: SimpleNamespace(pipe=pipe)
    monkeypatch.setitem(sys.modules, "spacy", made)
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: real("json") if name in ("spacy", "a_model") else real(name)
    )


def test_names_are_counted_by_row_across_batches(spacy):
    names = NamesByModel("a_model")
    names.visit("text", 0, ["Ada Lovelace", "nothing", None])
    names.visit("text", 3, ["Ada"])
    names.visit("other", 0, ["nothing"])
    assert {column: (one.rows.count, one.rows.first) for column, (one,) in names.seen().items()} == {
        "text": (2, (0, 3))
    }
    assert "Ada" not in repr(names.seen())


def test_a_model_that_is_not_installed_is_not_downloaded(spacy):
    with pytest.raises(UsageError, match="not installed"):
        NamesByModel("another_model")


@pytest.mark.skipif(importlib.util.find_spec("spacy") is not None, reason="spaCy is installed")
def test_without_the_library_it_says_so():
    with pytest.raises(MissingExtra, match="spacy"):
        NamesByModel("a_model")


def test_presidio_is_asked_for_people_alone(monkeypatch):
    asked = []

    class AnalyzerEngine:
        def analyze(self, **settings):
            asked.append(settings["entities"])
            return [SimpleNamespace(score=0.85)] if "Ada" in settings["text"] else [SimpleNamespace(score=0.2)]

    made = ModuleType("presidio_analyzer")
    made.AnalyzerEngine = AnalyzerEngine
    monkeypatch.setitem(sys.modules, "presidio_analyzer", made)
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: real("json" if name == "presidio_analyzer" else name))
    names = NamesByPresidio()
    names.visit("text", 10, ["Ada", "no", None, ""])
    (one,) = names.seen()["text"]
    assert (one.rows.count, one.rows.first) == (1, (10,))
    assert asked == [["PERSON"], ["PERSON"]]
