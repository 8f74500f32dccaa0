"""The driver: who leaves when, what is counted, what is kept, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
import torch

from hauberk.attacks.driver import Driving, Plan, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen, batch_size
from hauberk.core.errors import DataError, MissingPower, TargetOutput, UsageError
from hauberk.core.protocols import TargetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import Region, region, steepest
from hauberk.numeric.float_types import fast_bfloat16
from hauberk.numeric.losses import LOSSES, lead

BALL = Threat(name="t", ball=Ball("linf", 0.1))
EVERY = Driving(precision="float32", shrink=0.0)
NEVER = Driving(precision="float32", shrink=2.0)


LINE = TargetSpec(name="line", kind="test", shape=(2,), classes=2, bounds=(0.0, 1.0))
THREE = TargetSpec(name="three", kind="test", shape=(2,), classes=3, bounds=(0.0, 1.0))


@dataclass
class Line:
    """Two classes, one feature pair: logits (0, 10·(x₀ − 0.5)); class 1 right of 0.5."""

    spec: TargetSpec = LINE
    looks: list[int] = field(default_factory=list)
    gradients: list[int] = field(default_factory=list)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.looks.append(len(x))
        if x.requires_grad:
            self.gradients.append(len(x))
        right = 10 * (x[:, 0] - 0.5) + 0 * x[:, 1]
        return torch.stack((torch.zeros_like(right), right), 1)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.forward(x)


@dataclass(frozen=True)
class At:
    x: torch.Tensor


@dataclass(frozen=True)
class March:
    """Walk a tenth of the radius a step from the clean input."""

    def start(self, region: Region, rng: torch.Generator) -> At:
        return At(region.center)

    def step(self, state: At, seen: Seen, turn: Turn) -> At:
        move = 0.01 * steepest(seen.gradient, "linf")
        return At(turn.region.project(state.x + move))


@dataclass(frozen=True)
class Jump(March):
    """Start at a random point; so what is drawn shows in what is found."""

    def start(self, region: Region, rng: torch.Generator) -> At:
        return At(region.scatter(rng))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plan(steps: int = 10, **changes: object) -> Plan:
    return replace(Plan(rounds=(Round(LOSSES["margin"], steps),)), **changes)


def at(*places: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs this far left of the border, all of class 0."""
    x = torch.tensor([[0.5 - place, 0.5] for place in places])
    return x, torch.zeros(len(places), dtype=torch.long)


def test_each_sample_costs_the_looks_it_needs():
    """0.015 from the border falls in 2 steps (3 looks), 0.055 in 6 (7 looks); 0.3 never: 10 steps and a last look."""
    target = Line()
    x, y = at(0.015, 0.055, 0.3)
    found = drive(March(), plan(), target, x, y, BALL, rng(), EVERY)
    assert sum(target.looks) == 3 + 7 + 11
    assert sum(target.gradients) == 3 + 7 + 10
    assert (target.predict(found).argmax(1) != y).tolist() == [True, True, False]


def test_without_shrinking_the_outcome_is_the_same_and_dearer():
    shrunk, whole = Line(), Line()
    x, y = at(0.015, 0.055, 0.3, 0.02, 0.09)
    one = drive(March(), plan(), shrunk, x, y, BALL, rng(), EVERY)
    other = drive(March(), plan(), whole, x, y, BALL, rng(), NEVER)
    assert torch.equal(one, other)
    assert sum(whole.looks) == 5 * 11 > sum(shrunk.looks)


