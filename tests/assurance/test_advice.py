"""What to do follows from what was found, most telling first."""

import math

import msgspec
import pytest

from hauberk.assurance import advice, reading
from hauberk.core.evidence import Indicator
from hauberk.core.policy import Policy, Requirement


def test_order_and_kinds(full):
    steps = advice.steps(full)
    assert [step.kind for step in steps] == (
        ["finding"] * 3
        + ["requirement"]
        + ["check"] * 2
        + ["requirement"] * 3
        + ["gap"] * 3
        + ["acceptance", "finding"]
    )
    assert steps[0].weight == "critical · model.pickle_payload"
    assert "harden" in steps[3].title


def test_one_fault_in_many_places_is_one_step(full):
    same = tuple(
        msgspec.structs.replace(
            full.findings[1], location=msgspec.structs.replace(full.findings[1].location, line=line)
        )
        for line in range(1, 9)
    )
    steps = advice.steps(msgspec.structs.replace(full, evidence=same, policy=Policy()))
    assert len(steps) == 1
    assert "7 more places" in steps[0].why
    assert len(steps[0].places) == 5


def test_nothing_to_do(full):
    assert advice.steps(msgspec.structs.replace(full, evidence=(), policy=Policy())) == ()


def row_of(report):
    return next(row for row in reading.rows(report) if row.judgement.measurement)


def judged(full, value, low, high, n, population, bound):
    row = msgspec.structs.replace(
        full.measurements[0], value=value, low=low, high=high, n=n, population=population, name="x", indicators=()
    )
    policy = Policy(require=(Requirement(measurement="x", min=bound),))
    return row_of(msgspec.structs.replace(full, evidence=(row,), policy=policy))


def test_how_many_samples_would_decide(full):
    """A half-width of 0.04 at n = 500 and a gap of 0.02: four times as many, and a tenth more to be safe."""
    needed = advice.enough(judged(full, 0.52, 0.48, 0.56, 500, None, 0.50))
    assert needed == pytest.approx(4 * 500 * 1.1, rel=0.05)
    assert needed >= 4 * 500 * 1.1


def test_no_number_is_promised_that_cannot_be_told(full):
    assert advice.enough(judged(full, 0.50, 0.46, 0.54, 500, None, 0.50)) is None


def test_a_check_that_failed_is_said(full):
    bad = Indicator(name="answers do not vary", passed=False, detail="they do")
    row = msgspec.structs.replace(full.measurements[0], indicators=(bad,))
    (step,) = advice.steps(msgspec.structs.replace(full, evidence=(row,), policy=Policy()))
    assert step.title == "Do not quote clean accuracy before its self-checks pass"
    assert step.why == "answers do not vary – they do"


def test_bars_lie_on_their_scale(full):
    for row in (*reading.rows(full), *reading.beside(full)):
        if row.bar:
            places = (row.bar.low, row.bar.value, row.bar.high)
            assert list(places) == sorted(places)
            assert all(0 <= place <= 1 and math.isfinite(place) for place in (*places, *row.bar.bounds))


def test_labels_speak_the_unit_of_the_figure(full):
    labels = {row.label: row.reason for row in reading.rows(full)}
    assert labels["Robust accuracy under pixels ≥ 30 %"] == "12.4 % [9.8, 15.6], n = 500 of 540"
    assert "Membership AUC under membership ≤ 0.6" in labels


@pytest.mark.parametrize(
    ("population", "start"), [(None, "Measure more"), (9000, "Measure more"), (540, "Give more test")]
)
def test_more_samples_than_there_are_must_be_given(full, population, start):
    row = msgspec.structs.replace(
        full.measurements[0], value=0.52, low=0.48, high=0.56, n=500, population=population, name="x", indicators=()
    )
    policy = Policy(require=(Requirement(measurement="x", min=0.5),))
    (step,) = advice.steps(msgspec.structs.replace(full, evidence=(row,), policy=policy))
    assert step.title.startswith(start)
    assert "2,2" in step.title
