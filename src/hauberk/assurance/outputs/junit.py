"""JUnit XML: a testcase for each requirement, each finding that fails, and each gap, for CI's test views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar
from xml.etree import ElementTree as xml

from hauberk.assurance import reading
from hauberk.assurance.escaping import clipped, plain
from hauberk.core.card import Card
from hauberk.core.evidence import Finding, Skipped
from hauberk.core.policy import Judgement
from hauberk.core.report import Report

LONGEST = 4000
"""Characters of one message: test views are no place for a payload."""


class Junit:
    """Write JUnit XML as CI systems read it; undecided and not measured are errors, gaps are skipped."""

    card: ClassVar[Card] = Card(
        title="JUnit XML",
        summary="Requirements and failing findings as test cases, for any CI's test view.",
        paper="the Jenkins xUnit schema, junit-10",
        suffixes=(".junit.xml",),
    )

    def render(self, report: Report) -> bytes:
        """Write a well-formed document: characters XML forbids are written as their escapes."""
        suites = (
            ("policy", [_judged(judgement) for judgement in report.verdict().judgements]),
            ("findings", [_found(finding) for finding in reading.fails(report)]),
            ("not tested", [_skipped(item) for item in report.skipped]),
        )
        root = xml.Element("testsuites", name=plain(f"hauberk {report.project}"))
        for name, cases in suites:
            suite = xml.SubElement(root, "testsuite", name=name, timestamp=report.finished.isoformat())
            suite.extend(cases)
            _count(suite, cases)
        _count(root, [case for _, cases in suites for case in cases])
        root.set("time", f"{(report.finished - report.started).total_seconds():.3f}")
        xml.indent(root)
        return bytes(xml.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _count(element: xml.Element, cases: list[xml.Element]) -> None:
    element.set("tests", str(len(cases)))
    for word, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(word, str(sum(case.find(kind) is not None for case in cases)))


def _case(name: str, group: str) -> xml.Element:
    return xml.Element("testcase", name=clipped(plain(name), 400), classname=f"hauberk.{plain(group)}", time="0")


def _say(case: xml.Element, kind: str, message: str, lines: Iterator[str]) -> xml.Element:
    told = xml.SubElement(case, kind, message=clipped(plain(message), LONGEST))
    body = "\n".join(clipped(plain(line), LONGEST) for line in lines)
    if body:
        told.text = body
    return case


def _judged(judgement: Judgement) -> xml.Element:
    case = _case(judgement.requirement, "policy")
    if judgement.status == "met":
        return case
    kind = "failure" if judgement.status == "not met" else "error"
    return _say(case, kind, f"{judgement.status}: {judgement.reason}", iter(()))


def _found(finding: Finding) -> xml.Element:
    case = _case(f"{finding.rule} at {finding.location}", f"findings.{finding.severity}")
    case.set("file", plain(finding.location.path))
    if finding.location.line is not None:
        case.set("line", str(finding.location.line))
    return _say(case, "failure", finding.message, iter([f"Fix: {finding.fix}", *finding.trace, *finding.references]))


def _skipped(item: Skipped) -> xml.Element:
    case = _case(item.subject, f"not_tested.{item.kind}")
    return _say(case, "skipped", item.reason, iter([f"Fix: {item.fix}"] if item.fix else []))
