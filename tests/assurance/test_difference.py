"""A difference says better or worse only where the intervals do, and what else differs."""

import datetime as dt
import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hauberk.assurance import difference_pages
from hauberk.assurance.difference import Difference, compare
from hauberk.core.encoding import decode
from hauberk.core.errors import UnknownName
from hauberk.core.policy import Acceptance, Policy, Requirement

FORMS = ("terminal", "markdown", "html", "json")


def with_(report, **changes):
    return msgspec.structs.replace(report, **changes)


def moved(finding, line):
    return with_(finding, location=with_(finding.location, line=line))


def headline(full, value, low, high, **changes):
    row = next(row for row in full.measurements if row.role == "headline" and row.threat == "pixels")
    return with_(row, value=value, low=low, high=high, **changes)


def change_of(full, before, after, **more):
    found = compare(with_(full, evidence=(before,)), with_(full, evidence=(after,), **more))
    (change,) = found.changes
    return change


def test_a_report_does_not_differ_from_itself(any_report):
    found = compare(any_report, any_report)
    assert (found.new, found.fixed, found.flips) == ((), (), ())
    assert {change.judged for change in found.changes} <= {"no significant change"}
    assert not found.worse
    assert [warning for warning in found.warnings if "interrupted" not in warning] == []


def test_findings_are_followed_over_moved_lines(full):
    first, second, third = full.findings[1], full.findings[3], full.findings[7]
    before = with_(full, evidence=(first, second), policy=Policy())
    found = compare(before, with_(before, evidence=(third, moved(first, 300))))
    assert found.new == (third,)
    assert found.fixed == (second,)
    assert found.unchanged == (moved(first, 300),)
    assert found.worse


def test_one_of_two_equal_findings_is_fixed(full):
    one, two = moved(full.findings[1], 10), moved(full.findings[1], 20)
    before = with_(full, evidence=(one, two), policy=Policy())
    found = compare(before, with_(before, evidence=(moved(one, 15),)))
    assert (len(found.new), len(found.fixed), len(found.unchanged)) == (0, 1, 1)


def test_an_acceptance_that_ends_brings_a_finding_back(full):
    policy = Policy(accept=(Acceptance(rule="code.*", reason="r", until=dt.date(2026, 11, 23)),))
    before = with_(full, evidence=(full.findings[1],), policy=policy)
    after = with_(before, finished=before.finished + dt.timedelta(days=1))
    assert compare(before, after).new == (full.findings[1],)


@pytest.mark.parametrize(
    ("after", "better", "judged"),
    [
        ((0.70, 0.66, 0.74), "higher", "better"),
        ((0.30, 0.26, 0.34), "higher", "worse"),
        ((0.70, 0.66, 0.74), "lower", "worse"),
        ((0.30, 0.26, 0.34), "lower", "better"),
        ((0.70, 0.66, 0.74), "neither", "changed"),
        ((0.53, 0.49, 0.57), "higher", "no significant change"),
        ((0.56, 0.52, 0.60), "higher", "better"),  # the intervals overlap, that of the difference leaves out 0
    ],
)
def test_better_and_worse(full, after, better, judged):
    change = change_of(full, headline(full, 0.50, 0.46, 0.54, better=better), headline(full, *after, better=better))
    assert change.judged == judged


def test_the_interval_is_newcombes(full):
    """Newcombe 1998, method 10, his example (a): 56/70 against 48/80 gives 0.0524 to 0.3339."""
    before = headline(full, 48 / 80, 0.4904, 0.7004)
    after = headline(full, 56 / 70, 0.6918, 0.8777)
    change = change_of(full, before, after)
    assert (change.low, change.high) == pytest.approx((0.0524, 0.3339), abs=5e-4)
    assert change.judged == "better"


BOUNDS = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=BOUNDS, after=BOUNDS)
def test_swapping_the_sides_mirrors_the_interval(full, before, after):
    a, b = (headline(full, value, low, high) for low, value, high in (before, after))
    there, back = change_of(full, a, b), change_of(full, b, a)
    assert there.low <= b.value - a.value <= there.high
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    mirror = {"better": "worse", "worse": "better"}
    assert back.judged == mirror.get(there.judged, there.judged)