def test_active_set_changes_no_sample_on_a_net(digits, digits_net):
    module = digits_net.module

    @dataclass
    class Soft:
        spec: TargetSpec = digits_net.spec

        def predict(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return module(x)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return module(x)

    target = Soft()
    x = torch.from_numpy(digits.test.x[:120].copy())
    y = torch.from_numpy(digits.test.y[:120].copy())
    rounds = (Round(LOSSES["ce"], 8), Round(LOSSES["margin"], 8))
    results = []
    for driving in (EVERY, NEVER, Driving(batch=1), Driving(batch=7), Driving(batch=50)):
        driving = replace(driving, precision="float32")  # bfloat16 rounds by company in earnest
        found = drive(Jump(), Plan(rounds=rounds), target, x, y, BALL, rng(3), driving)
        results.append((target.predict(found).argmax(1) != y, found))
    broken, first = results[0]
    assert 0.1 < broken.float().mean().item() < 1
    for other, found in results[1:]:
        assert torch.equal(other, broken)
        # Another batch size rounds otherwise and may turn the sign of a gradient that is all but 0; hardly ever more.
        assert ((found - first).abs() > 1e-5).float().mean().item() < 0.02


def test_later_rounds_see_survivors_only():
    target = Line()
    x, y = at(0.015, 0.3)
    rounds = (Round(LOSSES["margin"], 5), Round(LOSSES["ce"], 5))
    drive(March(), Plan(rounds=rounds), target, x, y, BALL, rng(), EVERY)
    assert sum(target.looks) == 3 + 6 + 6


def test_all_already_wrong_costs_one_look_and_one_sample_works():
    target = Line()
    x, y = at(0.1, 0.2)
    found = drive(March(), plan(), target, x, 1 - y, BALL, rng(), EVERY)
    assert torch.equal(found, x)
    assert sum(target.looks) == 2
    assert drive(March(), plan(), target, x[:1], y[:1], BALL, rng(), EVERY).shape == (1, 2)


def test_no_sample_at_all_gives_none():
    x, y = at()
    assert drive(March(), plan(), Line(), x.reshape(0, 2), y, BALL, rng(), EVERY).shape == (0, 2)


def test_without_early_stop_the_strongest_point_comes_back():
    x, y = at(0.015, 0.3)
    target = Line()
    first = drive(March(), plan(), target, x, y, BALL, rng(), EVERY)
    strongest = drive(March(), plan(), target, x, y, BALL, rng(), replace(EVERY, early_stop=False))
    leads = lead(target.predict(first), y), lead(target.predict(strongest), y)
    assert leads[0][0].item() == pytest.approx(0.05, abs=1e-4)  # 0.02 moved, 0.005 beyond the border
    assert leads[1][0].item() == pytest.approx(0.85, abs=1e-4)  # the whole 0.1 moved
    assert leads[1][1].item() == pytest.approx(leads[0][1].item())


def test_nearest_keeps_the_smallest_error_of_a_walk_beyond_it():
    x, y = at(0.015, 0.055)
    far = replace(EVERY, early_stop=False)
    found = drive(March(), plan(keep="nearest"), Line(), x, y, BALL, rng(), far)
    assert torch.allclose((found - x)[:, 0], torch.tensor([0.02, 0.06]), atol=1e-6)


def test_a_free_search_is_cut_to_the_ball():
    x, y = at(0.055, 0.3)
    found = drive(March(), plan(50, keep="nearest", free=True), Line(), x, y, BALL, rng(), EVERY)
    assert bool(region(BALL.ball, x, (0, 1)).contains(found).all())
    loose = drive(March(), plan(50, keep="nearest", free=True), Line(), x, y, Threat(name="any"), rng(), EVERY)
    assert loose[1, 0].item() == pytest.approx(0.51, abs=1e-5)


def test_the_query_budget_is_per_sample_over_all_rounds():
    target = Line()
    x, y = at(0.3, 0.4)
    rounds = (Round(LOSSES["margin"], 4), Round(LOSSES["margin"], 50), Round(LOSSES["margin"], 50))
    drive(March(), Plan(rounds=rounds), target, x, y, Threat(name="t", ball=BALL.ball, queries=12), rng(), EVERY)
    assert sum(target.looks) == 2 * 12


def test_a_ranked_round_climbs_to_its_class():
    """From class 0 the likeliest other is told by x₁, the second by x₁ turned round."""

    @dataclass
    class Three(Line):
        spec: TargetSpec = THREE

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.looks.append(len(x))
            return torch.stack((x[:, 0], x[:, 1], -x[:, 0] - x[:, 1]), 1)

    x, y = torch.tensor([[0.6, 0.5]]), torch.tensor([0])
    moves = {}
    for rank in (1, 2):
        target = Three()
        ranked = Plan(rounds=(Round(LOSSES["ce"], 3, rank),))
        moves[rank] = drive(March(), ranked, target, x, y, BALL, rng(), EVERY) - x
        assert sum(target.looks) == 1 + 4  # one look to rank
    assert moves[1][0, 1].item() > 0  # towards the second logit
    assert moves[2][0, 1].item() < 0  # towards the third


@dataclass
class Boaster(Line):
    """In bfloat16 it always claims an error; in float32 it tells the truth."""

    claims: int = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        truth = super().forward(x)
        if torch.is_autocast_enabled("cpu"):
            self.claims += len(x)
            return truth + torch.tensor([0.0, 20.0])
        return truth


def test_a_bfloat16_break_counts_only_once_float32_confirms_it():
    target = Boaster()
    x, y = at(0.015, 0.055, 0.3)
    found = drive(March(), plan(), target, x, y, BALL, rng(), Driving(precision="bfloat16", shrink=0.0))
    assert (Line().predict(found).argmax(1) != y).tolist() == [True, True, False]
    assert target.claims == 3 + 7 + 10  # the liar's samples stayed in the search until they truly broke


@dataclass
class Shadow(Line):
    """Its float32 answers are NaN where x₀ passes 0.45, its shape wrong where asked so."""

    fault: str = "nan"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = super().forward(x)
        if self.fault == "nan":
            return logits.where(x[:, :1] < 0.45, torch.nan)
        return logits[:, :1] if self.fault == "shape" else logits.detach()


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [("nan", TargetOutput, "NaN"), ("shape", TargetOutput, "shape"), ("flat", MissingPower, "autograd")],
)
def test_a_target_that_misbehaves_is_named(fault, error, words):
    x, y = at(0.1)
    with pytest.raises(error, match=words):
        drive(March(), plan(), Shadow(fault=fault), x, y, BALL, rng(), EVERY)


