"""SARIF 2.1.0 for code-scanning views: findings, requirements not met, and what could not be looked at."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import msgspec

from hauberk.assurance import reading, wording
from hauberk.assurance.escaping import plain, uri
from hauberk.core.card import Card
from hauberk.core.evidence import Confidence, Finding, Location, Severity, Skipped
from hauberk.core.fingerprint import fingerprints
from hauberk.core.policy import Judgement, accepted
from hauberk.core.project import FILE_NAME
from hauberk.core.report import Report

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: dict[Severity, str] = {
    "critical": "error",
    "high": "error",
    "medium": "warning",
    "low": "note",
    "info": "note",
}
SCORES: dict[Severity, str] = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "3.0", "info": "0.0"}
"""security-severity, by which code-scanning views sort: the middle of CVSS v3.1's band of that name."""
PRECISION: dict[Confidence, str] = {"high": "high", "medium": "medium", "low": "low"}


class Sarif:
    """Write one SARIF run; its paths are relative to %SRCROOT%, its fingerprints survive moved lines."""

    card: ClassVar[Card] = Card(
        title="SARIF 2.1.0",
        summary="Findings and missed requirements for code-scanning views and SARIF viewers.",
        paper="OASIS SARIF 2.1.0 with errata 01",
        suffixes=(".sarif",),
    )

    def render(self, report: Report) -> bytes:
        """Write the log, indented, keys in the specification's order."""
        log: Json = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]}
        return msgspec.json.format(msgspec.json.encode(log), indent=2) + b"\n"


def _run(report: Report) -> dict[str, Json]:
    bounds = [judgement for judgement in report.verdict().judgements if _is_bound(report, judgement)]
    open_ = [judgement for judgement in bounds if judgement.status != "met"]
    rules = [*_rules(report.findings), *_requirement_rules(open_)]
    index = {str(rule["id"]): position for position, rule in enumerate(rules)}
    results: list[Json] = [
        _result(report, finding, mark, index)
        for finding, mark in zip(report.findings, fingerprints(report.findings), strict=True)
    ]
    results.extend(_unmet(judgement, index) for judgement in open_)
    driver: dict[str, Json] = {
        "name": "hauberk",
        "version": report.version,
        "informationUri": "https://hauberk.dev",
        "rules": list(rules),
    }
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"hauberk/{uri(report.project)}/"},
        "invocations": [_invocation(report)],
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The project's folder."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {
            "run": report.run,
            "verdict": report.verdict().status,
            "seed": report.seed,
            "logRoot": report.root,
            "digests": {digest.name: digest.value for digest in report.digests},
        },
    }


def _is_bound(report: Report, judgement: Judgement) -> bool:
    return judgement.requirement in {str(requirement) for requirement in report.policy.require}


def _rules(findings: Sequence[Finding]) -> list[dict[str, Json]]:
    """Describe each rule that found something; its card explains it, its worst finding sets its level."""
    together: dict[str, list[Finding]] = {}
    for finding in findings:
        together.setdefault(finding.rule, []).append(finding)
    return [_rule(name, together[name]) for name in sorted(together)]


def _rule(name: str, findings: Sequence[Finding]) -> dict[str, Json]:
    severity = next(word for word in wording.WORST_FIRST if any(finding.severity == word for finding in findings))
    card = reading.rule_card(name)
    title = card.title if card else wording.title(name.rpartition(".")[2])
    summary = card.summary if card else plain(findings[0].message)
    references = sorted(
        {word for finding in findings for word in finding.references} | set(card.threats if card else ())
    )
    advice = " ".join(dict.fromkeys(plain(finding.fix) for finding in findings if finding.fix)) or summary
    help_ = f"{summary}\n\nWhat to do: {advice}" + (f"\n\nSee: {', '.join(references)}" if references else "")
    return {
        "id": name,
        "name": "".join(part.title() for part in re.split(r"[^A-Za-z0-9]+", name)),
        "shortDescription": {"text": title},
        "fullDescription": {"text": summary},
        "help": {"text": plain_lines(help_)},
        "defaultConfiguration": {"level": LEVELS[severity]},
        "properties": {
            "tags": ["security", *_tags(references)],
            "precision": PRECISION[
                max((finding.confidence for finding in findings), key=("low", "medium", "high").index)
            ],
            "security-severity": SCORES[severity],
        },
    }


def plain_lines(text: str) -> str:
    """Make each line plain, keep the line breaks."""
    return "\n".join(plain(line) for line in text.split("\n"))


def _tags(references: Sequence[str]) -> list[Json]:
    """Tag as code-scanning views group: external/cwe/cwe-502; other standards by their id."""
    tags = (plain(word) for word in references)
    return [f"external/cwe/{word.lower()}" if re.fullmatch(r"CWE-\d+", word) else word for word in tags]


