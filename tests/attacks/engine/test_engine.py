from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from hauberk.attacks.engine import Plan, examine
from hauberk.core.encoding import canonical, decode_entry
from hauberk.core.errors import BudgetSpent, DataError, UsageError
from hauberk.core.evidence import Checkpoint, Exhibit, Measurement, Skipped
from hauberk.core.threat import Threat


def parts(entries):
    rows = list(entries)
    for row in rows:
        assert decode_entry(canonical(row)) == row
    return rows


def one(rows, name="robust_accuracy", role="headline"):
    found = [row for row in rows if isinstance(row, Measurement) and (row.name, row.role) == (name, role)]
    assert len(found) == 1, [row.name for row in rows if isinstance(row, Measurement)]
    return found[0]


def quiet(**more):
    return Plan(**{"checks": False, "exhibits": 0, **more})


def evidence(rows):
    return [row for row in rows if not isinstance(row, Checkpoint)]


def until_interrupted(entries):
    rows = []
    try:
        for row in entries:
            rows.append(row)
    except KeyboardInterrupt:
        return rows
    raise AssertionError("KeyboardInterrupt did not come out again")


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.05), ("linf", 0.15), ("l2", 0.3)])
def test_a_linear_model_has_the_robust_accuracy_of_its_closed_form(world, stamp, norm, radius):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of())
    plan = quiet(attacks=(world.Walk(),), chunk=64)
    rows = parts(examine(target, plane.data, world.threat(radius, norm), plan, stamp=stamp))
    truth = plane.robust(radius, norm).float().mean()
    headline = one(rows)
    assert headline.value == pytest.approx(float(truth), abs=1e-6)
    assert headline.low < headline.value < headline.high
    assert (headline.n, headline.population, headline.method) == (300, 300, "clopper-pearson")
    assert (headline.norm, headline.radius, headline.threat, headline.better) == (norm, radius, "t", "higher")
    clean = one(rows, "clean_accuracy")
    right = target.predict(plane.x).argmax(1) == plane.y
    assert clean.value == pytest.approx(float(right.float().mean()))
    assert clean.threat == ""
    assert "unchecked" in headline.note


def test_the_cascade_attacks_survivors_only_and_counts(world, stamp):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of())
    plan = quiet(attacks=(world.Idle(), world.Walk(steps=1), world.Walk(steps=3)), chunk=100)
    rows = parts(examine(target, plane.data, world.threat(0.1), plan, stamp=stamp))
    right = int((target.predict(plane.x).argmax(1) == plane.y).sum())
    left = int(plane.robust(0.1).sum())
    stages = [row for row in rows if isinstance(row, Measurement) and row.role == "stage"]
    assert [round(row.value * 300) for row in stages] == [right, left, left]
    assert "steps=1" in stages[1].note
    assert f"saw {left} samples" in stages[2].note
    gradients = one(rows, "gradients", "diagnostic")
    assert gradients.value == pytest.approx((right + 3 * left) / 300)
    assert gradients.unit == "gradients per sample"


def test_the_curve_is_monotone_and_meets_the_closed_form(world, stamp):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of())
    radii = (0.02, 0.05, 0.1, 0.2, 0.4)
    plan = quiet(attacks=(world.Walk(),), chunk=64, curve=radii)
    rows = parts(examine(target, plane.data, world.threat(0.1), plan, stamp=stamp))
    curve = {row.radius: row.value for row in rows if isinstance(row, Measurement) and row.role == "curve"}
    assert tuple(curve) == radii
    for radius, value in curve.items():
        assert value == pytest.approx(float(plane.robust(radius).float().mean()), abs=1e-6)
    assert list(curve.values()) == sorted(curve.values(), reverse=True)
    assert curve[0.1] == one(rows).value


def test_the_median_distance_is_near_the_closed_form(world, stamp):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of())
    rows = parts(examine(target, plane.data, world.threat(2.0), quiet(attacks=(world.Walk(),)), stamp=stamp))
    right = plane.robust(0.0)
    truth = ((plane.x @ plane.weight).abs() / plane.weight.abs().sum())[right].median()
    found = one(rows, "median_distance", "diagnostic")
    assert float(truth) <= found.value <= float(truth) * 1.3 + 2.0 / 256
    assert found.method == "bootstrap"


