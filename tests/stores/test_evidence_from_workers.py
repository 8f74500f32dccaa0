"""Chunks attacked on a Ray cluster are written through to the store, SQLite or PostgreSQL, as they come."""

from __future__ import annotations

import contextlib
import importlib.util
import os

import pytest

from hauberk.api.checking import check
from hauberk.api.executing_ray import Ray
from hauberk.api.kept_reports import ENVELOPE
from hauberk.core.evidence import Checkpoint

RAY = importlib.util.find_spec("ray") is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RAY and not os.environ.get("HAUBERK_CI"), reason="ray is not installed"),
]
PROJECT = """
[model]
source = "net:score"
kind = "python_callable"
bounds = [0, 1]

[data]
source = "bundled:digits"

[threats.near]
knowledge = "score"
norm = "linf"
radius = 0.2
queries = 30
attacks = ["evasion.square"]
samples = 64

[run]
chunk = 16
"""
NET = """
import torch


def score(x):
    return x.flatten(1) @ torch.linspace(-1, 1, 640).sin().reshape(64, 10)
"""


class Cut:
    """A cluster whose user loses patience after two answers."""

    def __init__(self, cluster: Ray) -> None:
        self._cluster = cluster

    def map(self, job, parts):
        answers = self._cluster.map(job, parts)
        yield next(answers)
        yield next(answers)
        answers.close()
        raise KeyboardInterrupt


def chunks(log) -> list[int]:
    """Numbers of the chunks in the log's last run."""
    with log.open(read_only=True) as store:
        run = next(iter(store.runs())).run
        return sorted(
            row.part
            for row in store.entries(run)
            if isinstance(row, Checkpoint) and row.step != ENVELOPE and row.part >= 0
        )


def headline(report):
    (row,) = [row for row in report.measurements if row.name == "robust_accuracy" and row.role == "headline"]
    return row.value, row.low, row.high, row.n


def test_chunks_from_a_cluster_are_in_the_store_when_the_run_is_cut_and_resumed(log, monkeypatch):
    (log.folder / "hauberk.toml").write_text(PROJECT)
    (log.folder / "net.py").write_text(NET)
    alone = headline(check(log.folder, only=("near",), executor="serial", store="sqlite:///alone.db"))
    with Ray(2) as cluster:
        with monkeypatch.context() as patch:
            patch.setattr("hauberk.api.checking.executor_for", lambda _: contextlib.nullcontext(Cut(cluster)))
            cut = check(log.folder, only=("near",), executor="ray", workers=2, store=log.url)
        assert [row.kind for row in cut.skipped if row.kind == "interrupted"]
        assert len(chunks(log)) == 2
        whole = check(log.folder, only=("near",), executor="ray", workers=2, store=log.url, resume=True)
    assert headline(whole) == alone
    assert headline(whole)[-1] == 64
    assert chunks(log) == [0, 1, 2, 3]
    assert log.verify().ok
