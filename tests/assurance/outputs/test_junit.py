"""JUnit XML is well-formed whatever it says, and its counts are its cases."""

from xml.etree import ElementTree as xml

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hauberk.assurance.engine import render


def test_counts_are_cases(any_report):
    root = xml.fromstring(render(any_report, "junit"))
    assert root.tag == "testsuites"
    for element in (root, *root.iter("testsuite")):
        cases = list(element.iter("testcase"))
        assert int(element.get("tests")) == len(cases)
        for word, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.get(word)) == sum(case.find(kind) is not None for case in cases)


def test_a_case_for_each_judgement_failing_finding_and_gap(full):
    suites = {suite.get("name"): suite for suite in xml.fromstring(render(full, "junit"))}
    assert len(suites["policy"]) == len(full.verdict().judgements)
    assert [case.get("file") for case in suites["findings"]] == [
        "models/teacher.pt",
        "serve.py",
        "notebooks/explore.ipynb",
    ]
    assert len(suites["not tested"]) == 4
    assert {case.tag for suite in suites.values() for case in suite} == {"testcase"}


def test_failures_follow_the_verdict(any_report):
    root = xml.fromstring(render(any_report, "junit"))
    bad = int(root.get("failures")) + int(root.get("errors"))
    assert bool(bad) == (any_report.verdict().exit_status != 0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_is_well_formed(full, text):
    bad = msgspec.structs.replace(full.findings[0], message=text, fix=text, trace=(text,), rule=text or "r")
    root = xml.fromstring(render(msgspec.structs.replace(full, evidence=(bad,), project=text), "junit"))
    assert root.find(".//failure") is not None


@pytest.mark.parametrize("char", ["\x00", "\x08", "\ufffe", "\uffff", "\ud800", "\x85"])
def test_characters_xml_forbids(full, char):
    bad = msgspec.structs.replace(full.findings[0], message=f"a{char}b")
    root = xml.fromstring(render(msgspec.structs.replace(full, evidence=(bad,)), "junit"))
    assert root.find(".//testsuite[@name='findings']//failure").get("message").endswith("b")