def test_a_precision_stops_early_with_the_anytime_valid_interval(world, stamp):
    plane = world.plane(1000)
    target = world.Smooth(plane.function, world.spec_of())
    plan = quiet(attacks=(world.Walk(),), samples=1000, precision=0.1)
    rows = parts(examine(target, plane.data, world.threat(0.1), plan, stamp=stamp))
    headline = one(rows)
    assert headline.n < 400
    assert headline.n % 32 == 0
    assert (headline.high - headline.low) / 2 <= 0.1
    assert headline.method == "beta-mixture-sequence"
    assert f"{headline.n} of 1000 samples were attacked" in headline.note
    assert headline.low <= float(plane.robust(0.1).float().mean()) <= headline.high


def test_samples_are_drawn_at_random_and_the_seed_decides(world, stamp):
    plane = world.plane()
    order = plane.robust(0.1).float().argsort(stable=True)  # all broken samples come first
    data = world.data_of(plane.x[order], plane.y[order])
    target = world.Smooth(plane.function, world.spec_of())

    def value(seed):
        plan = quiet(attacks=(world.Walk(),), samples=100)
        return one(parts(examine(target, data, world.threat(0.1), plan, stamp=stamp, seed=seed)))

    truth = float(plane.robust(0.1).float().mean())
    assert all(abs(value(seed).value - truth) < 0.2 for seed in range(4))
    assert value(1) == value(1)
    assert len({value(seed).value for seed in range(6)}) > 1


def test_exhibits_show_what_broke(world, stamp):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of())
    plan = quiet(attacks=(world.Walk(),), chunk=20, exhibits=5)
    rows = parts(examine(target, plane.data, world.threat(0.1), plan, stamp=stamp))
    shown = [row for row in rows if isinstance(row, Exhibit)]
    assert len(shown) == 5
    for row in shown:
        clean, bad = (np.frombuffer(part, "<f4") for part in (row.clean, row.adversarial))
        assert clean.shape == bad.shape == (12,)
        assert 0 < np.abs(bad - clean).max() <= 0.1
        assert row.distance == pytest.approx(np.abs(bad - clean).max(), abs=1e-6)
        said = target.predict(torch.from_numpy(np.stack((clean, bad)))).argmax(1)
        assert (row.predicted_clean, row.predicted_adversarial) == tuple("ab"[int(i)] for i in said)
        assert row.label == row.predicted_clean != row.predicted_adversarial


def test_a_resumed_run_gives_the_same_evidence_and_asks_only_for_the_rest(world, stamp):
    plane = world.plane()
    threat, plan = world.threat(0.1), quiet(attacks=(world.Walk(),), chunk=50, curve=(0.05,), exhibits=7)

    def run(resume=None):
        target = world.Smooth(plane.function, world.spec_of())
        return target, parts(examine(target, plane.data, threat, plan, stamp=stamp, step="k", resume=resume))

    whole_target, whole = run()
    points = [row for row in whole if isinstance(row, Checkpoint)]
    assert [point.part for point in points] == [0, 1, 2, 3, 4, 5]
    assert {point.step for point in points} == {"k"}
    target, again = run({point.part: point.state for point in points[:4]})
    assert evidence(again) == evidence(whole)
    assert [row.part for row in again if isinstance(row, Checkpoint)] == [4, 5]
    assert target.asked < whole_target.asked / 2
    _, holes = run({point.part: point.state for point in points[1:5:2]})
    assert evidence(holes) == evidence(whole)


def test_a_state_of_other_samples_is_not_believed(world, stamp):
    plane = world.plane()
    plan = quiet(attacks=(world.Walk(),), chunk=100)
    target = world.Smooth(plane.function, world.spec_of())
    rows = parts(examine(target, plane.data, world.threat(0.1), plan, stamp=stamp))
    first = next(row for row in rows if isinstance(row, Checkpoint))
    for state in (json.dumps({"nonsense": 1}), first.state.replace('"samples":[', '"samples":[9999,'), "", first.state):
        resumed = parts(examine(target, plane.data, world.threat(0.1), plan, stamp=stamp, resume={1: state}))
        assert evidence(resumed) == evidence(rows)


def test_ctrl_c_loses_only_the_running_chunk(world, stamp):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of(), interrupt_after=260)
    plan = quiet(attacks=(world.Walk(),), chunk=50)
    rows = until_interrupted(examine(target, plane.data, world.threat(0.1), plan, stamp=stamp))
    done = len([row for row in rows if isinstance(row, Checkpoint)]) * 50
    assert 0 < done < 300
    headline = one(rows)
    assert headline.n == done
    assert headline.method == "beta-mixture-sequence", "nobody planned to stop here"
    assert f"{done} of 300 samples" in headline.note
    gap = next(row for row in rows if isinstance(row, Skipped))
    assert gap.kind == "interrupted"
    assert f"{300 - done} of 300" in gap.reason


