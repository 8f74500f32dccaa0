"""A row's pull is the change that a fit with it makes; neighbours are trusted rows alone."""

from __future__ import annotations

import torch

from hauberk.numeric.fresh_influence import among, pulls, weighed
from hauberk.numeric.removal_paths import Ridge


def _rows(n: int, seed: int = 0):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=rng)
    return x, (x[:, 0] + 0.3 * torch.randn(n, generator=rng) > 0).long()


def _scores(x, wanted, penalty):
    inverse = torch.linalg.inv(x.T @ x + penalty * torch.eye(x.shape[1], dtype=torch.float64))
    return inverse @ (x.T @ wanted)


def test_a_new_rows_pull_is_what_fitting_anew_with_it_changes() -> None:
    x, y = _rows(60)
    ridge = Ridge.fit(x, y, 2)
    fresh, labels = _rows(5, 1)
    for row in range(5):
        point = torch.cat((fresh[row].double(), torch.ones(1, dtype=torch.float64)))[None]
        wanted = torch.nn.functional.one_hot(labels[row : row + 1], 2).double()
        weight = _scores(torch.cat((ridge.x, point)), torch.cat((ridge.wanted, wanted)), ridge.penalty)
        change = (ridge.x @ (weight - ridge.weight)).square().mean()
        assert torch.isclose(pulls(ridge, fresh, labels)[row], change, rtol=1e-8)


def test_a_trusted_rows_pull_is_what_fitting_anew_without_it_changes() -> None:
    x, y = _rows(60)
    ridge = Ridge.fit(x, y, 2)
    for row in (0, 7, 59):
        kept = torch.arange(60) != row
        weight = _scores(ridge.x[kept], ridge.wanted[kept], ridge.penalty)
        change = (ridge.x @ (weight - ridge.weight)).square().mean()
        assert torch.isclose(pulls(ridge, None, y)[row], change, rtol=1e-8)


def test_neighbours_are_the_nearest_of_the_others() -> None:
    x, _ = _rows(40)
    fresh, _ = _rows(7, 2)
    found = among(fresh, x, 3)
    assert torch.equal(found.which, torch.cdist(fresh, x).topk(3, largest=False).indices)


def test_relabelled_rows_stand_out_and_others_do_not() -> None:
    x, y = _rows(400)
    fresh, labels = _rows(100, 3)
    honest = weighed(x, y, fresh, labels, 2, 10)
    planted = weighed(x, y, fresh, 1 - labels, 2, 10)
    bar = honest.trusted_pull.quantile(0.99)
    assert int((honest.pull > bar).sum()) <= 6
    assert int((planted.pull > bar).sum()) >= 15
    assert float((planted.against > 0.5).double().mean()) > 0.7 > 0.3 > float((honest.against > 0.5).double().mean())
