"""The bill of materials against the official schemas, with hostile text, and what it says of each part."""

from __future__ import annotations

import json

import msgspec
import pytest

from hauberk.assurance.engine import render, report_from_json
from hauberk.core.evidence import Digest, Finding, Location, Provenance, Setting
from hauberk.core.inventory import Component

VERSIONS = [("cyclonedx", "1.6"), ("cyclonedx17", "1.7")]
TEXT = "<b>\x1b[31m\u202e\x00 ]]> name"
MADE = Provenance(tool="hauberk", version="0", recipe="r", time="2026-11-23T12:00:00+00:00")


def component(kind, name, **more):
    return Component(kind=kind, name=name, **more)


INVENTORY = (
    component("application", "x", version="1.0", licences=("Apache-2.0",), path="pyproject.toml"),
    component(
        "model", "m.pt", path="models/m.pt", digests=(Digest(name="sha256", value="sha256:" + "0" * 64),),
        properties=(Setting(name="size", value=5), Setting(name="task", value="text-generation"),
                    Setting(name="dataset", value="c4")),
    ),
    component("model", TEXT, path=TEXT, licences=(TEXT, "LicenseRef-llama3"),
              properties=(Setting(name=TEXT, value=TEXT),)),
    component("data", "d.csv", path="d.csv", digests=(Digest(name="blake3", value="blake3:" + "1" * 64),)),
    component("library", "torch", version="2.5.0", purl="pkg:pypi/torch@2.5.0", path="requirements.txt", line=3,
              licences=("MIT OR Apache-2.0",)),
    component("library", "torch", version="2.5.0", purl="pkg:pypi/torch@2.5.0", path="poetry.lock", line=9),
    component("library", "flask", purl="pkg:pypi/flask", path="requirements.txt", line=4),
)  # fmt: skip


def finding(rule, severity, path, line=None, message="m", references=()):
    place = Location(path=path, line=line)
    return Finding(
        rule=rule, severity=severity, confidence="high", location=place, message=message, fix="update", provenance=MADE,
        references=references,
    )  # fmt: skip


FINDINGS = (
    finding("model.pickle_call", "critical", "models/m.pt"),
    *(
        finding("dependencies.known_vulnerable", "critical", path, line, "torch 2.5.0 is affected by CVE-2025-32434: x",
                ("CVE-2025-32434", "PYSEC-2025-1", "CWE-1395"))
        for path, line in (("requirements.txt", 3), ("poetry.lock", 9))
    ),
    finding("dependencies.known_vulnerable", "critical", "requirements.txt", 4, "flask 1 is affected by a fault: x"),
)  # fmt: skip


@pytest.fixture
def made(full):
    return msgspec.structs.replace(full, inventory=INVENTORY, evidence=(*full.evidence, *FINDINGS))


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_the_official_schema_accepts_it(made, name, version):
    schema = pytest.importorskip("cyclonedx.schema", reason="pip install cyclonedx-python-lib[json-validation]")
    validation = pytest.importorskip("cyclonedx.validation.json")
    checker = validation.JsonStrictValidator(schema.SchemaVersion.from_version(version))
    for report in (made, msgspec.structs.replace(made, inventory=(), evidence=())):
        assert checker.validate_str(render(report, name).decode()) is None


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_what_it_says(made, name, version):
    bill = json.loads(render(made, name))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", version)
    parts = {part["bom-ref"]: part for part in bill["components"]}
    model = parts["model:models/m.pt"]
    assert model["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"type": "dataset", "name": "c4"}]
    assert {"name": "hauberk:scan:verdict", "value": "flagged"} in model["properties"]
    torch = parts["library:pkg:pypi/torch@2.5.0"]
    assert [place["location"] for place in torch["evidence"]["occurrences"]] == ["poetry.lock", "requirements.txt"]
    assert torch["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    known = {row["id"]: row for row in bill["vulnerabilities"]}
    assert known["CVE-2025-32434"]["affects"] == [{"ref": "library:pkg:pypi/torch@2.5.0"}]
    assert bill["metadata"]["component"]["version"] == "1.0"


def test_hostile_text_is_made_visible(made):
    data = render(made, "cyclonedx")
    assert b"\x1b" not in data
    assert "\u202e" not in data.decode()


def test_equal_reports_give_equal_bills_and_the_inventory_reads_back(made):
    assert render(made, "cyclonedx") == render(made, "cyclonedx")
    assert report_from_json(render(made, "json")) == made