def _result(report: Report, finding: Finding, mark: str, index: dict[str, int]) -> dict[str, Json]:
    told = plain(finding.message) + (f" Fix: {plain(finding.fix)}" if finding.fix else "")
    result: dict[str, Json] = {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "kind": "fail",
        "level": LEVELS[finding.severity],
        "message": {"text": told},
        "locations": [_location(finding.location)],
        "partialFingerprints": {"hauberkFinding/v1": mark},
        "properties": {"severity": finding.severity, "confidence": finding.confidence},
    }
    if finding.trace:
        result["stacks"] = [
            {"message": {"text": "How the rule got there"}, "frames": [_frame(line) for line in finding.trace]}
        ]
    acceptance = accepted(finding, report.policy, report.finished.date())
    if acceptance is not None:
        until = f" (until {acceptance.until})" if acceptance.until else ""
        where = "inSource" if finding.ignored else "external"
        result["suppressions"] = [
            {"kind": where, "status": "accepted", "justification": plain(acceptance.reason) + until}
        ]
    return result


def _frame(line: str) -> dict[str, Json]:
    return {"location": {"message": {"text": plain(line)}}}


def _location(place: Location) -> dict[str, Json]:
    """Place a finding. A view needs a line: what has none, as a binary file, is shown at its first."""
    line = max(0, place.line or 0)
    region: dict[str, Json] = {"startLine": line or 1}
    if line and place.column and place.column > 0:
        region["startColumn"] = place.column
    if line and place.end_line and place.end_line >= line:
        region["endLine"] = place.end_line
    located: dict[str, Json] = {
        "physicalLocation": {
            "artifactLocation": {"uri": uri(place.path), "uriBaseId": "%SRCROOT%"},
            "region": region,
        }
    }
    if place.part:
        located["logicalLocations"] = [
            {
                "name": plain(place.part.rpartition("!")[2]),
                "fullyQualifiedName": plain(f"{place.path}!{place.part}"),
                "kind": "member",
            }
        ]
    if place.offset is not None:
        located["message"] = {"text": f"at byte {place.offset}"}
    return located


def _requirement_rules(judgements: Sequence[Judgement]) -> list[dict[str, Json]]:
    rules: dict[str, dict[str, Json]] = {}
    for judgement in judgements:
        name = _requirement_rule(judgement)
        quantity = plain(judgement.requirement.split(" ")[0])
        rules[name] = {
            "id": name,
            "name": "Requirement" + "".join(part.title() for part in quantity.split("_")),
            "shortDescription": {"text": f"{wording.title(quantity)} is within the policy's bound"},
            "fullDescription": {"text": "The measured interval is held against the bound in [policy] of hauberk.toml."},
            "help": {
                "text": "Not met: the value is on the wrong side of the bound. Open: the interval crosses the bound, "
                "or nothing was measured; measure more samples. What to do stands in report.html."
            },
            "defaultConfiguration": {"level": "error"},
            "properties": {
                "tags": ["security", "robustness"],
                "precision": "high",
                "security-severity": SCORES["high"],
            },
        }
    return [rules[name] for name in sorted(rules)]


def _requirement_rule(judgement: Judgement) -> str:
    return f"requirement.{plain(judgement.requirement.split(' ')[0])}"


def _unmet(judgement: Judgement, index: dict[str, int]) -> dict[str, Json]:
    """Report a requirement at the project file: "fail" where it is not met, "open" where it could not be decided."""
    name = _requirement_rule(judgement)
    bad = judgement.status == "not met"
    key = hashlib.sha256(judgement.requirement.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return {
        "ruleId": name,
        "ruleIndex": index[name],
        "kind": "fail" if bad else "open",
        "level": "error" if bad else "none",
        "message": {"text": plain(f"{judgement.requirement}: {judgement.status}. {judgement.reason}")},
        "locations": [_location(Location(path=FILE_NAME))],
        "partialFingerprints": {"hauberkRequirement/v1": key},
    }


def _invocation(report: Report) -> dict[str, Json]:
    return {
        "commandLine": plain(report.command),
        "startTimeUtc": _utc(report.started.isoformat()),
        "endTimeUtc": _utc(report.finished.isoformat()),
        "exitCode": report.verdict().exit_status,
        "executionSuccessful": not report.interrupted,
        "toolExecutionNotifications": [_notification(item) for item in report.skipped],
    }


def _utc(time: str) -> str:
    return time.removesuffix("+00:00").removesuffix("Z") + "Z"


def _notification(item: Skipped) -> dict[str, Json]:
    level = {"error": "error", "limit": "warning", "interrupted": "warning"}.get(item.kind, "note")
    fix = f" To let it be looked at: {plain(item.fix)}." if item.fix else ""
    return {
        "level": level,
        "message": {"text": f"Not tested: {plain(item.subject)}: {plain(item.reason)}.{fix}"},
        "descriptor": {"id": f"not-tested/{item.kind}"},
    }
