"""Private statistics: right within their own noise, with events that add up, and mechanisms that keep their ratio."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hauberk.core.privacy_events import BoundedRelease, LaplaceRelease
from hauberk.numeric import private_statistics as stat
from hauberk.numeric.anonymity import anonymity, mondrian
from hauberk.numeric.private_noise import NoiseSource
from hauberk.numeric.private_tables import synthesise


@pytest.fixture
def source():
    return NoiseSource(bytes(range(16)))


def test_answers_lie_where_their_noise_says(source) -> None:
    values = torch.linspace(-3, 9, 1001)
    cases = {
        "count": (stat.count(1001, 2.0, source), 1001.0),
        "sum": (stat.bounded_sum(values, 0.0, 5.0, 1.0, source), float(values.clamp(0, 5).sum())),
        "gaussian sum": (
            stat.bounded_sum(values, 0.0, 5.0, 1.0, source, laplace=False),
            float(values.clamp(0, 5).sum()),
        ),
        "mean": (stat.mean(values, -3.0, 9.0, 1.0, source), float(values.mean())),
        "variance": (stat.variance(values, -3.0, 9.0, 1.0, source), float(values.double().var(correction=0))),
    }
    for name, (answer, exact) in cases.items():
        found = answer.interval()
        assert abs(found.value - exact) < 3 * answer.unknown, name
        assert answer.deviation > 0 and answer.events


def test_intervals_cover_what_they_say(source) -> None:
    hits = sum(
        abs(float(answer.values) - 100) <= answer.unknown
        for answer in (stat.count(100, 1.0, source) for _ in range(400))
    )
    assert 0.92 < hits / 400 <= 0.98


def test_sums_of_vectors_are_clipped_row_by_row(source) -> None:
    rows = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    found = stat.vector_sum(rows, 1.0, 1e-9, source).values
    assert torch.allclose(found, torch.tensor([0.9, 1.2]).double(), atol=1e-6)


def test_a_histogram_costs_what_one_bin_does(source) -> None:
    codes = torch.tensor([0, 0, 1, 3, 9, -1])
    answer = stat.histogram(codes, 4, 1e-9, source)
    assert answer.values.round().tolist() == [2, 1, 0, 1] and len(answer.events) == 1
    assert float(stat.histogram(codes[:0], 4, 5.0, source).values.min()) >= 0
    assert stat.histogram(codes, 4, 0.5, source, laplace=True).events == (LaplaceRelease(noise=0.5),)


@pytest.mark.parametrize("choose", [stat.exponential, stat.permute_and_flip])
def test_selection_keeps_its_ratio(source, choose) -> None:
    """Neighbours move every score by the sensitivity at most; the share of each choice moves by e^ε at most."""
    epsilon, draws = 1.0, 4000
    near = torch.tensor([3.0, 2.0, 0.0])
    far = torch.tensor([2.0, 3.0, 1.0])
    shares = []
    for scores in (near, far):
        picks = [choose(scores, 1.0, epsilon, source)[0] for _ in range(draws)]
        shares.append(np.bincount(picks, minlength=3) / draws)
    assert (shares[0] <= math.e * shares[1] + 0.03).all() and (shares[1] <= math.e * shares[0] + 0.03).all()
    assert choose(torch.tensor([0.0, 100.0]), 1.0, 5.0, source) == (1, BoundedRelease(epsilon=5.0))


def test_permute_and_flip_is_no_worse(source) -> None:
    scores = torch.tensor([0.0, -1.0, -2.0, -3.0])
    losses = [
        -np.mean([float(scores[choose(scores, 1.0, 2.0, source)[0]]) for _ in range(3000)])
        for choose in (stat.permute_and_flip, stat.exponential)
    ]
    assert losses[0] <= losses[1] + 0.03


def test_quantiles(source) -> None:
    values = torch.linspace(0, 100, 2001)
    for share in (0.1, 0.5, 0.9):
        found, event = stat.quantile(values, share, -50.0, 200.0, 2.0, source)
        assert abs(found - 100 * share) < 3 and event.epsilon == 2.0
    found, _ = stat.quantile(torch.full((500,), 7.0), 0.5, 0.0, 10.0, 5.0, source)
    assert 0 <= found <= 10
    for call in (
        lambda: stat.quantile(values, 2.0, 0.0, 1.0, 1.0, source),
        lambda: stat.quantile(values, 0.5, 1.0, 0.0, 1.0, source),
        lambda: stat.count(3, 0.0, source),
    ):
        with pytest.raises(ValueError, match=r"share|bounds|noise"):
            call()


def test_the_best_model_is_chosen(source) -> None:
    index, event = stat.best_of([lambda: 1.0, lambda: 50.0, lambda: 2.0], 2.0, 1.0, source)
    assert index == 1 and event == BoundedRelease(epsilon=2.0)


def test_a_synthetic_table_keeps_marginals_and_dependence(source) -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 3, 4000)
    second = np.where(rng.random(4000) < 0.9, first, rng.integers(0, 3, 4000))
    third = rng.choice(2, 4000, p=[0.8, 0.2])
    codes = torch.from_numpy(np.stack([first, second, third], 1))
    made = synthesise(codes, [3, 3, 2], 4000, 10.0, 1.0, source)
    assert (0, 1) in made.pairs and len(made.pairs) == 2
    assert abs(float((made.rows[:, 2] == 1).double().mean()) - 0.2) < 0.03
    assert (
        abs(
            float((made.rows[:, 0] == made.rows[:, 1]).double().mean())
            - float((codes[:, 0] == codes[:, 1]).double().mean())
        )
        < 0.05
    )
    assert len(made.events) == 3 + 1 + 2 + 2  # columns, total, choices, pairs
    assert int(made.rows.max()) <= 2
    with pytest.raises(ValueError, match="domain"):
        synthesise(codes, [2, 3, 2], 10, 1.0, 1.0, source)
    with pytest.raises(ValueError, match="sizes"):
        synthesise(codes, [3, 3], 10, 1.0, 1.0, source)


def test_a_table_of_nobody_and_of_one_column(source) -> None:
    made = synthesise(torch.zeros(0, 1, dtype=torch.int64), [4], 50, 1.0, 1.0, source)
    assert made.rows.shape == (50, 1) and not made.pairs


def test_anonymity_of_the_textbook_table() -> None:
    """Machanavajjhala et al. 2007: 4-anonymous groups, one of them with a single illness."""
    quasi = np.array([[1]] * 4 + [[2]] * 4 + [[3]] * 4)
    illness = np.array(["heart", "heart", "virus", "virus", "cancer", "heart", "virus", "virus", *["cancer"] * 4])
    found = anonymity(quasi, illness)
    assert (found.k, found.l, found.groups) == (4, 1, 3)
    assert found.entropy_l == pytest.approx(1.0)
    assert found.t == pytest.approx(1 - 5 / 12)
    alone = anonymity(np.arange(5)[:, None], np.array([1, 2, 3, 4, 5]), ordered=True)
    assert alone.k == 1 and alone.t == pytest.approx((0.2 + 0.4 + 0.6 + 0.8) / 4)
    with pytest.raises(ValueError, match="rows"):
        anonymity(np.zeros((0, 1)), np.zeros(0))


def test_mondrian_reaches_what_was_asked_and_no_more() -> None:
    rng = np.random.default_rng(1)
    quasi, illness = rng.normal(size=(400, 2)), rng.integers(0, 3, 400)
    plain = mondrian(quasi, 10)
    boxes = np.concatenate((plain.low, plain.high), 1)
    assert anonymity(boxes, illness).k >= 10
    assert ((plain.low <= quasi) & (quasi <= plain.high)).all()
    assert 0 < plain.loss < 0.5 and plain.centres().shape == quasi.shape
    strict = mondrian(quasi, 10, illness, diversity=3, closeness=0.2)
    found = anonymity(np.concatenate((strict.low, strict.high), 1), illness)
    assert found.l == 3 and found.t <= 0.2 + 1e-9 and strict.loss >= plain.loss
    with pytest.raises(ValueError, match="not"):
        mondrian(quasi, 500)
