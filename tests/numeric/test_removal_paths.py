"""Paths of removal: every margin is that of a fit anew, and a first step that no other row betters."""

import pytest
import torch

from hauberk.numeric.removal_paths import Ridge


@pytest.fixture
def fitted():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=rng)
    y = ((x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()).clamp(max=2)
    return Ridge.fit(x, y, 3), x, y


def test_the_fit_is_that_of_the_normal_equations(fitted):
    ridge, x, y = fitted
    grad = ridge.x.T @ (ridge.x @ ridge.weight - ridge.wanted) + ridge.penalty * ridge.weight
    assert float(grad.abs().max()) < 1e-8
    assert float((ridge.scores(x).argmax(1) == y).double().mean()) > 0.7


def test_every_margin_of_the_path_is_that_of_a_fit_without_those_rows(fitted):
    ridge, x, _ = fitted
    decided, rival = (int(c) for c in ridge.scores(x[5:6])[0].argsort(descending=True)[:2])
    path = ridge.path(x[5], decided, rival, 25)
    assert len(path.rows) == len(set(path.rows.tolist()))
    for count in range(len(path.rows) + 1):
        scores = ridge.without(path.rows[:count]).scores(x[5:6])[0]
        assert float(path.margins[count]) == pytest.approx(float(scores[decided] - scores[rival]), abs=1e-7)
    assert path.needed is not None
    assert bool((path.margins.diff() < 0).all())


def test_no_single_row_does_more_than_the_first(fitted):
    ridge, x, _ = fitted
    scores = ridge.scores(x[9:10])[0]
    decided, rival = (int(c) for c in scores.argsort(descending=True)[:2])
    path = ridge.path(x[9], decided, rival, 1)
    left = []
    for row in range(len(x)):
        new = ridge.without(torch.tensor([row])).scores(x[9:10])[0]
        left.append(float(new[decided] - new[rival]))
    assert int(torch.tensor(left).argmin()) == int(path.rows[0])


def test_a_path_goes_on_beyond_as_far_as_asked(fitted):
    ridge, x, _ = fitted
    decided, rival = (int(c) for c in ridge.scores(x[5:6])[0].argsort(descending=True)[:2])
    short, far = (ridge.path(x[5], decided, rival, 50, beyond) for beyond in (1.0, 2.0))
    assert short.needed == far.needed == len(short.rows)
    assert len(far.rows) == 2 * len(short.rows)
    assert ridge.path(x[5], decided, rival, 1).needed in (None, 1)
