"""The classic broken defenses, broken: each looks safe to an attack that knows nothing of it, and is flagged."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest
import torch

from hauberk.attacks.adaptive import ADAPTIVE, examine_adaptive
from hauberk.attacks.evasion.pgd import PGD
from hauberk.attacks.trust import BATCHES, CLIMBS, FLAT, STEADY
from hauberk.core.evidence import Measurement
from hauberk.core.plugins import build
from hauberk.core.progress import Silent
from hauberk.core.protocols import Defense

BROKEN = ("bit_depth", "jpeg", "random_resizing", "thermometer")


@pytest.mark.parametrize("name", BROKEN)
def test_it_breaks_and_the_self_checks_say_so(name, target, digits, threat, stamp):
    defense = cast(Defense, build("defenses", f"inference.{name}"))
    small = msgspec.structs.replace(threat, queries=None)
    hard = defense.apply(target, digits.train, small, torch.Generator().manual_seed(0), attack=None, progress=Silent())
    walk = PGD(steps=10, pace=0.25)
    found = examine_adaptive(hard, digits, small, stamp=stamp, samples=48, attacks=(walk,))
    rows = {row.name: row for row in found if isinstance(row, Measurement) and row.role != "control"}
    plain, adaptive = rows["robust_accuracy_non_adaptive"], rows["robust_accuracy_adaptive"]
    assert rows["robust_accuracy"].value <= adaptive.value
    assert rows["robust_accuracy"].value < rows["clean_accuracy"].value - 0.3
    if name != "random_resizing":
        assert plain.value > adaptive.value + 0.3
    failed = {mark.name for mark in plain.indicators if mark.passed is False}
    if name == "random_resizing":  # two small batches may by chance get the same view
        assert failed & {STEADY, BATCHES, CLIMBS, ADAPTIVE}
    else:
        assert {ADAPTIVE, FLAT} <= failed
