"""The verdict follows from evidence and policy, and the exit status only from it."""

import datetime as dt

import pytest

from hauberk.core.evidence import Finding, Location, Measurement, Provenance, Skipped
from hauberk.core.policy import Acceptance, Policy, Requirement, failing, judge

TODAY = dt.date(2026, 11, 23)
MADE = Provenance(tool="hauberk", version="0", recipe="r", time="2026-11-23T00:00:00+00:00")


def finding(severity="high", confidence="high", rule="code.unsafe_load", path="serve.py"):
    return Finding(
        rule=rule,
        severity=severity,
        confidence=confidence,
        location=Location(path=path),
        message="m",
        fix="f",
        provenance=MADE,
    )


def robust(value, low, high, role="headline", threat="pixels"):
    return Measurement(
        name="robust_accuracy",
        subject="net",
        value=value,
        low=low,
        high=high,
        level=0.95,
        method="clopper-pearson",
        n=100,
        unit="share",
        better="higher",
        provenance=MADE,
        role=role,
        threat=threat,
    )


NEED = Policy(require=(Requirement(measurement="robust_accuracy", threat="pixels", min=0.6),))


def test_nothing_wrong_is_met():
    assert judge([], Policy(), TODAY).exit_status == 0


@pytest.mark.parametrize(
    ("value", "low", "high", "status", "exit_status"),
    [
        (0.8, 0.7, 0.9, "met", 0),
        (0.6, 0.6, 0.6, "met", 0),
        (0.7, 0.55, 0.8, "undecided", 3),
        (0.5, 0.4, 0.7, "not met", 1),
        (0.1, 0.0, 0.2, "not met", 1),
    ],
)
def test_a_bound_is_held_against_the_interval(value, low, high, status, exit_status):
    verdict = judge([robust(value, low, high)], NEED, TODAY)
    assert verdict.status == status
    assert verdict.exit_status == exit_status


def test_only_headlines_are_judged():
    assert judge([robust(0.9, 0.8, 1.0, role="curve")], NEED, TODAY).status == "not measured"


def test_another_threat_does_not_answer():
    assert judge([robust(0.9, 0.8, 1.0, threat="other")], NEED, TODAY).exit_status == 3


def test_an_upper_bound():
    policy = Policy(require=(Requirement(measurement="robust_accuracy", max=0.5),))
    assert judge([robust(0.4, 0.3, 0.49)], policy, TODAY).status == "met"
    assert judge([robust(0.4, 0.3, 0.51)], policy, TODAY).status == "undecided"
    assert judge([robust(0.6, 0.3, 0.7)], policy, TODAY).status == "not met"


def test_not_met_outweighs_not_measured():
    verdict = judge([finding()], NEED, TODAY)
    assert {row.status for row in verdict.judgements} == {"not met", "not measured"}
    assert verdict.exit_status == 1


@pytest.mark.parametrize(("severity", "fails"), [("info", 0), ("medium", 0), ("high", 1), ("critical", 1)])
def test_findings_fail_from_the_bar_up(severity, fails):
    assert len(failing([finding(severity)], Policy(), TODAY)) == fails


def test_low_confidence_and_never_do_not_fail():
    assert not failing([finding("critical", "low")], Policy(), TODAY)
    assert not failing([finding("critical")], Policy(fail_on="never"), TODAY)


@pytest.mark.parametrize(("until", "fails"), [(None, 0), (TODAY, 0), (TODAY - dt.timedelta(days=1), 1)])
def test_an_acceptance_ends(until, fails):
    policy = Policy(accept=(Acceptance(rule="code.*", path="serve*", reason="internal", until=until),))
    assert len(failing([finding()], policy, TODAY)) == fails


def test_an_acceptance_covers_only_its_path():
    policy = Policy(accept=(Acceptance(rule="code.*", path="other.py", reason="x"),))
    assert len(failing([finding()], policy, TODAY)) == 1


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("limit", "not measured"),
        ("error", "not measured"),
        ("interrupted", "not measured"),
        ("scope", "met"),
        ("power", "met"),
    ],
)
def test_what_could_not_be_looked_at_is_not_met(kind, status):
    gap = Skipped(subject="big.pkl", reason="over 1 GiB", provenance=MADE, kind=kind)
    assert judge([gap], Policy(), TODAY).status == status
    assert judge([gap], Policy(incomplete="report"), TODAY).status == "met"


def test_bounds_of_a_measurement_under_a_threat():
    policy = Policy(
        require=(
            Requirement(measurement="robust_accuracy", min=0.5),
            Requirement(measurement="robust_accuracy", threat="a", min=0.3, max=0.9),
            Requirement(measurement="clean_accuracy", min=0.95),
        )
    )
    assert policy.bounds("robust_accuracy", "a") == (0.3, 0.5, 0.9)
    assert policy.bounds("robust_accuracy", "b") == (0.5,)
    assert policy.bounds("membership_auc", "a") == ()
