"""Precision and recall on values of an independent generator, in forty locales."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

from hauberk.scanning.pii.engine import KINDS, search

pytest.importorskip("faker")
FILE = Path(__file__).parents[3] / "benchmarks" / "data" / "_personal_corpus.py"


def corpus(seed: int):
    spec = importlib.util.spec_from_file_location("_personal_corpus", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_personal_corpus"] = module
    spec.loader.exec_module(module)
    return module.Corpus(seed)


def test_nearly_all_of_it_is_found_and_hardly_anything_else():
    made = corpus(11)
    right, wrong, missed = Counter(), Counter(), Counter()
    documents = [made.document() for _ in range(600)]
    found = search("\0".join(document.text for document in documents).encode()).certain()
    base = 0
    for document in documents:
        size = len(document.text.encode())
        here = (found.starts >= base) & (found.starts < base + size)
        hits = [
            (start - base, end - base, KINDS[kind].family.replace("tax number", "national id"))
            for kind, start, end in zip(found.kinds[here], found.starts[here], found.ends[here], strict=True)
        ]
        base += size + 1
        for piece in document.pieces:
            most = 0.7 * (piece.end - piece.start)
            near = [hit for hit in hits if min(hit[1], piece.end) - max(hit[0], piece.start) > most]
            if any(hit[2] == piece.family for hit in near):
                right[piece.family] += 1
            else:
                missed[piece.family] += 1
        for start, end, family in hits:
            if not any(start < piece.end and piece.start < end and family == piece.family for piece in document.pieces):
                wrong[family] += 1
    assert right.total() / (right.total() + wrong.total()) >= 0.98, wrong
    assert right.total() / (right.total() + missed.total()) >= 0.98, missed
    for family in right:
        assert right[family] / (right[family] + missed[family]) >= 0.95, (family, missed)