def test_ctrl_c_between_chunks_can_be_thrown_in(world, stamp):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of())
    running = examine(target, plane.data, world.threat(0.1), quiet(attacks=(world.Walk(),), chunk=50), stamp=stamp)
    assert isinstance(next(running), Checkpoint)
    rows = [running.throw(KeyboardInterrupt()), *until_interrupted(running)]
    assert one(rows).n == 50


def test_a_target_that_fails_keeps_what_was_measured(world, stamp):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of(), fail_after=260)
    rows = parts(examine(target, plane.data, world.threat(0.1), quiet(attacks=(world.Walk(),), chunk=50), stamp=stamp))
    assert 0 < one(rows).n < 300
    gap = next(row for row in rows if isinstance(row, Skipped))
    assert gap.kind == "error"
    assert "the model fell over" in gap.reason
    broken = world.Smooth(plane.function, world.spec_of(), fail_after=0)
    rows = parts(examine(broken, plane.data, world.threat(0.1), quiet(attacks=(world.Walk(),)), stamp=stamp))
    assert [type(row) for row in rows] == [Skipped]


def test_the_query_budget_is_kept_exactly(world, stamp):
    plane = world.plane(40)
    asked = []

    def function(x):
        asked.append(len(x))
        return plane.function(x)

    target = world.Scores(function, world.spec_of())
    threat = world.threat(0.1, knowledge="score", queries=7)
    for portion in (1.0, 0.3):
        plan = quiet(attacks=(world.Greedy(portion=portion),), chunk=40)
        rows = parts(examine(target, plane.data, threat, plan, stamp=stamp))
        right = int((target.predict(plane.x).argmax(1) == plane.y).sum())
        spent = one(rows, "queries", "diagnostic").value * 40
        assert spent <= 7 * right
        assert spent > 7 * right - max(1, int(portion * right))
        assert "asked for more" in one(rows).note
        assert one(rows).value == pytest.approx(right / 40)


def test_two_black_boxes_share_the_budget(world, stamp):
    plane = world.plane(40)
    target = world.Scores(plane.function, world.spec_of())
    threat = world.threat(0.1, knowledge="score", queries=7)
    plan = quiet(attacks=(world.Greedy(), world.Greedy(portion=0.5)))
    rows = parts(examine(target, plane.data, threat, plan, stamp=stamp))
    assert one(rows, "queries", "diagnostic").value <= 6


def test_the_targets_own_budget_is_a_limit(world, stamp):
    plane = world.plane(60)

    def function(x):
        if target.asked > 70:
            raise BudgetSpent("70 queries are used", where="model test")
        return plane.function(x)

    target = world.Smooth(function, world.spec_of())
    rows = parts(examine(target, plane.data, world.threat(0.1), quiet(attacks=(world.Walk(),), chunk=20), stamp=stamp))
    assert next(row for row in rows if isinstance(row, Skipped)).kind == "limit"


def test_what_strays_is_put_back_before_it_counts(world, stamp):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of())
    plan = Plan(attacks=(world.Wild(),), chunk=300, exhibits=300)
    rows = parts(examine(target, plane.data, world.threat(0.1), plan, stamp=stamp))
    headline = one(rows)
    corner = (plane.x + 0.1).clamp(-4, 4)
    left = (target.predict(corner).argmax(1) == plane.y) & (target.predict(plane.x).argmax(1) == plane.y)
    assert headline.value * 300 == pytest.approx(float(left.sum()), abs=2)
    stays = next(row for row in headline.indicators if row.name == "the attacks stay in the threat's set")
    assert stays.passed is False
    assert "should not be trusted" in headline.note
    for row in rows:
        if isinstance(row, Exhibit):
            assert np.abs(np.frombuffer(row.adversarial, "<f4") - np.frombuffer(row.clean, "<f4")).max() <= 0.1


