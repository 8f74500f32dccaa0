"""SARIF is valid by the official schema, and says what views need."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from hauberk.assurance.engine import render
from hauberk.core.evidence import Finding

SCHEMA = json.loads((Path(__file__).parents[2] / "golden" / "schemas" / "sarif-2.1.0.json").read_text())


def log(report):
    return json.loads(render(report, "sarif"))


def test_valid_by_the_official_schema(any_report):
    checker = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in checker.iter_errors(log(any_report))] == []


def test_the_schema_can_refuse(full):
    bad = log(full)
    bad["runs"][0]["results"][0]["level"] = "fatal"
    assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(bad))


def test_every_result_points_at_its_rule(full):
    (run,) = log(full)["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert all(rule["help"]["text"] and rule["properties"]["security-severity"] for rule in rules)
    assert len({rule["id"] for rule in rules}) == len(rules)


def test_findings_have_place_level_and_fingerprint(full):
    results = {
        r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]: r for r in log(full)["runs"][0]["results"]
    }
    load = results["serve.py"]
    assert load["level"] == "error"
    assert load["locations"][0]["physicalLocation"]["region"] == {"startLine": 42, "startColumn": 12, "endLine": 44}
    assert load["partialFingerprints"]["hauberkFinding/v1"]
    nested = results["models/teacher.pt"]["locations"][0]
    assert nested["logicalLocations"][0]["fullyQualifiedName"] == "models/teacher.pt!archive/data.pkl"
    assert "data/%C3%BCbung%20%5Bx%5D/%3Cb%3E.csv" in results
    assert results["requirements.txt"]["level"] == "note"


def test_accepted_findings_are_suppressed_and_only_these(full):
    for result in log(full)["runs"][0]["results"]:
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert ("suppressions" in result) == (uri == "train.py")


def test_requirements_stand_at_the_project_file(full):
    results = [r for r in log(full)["runs"][0]["results"] if r["ruleId"].startswith("requirement.")]
    assert {(r["kind"], r["level"]) for r in results} == {("fail", "error"), ("open", "none")}
    assert [r["kind"] for r in results].count("fail") == 1
    assert {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in results} == {"hauberk.toml"}
    assert {r["locations"][0]["physicalLocation"]["artifactLocation"]["uriBaseId"] for r in results} == {"%SRCROOT%"}


def test_gaps_are_notifications(full):
    (invocation,) = log(full)["runs"][0]["invocations"]
    assert len(invocation["toolExecutionNotifications"]) == 4
    assert invocation["exitCode"] == 1


def test_others_escapes_are_shown(full):
    text = render(full, "sarif").decode()
    assert "\\u202e" not in text.replace("\\\\u202e", "")
    assert "\x1b" not in json.dumps(log(full), ensure_ascii=False)


@pytest.mark.parametrize("line", [0, -3])
def test_impossible_lines_stay_valid(full, line):
    odd = tuple(
        msgspec.structs.replace(item, location=msgspec.structs.replace(item.location, line=line, column=0, end_line=-1))
        for item in full.evidence
        if isinstance(item, Finding)
    )
    jsonschema.validate(log(msgspec.structs.replace(full, evidence=odd)), SCHEMA)
