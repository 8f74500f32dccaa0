"""What attacks on sounds, clips and texts must keep, whichever they are: the set, the seed, the input, the budget."""

from __future__ import annotations

import pytest
import torch

from hauberk.core import plugins
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import size
from hauberk.targets import from_torch

SHAPES = {"wave": (48,), "frames": (4, 1, 3, 4), "tokens": (12,)}
BOUNDS = {"wave": (-1.0, 1.0), "frames": (0.0, 1.0), "tokens": (0.0, 19.0)}
RADII = {"linf": 0.15, "l2": 0.8, "l1": 4.0, "l0": 4.0}
PEOPLE = {"evasion.peer"}
"""Runs what other people wrote; their libraries need not be there."""
CASES = [
    (entry, layout, norm)
    for entry in plugins.catalog("attacks")
    if entry.name.startswith("evasion.") and entry.name not in PEOPLE
    for layout in SHAPES
    if layout in entry.card.inputs
    for norm in entry.card.norms
]
BLACK = [case for case in CASES if not {"gradients", "module"} & set(case[0].card.needs)]


def ids(case):
    return f"{case[0].name}-{case[1]}-{case[2]}"


class Linear(torch.nn.Module):
    """Any attack breaks some of its samples."""

    def __init__(self, layout):
        super().__init__()
        values = torch.Size(SHAPES[layout]).numel()
        rng = torch.Generator().manual_seed(1)
        self.embedding = torch.nn.Embedding(20, 4) if layout == "tokens" else None
        self.linear = torch.nn.Linear(4 if layout == "tokens" else values, 3)
        with torch.no_grad():
            for part in self.parameters():
                part.copy_(torch.randn(part.shape, generator=rng))
            middle = 0.0 if layout == "tokens" else sum(BOUNDS[layout]) / 2
            self.linear.bias.copy_(-middle * self.linear.weight.sum(1))

    def forward(self, x):
        return self.linear(x.flatten(1) if self.embedding is None else self.embedding(x.long()).mean(1))


class Counting:
    """A target that counts queries and has no other power."""

    def __init__(self, target):
        self._target, self.spec, self.queries = target, target.spec, 0

    def predict(self, x):
        self.queries += len(x)
        return self._target.predict(x)


@pytest.fixture(params=CASES, ids=ids)
def case(request):
    """Build (attack, target, x, y, threat)."""
    entry, layout, norm = request.param
    target = from_torch(Linear(layout), bounds=BOUNDS[layout], shape=SHAPES[layout], classes=3)
    rng, (low, high) = torch.Generator().manual_seed(2), BOUNDS[layout]
    x = low + (high - low) * torch.rand(16, *SHAPES[layout], generator=rng)
    x = x.round().clamp(min=1) if layout == "tokens" else x
    small = {key: value for key, value in {"steps": 8, "queries": 200}.items() if key in _settings(entry)}
    attack = plugins.build("attacks", entry.name, small)
    threat = Threat(name="t", knowledge="score", ball=Ball(norm, RADII[norm]), queries=300)
    return attack, target, x, target.predict(x).argmax(1), threat, layout


def _settings(entry):
    return plugins.load("attacks", entry.name).__dataclass_fields__


def run(case, seed=0, rows=slice(None)):
    attack, target, x, y, threat, _ = case
    return attack.run(target, x[rows], y[rows], threat, torch.Generator().manual_seed(seed))


def test_it_stays_in_the_set_and_breaks_something(case):
    _, target, x, y, threat, layout = case
    before = x.clone()
    found = run(case)
    assert found.shape == x.shape
    assert found.dtype == torch.float32
    assert torch.equal(x, before)
    assert float(found.min()) >= target.spec.bounds[0]
    assert float(found.max()) <= target.spec.bounds[1]
    assert float(size(found - x, threat.ball.norm).max()) <= threat.ball.radius * (1 + 1e-6)
    assert layout != "tokens" or torch.equal(found, found.round())
    assert int((target.predict(found).argmax(1) != y).sum()) >= 1


def test_the_seed_decides_and_small_batches_and_wrong_samples_do_no_harm(case):
    attack, target, x, y, threat, _ = case
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    assert torch.equal(run(case), run(case))
    assert torch.equal(torch.random.get_rng_state(), state)
    for rows in (slice(0, 0), slice(0, 1)):
        assert run(case, rows=rows).shape == x[rows].shape
    wrong = attack.run(target, x, (y + 1) % 3, threat, torch.Generator().manual_seed(0))
    assert torch.isfinite(wrong).all()
    assert float(size(wrong - x, threat.ball.norm).max()) <= threat.ball.radius * (1 + 1e-6)


@pytest.mark.parametrize("case", BLACK, ids=ids, indirect=True)
def test_a_black_box_keeps_the_query_budget(case):
    attack, target, x, y, threat, _ = case
    counting = Counting(target)
    attack.run(counting, x, y, threat, torch.Generator().manual_seed(0))
    assert 0 < counting.queries <= 300 * len(x)


def test_every_layout_has_an_attack():
    assert {layout for _, layout, _ in CASES} == set(SHAPES)