def test_a_lacking_power_is_named_with_what_was_run_instead(world, stamp):
    plane = world.plane(40)
    target = world.Scores(plane.function, world.spec_of())
    rows = parts(
        examine(target, plane.data, world.threat(0.1), quiet(attacks=(world.Walk(), world.Idle())), stamp=stamp)
    )
    gap = next(row for row in rows if isinstance(row, Skipped))
    assert gap.kind == "power"
    assert "Walk" in gap.subject
    assert "gradients" in gap.reason
    assert "Idle was run" in gap.reason
    assert one(rows).n == 40
    rows = parts(examine(target, plane.data, world.threat(0.1), quiet(attacks=(world.Walk(),)), stamp=stamp))
    assert [type(row) for row in rows] == [Skipped]
    labels = world.threat(0.1, knowledge="decision")
    smooth = world.Smooth(plane.function, world.spec_of())
    rows = parts(examine(smooth, plane.data, labels, quiet(attacks=(world.Walk(),)), stamp=stamp))
    assert [row.kind for row in rows] == ["power"], "a decision attacker is shown no gradients though there are some"


def test_a_model_wrong_everywhere(world, stamp):
    plane = world.plane()
    wrong = world.Smooth(lambda x: plane.function(x).flip(1) * 0 + torch.tensor([0.0, 1.0]), world.spec_of())
    data = world.data_of(plane.x[plane.y == 0], plane.y[plane.y == 0])
    rows = parts(examine(wrong, data, world.threat(0.1), Plan(attacks=(world.Walk(),), curve=(0.2,)), stamp=stamp))
    headline = one(rows)
    assert (headline.value, headline.low) == (0, 0)
    assert "wrong on every clean sample" in headline.note
    assert one(rows, "clean_accuracy").value == 0


def test_a_targeted_threat(world, stamp):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of())
    threat = world.threat(0.1, target_class=1)
    rows = parts(examine(target, plane.data, threat, quiet(attacks=(world.Walk(),)), stamp=stamp))
    aimed = plane.y == 0
    headline = one(rows)
    assert headline.n == int(aimed.sum())
    assert headline.value == pytest.approx(float(plane.robust(0.1)[aimed].float().mean()))


def test_nothing_to_attack_and_misfits(world, stamp):
    plane = world.plane(20)
    target = world.Smooth(plane.function, world.spec_of())
    plan = quiet(attacks=(world.Walk(),))
    empty = world.data_of(plane.x[:0], plane.y[:0])
    assert [type(row) for row in examine(target, empty, world.threat(0.1), plan, stamp=stamp)] == [Skipped]
    for data in (
        world.data_of(plane.x * 9, plane.y),
        world.data_of(plane.x, plane.y + 1),
        world.data_of(plane.x[:, :5], plane.y),
    ):
        with pytest.raises(DataError):
            list(examine(target, data, world.threat(0.1), plan, stamp=stamp))
    with pytest.raises(UsageError):
        list(examine(target, plane.data, Threat(name="t"), quiet(attacks=(world.Idle(),)), stamp=stamp))


def test_data_and_random_state_are_left_alone(world, stamp):
    plane = world.plane(60)
    target = world.Smooth(plane.function, world.spec_of())
    before = plane.data.test.x.copy()
    state = torch.random.get_rng_state()
    list(examine(target, plane.data, world.threat(0.1), Plan(attacks=(world.Walk(),)), stamp=stamp))
    assert np.array_equal(plane.data.test.x, before)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(("bound", "most"), [(0.1, 64), (0.95, 64)])
def test_a_question_of_the_policy_needs_no_more_samples_than_decide_it(world, stamp, bound, most):
    plane = world.plane(n=800)
    target = world.Smooth(plane.function, world.spec_of())
    plan = quiet(attacks=(world.Walk(),), samples=800, gates=(bound,))
    headline = one(parts(examine(target, plane.data, world.threat(0.1), plan, stamp=stamp)))
    truth = float(plane.robust(0.1).float().mean())
    assert 0.3 < truth < 0.8
    assert headline.n <= most
    assert (headline.low >= bound) == (truth > bound)
    assert headline.method == "beta-mixture-sequence"
    assert f"{headline.n} of 800 samples" in headline.note


def test_a_question_near_the_figure_takes_all_samples(world, stamp):
    plane = world.plane()
    target = world.Smooth(plane.function, world.spec_of())
    truth = float(plane.robust(0.1).float().mean())
    plan = quiet(attacks=(world.Walk(),), gates=(0.0, truth))
    headline = one(parts(examine(target, plane.data, world.threat(0.1), plan, stamp=stamp)))
    assert headline.n == 300
