"""Licences by name, by their own words, and against each other; what a file adds to the inventory."""

from __future__ import annotations

import pytest

from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.core.provenance import Stamp
from hauberk.scanning.blobs import MemberBlob
from hauberk.scanning.inventory import components
from hauberk.scanning.kit import tools
from hauberk.scanning.licences import conflict, kind, of_text, parts, spdx
from hauberk.scanning.rules.licences.conflict import LicenceConflict, own_licence

PROJECT = '[project]\nname = "x"\nversion = "1.2"\nlicense = "Apache-2.0"\ndependencies = ["flask==3.1.2"]\n'
CARD = "---\nlicense: {}\npipeline_tag: text-generation\ndatasets:\n- wikitext\n- c4\nbase_model: a/b\n---\n# A model\n"


def read(name, text, digests=()):
    data = text.encode() if isinstance(text, str) else text
    blob = MemberBlob(name, "", data, DEFAULT_LIMITS)
    artifacts = [one.parse(blob, DEFAULT_LIMITS, lambda _n, _d: ()) for _, one in tools().formats if one.sniff(blob)]
    return components(name, len(data), artifacts, digests)


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("mit", "MIT"), ("Apache License, Version 2.0", "Apache-2.0"), ("apache-2.0", "Apache-2.0"),
        ("License :: OSI Approved :: MIT License", "MIT"), ("llama3.1", "LicenseRef-llama3.1"),
        ("openrail", "LicenseRef-openrail"), ("GPLv3", "GPL-3.0-only"),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "GPL-3.0-only"), ("my own", "my own"),
    ],
)  # fmt: skip
def test_names(text, identifier):
    assert spdx(text) == identifier


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("GNU AFFERO GENERAL PUBLIC LICENSE\n   Version 3, 19 November 2007", "AGPL-3.0-only"),
        ("                    GNU GENERAL PUBLIC LICENSE\n   Version 2, June 1991", "GPL-2.0-only"),
        ("Apache License\n  Version 2.0, January 2004", "Apache-2.0"),
        ("Permission is hereby granted, free of charge, to any person\nobtaining a copy of this software", "MIT"),
        ("LLAMA 3.1 COMMUNITY LICENSE AGREEMENT", "LicenseRef-llama3.1"),
        ("all rights reserved", None),
    ],
)
def test_words(text, identifier):
    assert of_text(text) == identifier


def test_expressions():
    assert parts("MIT OR Apache-2.0 WITH LLVM-exception") == (("MIT",), ("Apache-2.0",))
    assert kind("GPL-3.0-only OR MIT") == "permissive"
    assert kind("GPL-3.0-only AND MIT") == "copyleft"
    assert kind("unheard of") is None


@pytest.mark.parametrize(
    ("own", "other", "linked", "clash"),
    [
        ("Apache-2.0", "CC-BY-NC-4.0", False, True), ("CC-BY-NC-4.0", "CC-BY-NC-4.0", False, False),
        ("GPL-3.0-only", "LicenseRef-openrail", False, True), ("MIT", "LicenseRef-openrail", False, False),
        ("MIT", "AGPL-3.0-only", True, True), ("MIT", "GPL-3.0-only", True, True),
        ("MIT", "GPL-3.0-only", False, False),
        ("GPL-3.0-only", "GPL-3.0-only", True, False), ("MIT", "LGPL-3.0-only", True, False),
        ("MIT", "unheard of", True, False), ("GPL-2.0-only", "Apache-2.0", True, True),
        ("MIT", "GPL-3.0-only OR MIT", True, False),
    ],
)  # fmt: skip
def test_conflicts(own, other, linked, clash):
    assert bool(conflict(own, other, linked)) is clash


def test_a_model_a_card_a_library_and_a_project():
    (model,) = read("m/weights.safetensors", b"\x02\x00\x00\x00\x00\x00\x00\x00{}", ("blake3:00",))
    assert (model.kind, model.name, model.known("format")) == ("model", "weights.safetensors", "safetensors")
    assert {digest.name for digest in model.digests} >= {"blake3"}
    (card,) = read("m/README.md", CARD.format("cc-by-nc-4.0"))
    assert (card.name, card.licences, card.known("task")) == ("m", ("CC-BY-NC-4.0",), "text-generation")
    assert [row.value for row in card.properties if row.name == "dataset"] == ["wikitext", "c4"]
    library, project = read("pyproject.toml", PROJECT)
    assert (library.purl, library.line) == ("pkg:pypi/flask@3.1.2", 5)
    assert (project.kind, project.version, project.licences) == ("application", "1.2", ("Apache-2.0",))
    assert [item.kind for item in read("data.csv", "a,b\n1,2\n")] == ["data"]
    assert read("notes.txt", "nothing") == ()


def test_a_parts_licence_is_held_against_the_projects_own():
    inventory = [*read("pyproject.toml", PROJECT), *read("m/README.md", CARD.format("cc-by-nc-4.0"))]
    assert own_licence(inventory) == "Apache-2.0"
    (found,) = LicenceConflict().check(inventory, Stamp())
    assert (found.severity, found.location.path) == ("medium", "m/README.md")
    assert list(LicenceConflict().check(inventory[2:], Stamp())) == []
    free = [*read("pyproject.toml", PROJECT), *read("m/README.md", CARD.format("mit"))]
    assert list(LicenceConflict().check(free, Stamp())) == []


def test_a_card_that_is_no_yaml_is_a_problem():
    blob = MemberBlob("README.md", "", b"---\nlicense: [\n---\n", DEFAULT_LIMITS)
    (reader,) = [one for name, one in tools().formats if name == "model_card"]
    assert [problem.kind for problem in reader.parse(blob, DEFAULT_LIMITS, lambda _n, _d: ()).problems] == ["malformed"]
