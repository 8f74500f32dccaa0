"""What all thieves of networks hold to: budget, bounds, the pool untouched, the same seed the same copy, bad input."""

from __future__ import annotations

import pytest
import torch

from hauberk.attacks.examining_extraction import Metered
from hauberk.attacks.extraction.active_learning import ActiveLearning, _centers
from hauberk.attacks.extraction.copycat_cnn import CopycatCNN
from hauberk.attacks.extraction.data_free import DataFree
from hauberk.attacks.extraction.jbda import JBDA
from hauberk.core.errors import DataError, UsageError
from hauberk.core.protocols import TargetSpec
from hauberk.core.threat import Threat

SMALL = {"width": 2, "steps": 5}
THIEVES = (
    CopycatCNN(**SMALL),
    ActiveLearning(**SMALL),
    ActiveLearning(strategy="entropy", **SMALL),
    ActiveLearning(strategy="k-center", rounds=2, first=0.01, **SMALL),
    JBDA(seeds=5, **SMALL),
    DataFree(batch=7, again=2, width=2),
)


class Stripes:
    """Three classes by the mean of thirds of the input; counts and keeps what it was asked."""

    def __init__(self, shape: tuple[int, ...], answers: str = "logits") -> None:
        self.spec = TargetSpec(name="t", kind="test", shape=shape, classes=3, bounds=(0.0, 1.0), answers=answers)
        self.asked: list[torch.Tensor] = []

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        self.asked.append(x.clone())
        scores = 20 * torch.stack([part.mean(1) for part in x.flatten(1).chunk(3, 1)], 1)
        return scores if self.spec.answers == "logits" else scores.softmax(1)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def threat(queries: int | None, knowledge: str = "score") -> Threat:
    return Threat(name="t", family="extraction", knowledge=knowledge, queries=queries)


@pytest.mark.parametrize("attack", THIEVES, ids=lambda attack: repr(attack)[:40])
@pytest.mark.parametrize("shape", [(6,), (1, 6, 6)], ids=["row", "chw"])
def test_budget_bounds_pool_and_seed(attack, shape) -> None:
    pool = torch.rand(30, *shape, generator=rng(1))
    before = pool.clone()
    for queries in (1, 17, 45):
        target, again = Stripes(shape), Stripes(shape, "probabilities")
        copy = attack.steal(Metered(target, queries, {}), pool, threat(queries), rng(2))
        asked = torch.cat(target.asked)
        assert len(asked) <= queries
        assert float(asked.min()) >= 0
        assert float(asked.max()) <= 1
        other = attack.steal(again, pool, threat(queries), rng(2))
        assert torch.allclose(copy.predict(pool), other.predict(pool), atol=1e-3)
        assert copy.predict(pool).shape == (30, 3)
    assert torch.equal(pool, before)


@pytest.mark.parametrize("attack", THIEVES, ids=lambda attack: repr(attack)[:40])
def test_nothing_to_ask_is_refused(attack) -> None:
    for pool, queries in ((torch.zeros(0, 6), 5), (torch.zeros(3, 6), 0)):
        with pytest.raises(DataError, match="pool"):
            attack.steal(Stripes((6,)), pool, threat(queries), rng())


@pytest.mark.parametrize(
    "attack",
    [
        ActiveLearning(rounds=0),
        ActiveLearning(first=0.0),
        ActiveLearning(first=1.5),
        JBDA(seeds=0),
        JBDA(step=0.0),
        DataFree(batch=0),
        DataFree(again=0),
    ],
)
def test_settings_that_make_no_sense_are_refused(attack) -> None:
    with pytest.raises(UsageError):
        attack.steal(Stripes((6,)), torch.rand(9, 6), threat(5), rng())


def test_copycat_learns_the_same_from_scores_and_from_labels() -> None:
    pool = torch.rand(20, 6, generator=rng(1))
    copies = [CopycatCNN(**SMALL).steal(Stripes((6,)), pool, threat(20, one), rng(3)) for one in ("score", "decision")]
    assert torch.equal(copies[0].predict(pool), copies[1].predict(pool))


def test_centers_are_the_farthest_points() -> None:
    points = torch.tensor([[0.0], [0.1], [1.0], [0.5], [0.95]])
    assert _centers(points, torch.tensor([[0.0]]), 2).tolist() == [2, 3]
    assert sorted(_centers(points, torch.tensor([[0.0]]), 9).tolist()) == [0, 1, 2, 3, 4]


def test_active_learning_asks_what_a_first_copy_is_unsure_of() -> None:
    """On one column with its border at 0.5, chosen inputs lie nearer the border than random ones."""

    class Border(Stripes):
        def predict(self, x: torch.Tensor) -> torch.Tensor:
            self.asked.append(x.clone())
            return torch.stack((x[:, 0] - 0.5, 0.5 - x[:, 0], x[:, 0] - 9), 1) * 60

    pool = torch.rand(400, 2, generator=rng(4))
    attack = ActiveLearning(strategy="entropy", rounds=1, first=0.5, width=2, steps=150)
    target = Border((2,))
    attack.steal(target, pool, threat(80), rng(5))
    first, chosen = torch.cat(target.asked).split(40)
    assert float((chosen[:, 0] - 0.5).abs().mean()) < 0.5 * float((first[:, 0] - 0.5).abs().mean())


def test_copies_are_good_where_inputs_tell_enough() -> None:
    pool = torch.rand(300, 6, generator=rng(6))
    target, held = Stripes((6,)), torch.rand(500, 6, generator=rng(7))
    truth = target.predict(held).argmax(1)
    thieves = (
        (CopycatCNN(width=4), 300, 0.8),
        (ActiveLearning(width=4, steps=150), 150, 0.8),
        (JBDA(seeds=40, width=4, steps=150), 200, 0.75),
        (DataFree(width=4), 1500, 0.6),
    )
    for attack, queries, least in thieves:
        copy = attack.steal(target, pool, threat(queries), rng(8))
        agreed = float((copy.predict(held).argmax(1) == truth).float().mean())
        assert agreed > least, (attack, agreed)