def test_another_attacker_is_not_compared(full):
    before = headline(full, 0.2, 0.1, 0.3)
    for other in ({"radius": 0.01}, {"norm": "l2"}, {"unit": "area"}, {"level": 0.9}):
        change = change_of(full, before, headline(full, 0.9, 0.8, 1.0, **other))
        assert change.judged == "not comparable"
        assert change.caveats


def test_a_weaker_attack_is_named(full):
    stage = next(row for row in full.measurements if row.provenance.recipe == "evasion.pgd" and row.role == "stage")
    before = with_(stage, role="headline")
    settings = tuple(with_(setting, value=1) for setting in before.provenance.settings)
    after = with_(before, provenance=with_(before.provenance, settings=settings))
    assert change_of(full, before, after).caveats == ("steps 40 → 1",)


def test_no_interval_is_not_judged(full):
    before = headline(full, 0.2, 0.2, 0.2, method="none")
    assert change_of(full, before, headline(full, 0.9, 0.9, 0.9, method="none")).judged == "no interval"


def test_one_side_only(full):
    row = headline(full, 0.5, 0.4, 0.6)
    have, lack = with_(full, evidence=(row,)), with_(full, evidence=())
    assert [change.judged for change in compare(have, lack).changes] == ["gone"]
    assert [change.judged for change in compare(lack, have).changes] == ["new"]


def test_flipped_requirements(full):
    policy = Policy(require=(Requirement(measurement="robust_accuracy", threat="pixels", min=0.5),))
    before = with_(full, policy=policy, evidence=(headline(full, 0.7, 0.6, 0.8),))
    after = with_(before, evidence=(headline(full, 0.3, 0.2, 0.4),))
    (flip,) = compare(before, after).flips
    assert (flip.before, flip.after) == ("met", "not met")
    assert compare(before, after).worse
    assert compare(after, before).flips[0].after == "met"
    (gone,) = compare(before, with_(before, policy=Policy())).flips
    assert gone.after is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda r: {"target": with_(r.target, digest="sha256:00")}, "model"),
        (lambda r: {"dataset": with_(r.dataset, digest="sha256:00")}, "data differ"),
        (lambda r: {"version": "0.2.0"}, "versions"),
        (lambda r: {"seed": 8}, "seeds"),
        (lambda r: {"project": "other"}, "projects"),
        (lambda r: {"policy": Policy()}, "policies"),
        (lambda r: {"interrupted": True}, "interrupted"),
        (lambda r: {"evidence": (*r.evidence, with_(r.skipped[0], subject="serve.py"))}, "serve.py"),
    ],
)
def test_what_else_differs_is_said(full, change, word):
    warnings = compare(full, with_(full, **change(full))).warnings
    assert any(word in warning for warning in warnings)


def test_a_hardened_model(full, hardened):
    found = compare(full, hardened)
    judged = {(change.row.name, change.row.threat): change.judged for change in found.headlines}
    assert judged["robust_accuracy", "pixels"] == "better"
    assert judged["clean_accuracy", ""] == "worse"
    assert judged["robust_accuracy", "queries"] == "no significant change"
    assert [finding.rule for finding in found.new] == ["code.eval"]
    assert [finding.rule for finding in found.fixed] == ["model.pickle_payload"]
    assert found.points == "2 better, 15 no significant change"


def test_gaps_that_come_and_go(full):
    clean = with_(full, evidence=(), policy=Policy())
    (flip,) = compare(clean, with_(clean, evidence=full.skipped)).flips
    assert (flip.requirement, flip.before, flip.after) == ("everything could be looked at", "met", "not measured")


@pytest.mark.parametrize("form", FORMS)
def test_rendered_and_harmless(full, form):
    before = with_(full, evidence=full.evidence[:3])
    text = difference_pages.render(compare(before, full), form).decode()
    assert "\x1b" not in text
    if form in ("html", "markdown"):
        assert "<script>" not in text
    if form == "json":
        assert decode(text, Difference) == compare(before, full)
        json.loads(text)


def test_an_unknown_form(full):
    with pytest.raises(UnknownName, match="sarif"):
        difference_pages.render(compare(full, full), "sarif")