def test_a_nan_gradient_counts_as_flat():
    @dataclass
    class Cliff(Line):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            # √0 has an infinite slope, times 0: NaN. The other feature still leads over the border.
            return super().forward(x) + (x[:, 1:] * 0).sqrt()

    x, y = at(0.015)
    found = drive(March(), plan(), Cliff(), x, y, BALL, rng(), EVERY)
    assert Line().predict(found).argmax(1).tolist() == [1]


def test_what_cannot_be_attacked_is_refused():
    x, y = at(0.1)
    with pytest.raises(DataError, match="outside the target's"):
        drive(March(), plan(), Line(), x + 1, y, BALL, rng(), EVERY)
    with pytest.raises(DataError, match="outside the target's"):
        drive(March(), plan(), Line(), x * torch.nan, y, BALL, rng(), EVERY)
    with pytest.raises(DataError, match="labels reach"):
        drive(March(), plan(), Line(), x, y + 2, BALL, rng(), EVERY)
    with pytest.raises(DataError, match="1 inputs but 2 labels"):
        drive(March(), plan(), Line(), x, y.repeat(2), BALL, rng(), EVERY)
    with pytest.raises(UsageError, match="no ball"):
        drive(March(), plan(), Line(), x, y, Threat(name="t"), rng(), EVERY)

    class Mute:
        spec = Line().spec

        def predict(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), 2)

    with pytest.raises(MissingPower, match="no gradients"):
        drive(March(), plan(), Mute(), x, y, BALL, rng(), EVERY)


def test_inputs_are_float32_inside_and_left_alone_outside():
    x, y = at(0.3)
    wide = x.double()
    before = wide.clone()
    found = drive(March(), plan(), Line(), wide, y, BALL, rng(), EVERY)
    assert found.dtype == torch.float32
    assert torch.equal(wide, before)


def test_unseen_last_points_come_back_where_nothing_broke():
    target = Line()
    x, y = at(0.005, 0.3)
    found = drive(March(), plan(1, last_look=False), target, x, y, BALL, rng(), EVERY)
    assert torch.allclose((found - x)[:, 0], torch.full((2,), 0.01))
    assert sum(target.looks) == 2


def test_blocks_change_nothing(monkeypatch):
    x, y = at(*(0.01 * k + 0.005 for k in range(9)))
    whole = drive(March(), plan(), Line(), x, y, BALL, rng(), EVERY)
    monkeypatch.setattr("hauberk.attacks.driver._BLOCK_VALUES", 4)
    assert torch.equal(drive(March(), plan(), Line(), x, y, BALL, rng(), EVERY), whole)


def test_batches_follow_the_input_and_the_probe_answers():
    cpu = torch.device("cpu")
    assert batch_size((20,), cpu) > batch_size((1, 28, 28), cpu) > batch_size((3, 224, 224), cpu) > 0
    assert fast_bfloat16(cpu) in (True, False)


def test_a_target_that_learns_what_it_is_from_its_first_answer_can_be_attacked():
    @dataclass
    class Learner(Line):
        spec: TargetSpec = TargetSpec(name="line", kind="test", shape=(), classes=0, bounds=(0.0, 1.0))  # noqa: RUF009

        def predict(self, x: torch.Tensor) -> torch.Tensor:
            self.spec = LINE
            return super().predict(x)

    x, y = at(0.015)
    found = drive(March(), plan(), Learner(), x, y, BALL, rng(), EVERY)
    assert Line().predict(found).argmax(1).tolist() == [1]
    with pytest.raises(DataError, match="the target has 2 classes"):
        drive(March(), plan(), Learner(), x, y + 2, BALL, rng(), EVERY)


def test_a_rank_the_target_has_no_class_for_is_left_out():
    target = Line()
    x, y = at(0.3)
    rounds = (Round(LOSSES["ce"], 3, 1), Round(LOSSES["ce"], 3, 2))
    drive(March(), Plan(rounds=rounds), target, x, y, BALL, rng(), EVERY)
    assert sum(target.looks) == 1 + 4


def test_the_last_point_is_returned_unseen_whatever_was_met_on_the_way():
    """0.55 marches away to the left across 0.5 and on: the last point is the farthest, and it costs no look."""
    target = Line()
    x = torch.tensor([[0.55, 0.5], [0.9, 0.5]])
    plan = Plan(rounds=(Round(LOSSES["ce"], 4),), keep="last")
    found = drive(March(), plan, target, x, torch.tensor([1, 1]), BALL, rng(0), EVERY)
    assert torch.allclose(found[:, 0], x[:, 0] - 0.04, atol=1e-6)
    assert target.looks == target.gradients == [2, 2, 2, 2]


def test_a_lens_may_change_from_step_to_step():
    seen = []

    def lens(index):
        return (lambda points, _: seen.append(index) or points) if index % 2 else None

    plan = Plan(rounds=(Round(LOSSES["ce"], 4, lens=lens),), keep="last")
    drive(March(), plan, Line(), torch.tensor([[0.9, 0.5]]), torch.tensor([1]), BALL, rng(0), EVERY)
    assert seen == [1, 3]
