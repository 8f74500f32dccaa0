"""Every rule name that a report can hold is in the catalogue, with all that SARIF and the pages say of a rule."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hauberk
from hauberk.api.sealed_models import _RULES
from hauberk.core.evidence import SEVERITIES
from hauberk.core.plugins import catalog, load
from hauberk.scanning.general_rules import _group
from hauberk.scanning.kit import tools
from hauberk.scanning.suppressions import UNUSED, WITHOUT_REASON
from hauberk.sealing.faults import FaultKind

KNOWN = {entry.name: entry.card for entry in catalog("rules")}
SOURCES = sorted(Path(hauberk.__file__).parent.rglob("*.py"))


def named(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a file gives to findings: `rule=` of a Finding, as text, constant or joined text."""
    texts = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
            given = next((one.value for one in node.keywords if one.arg == "rule"), None)
            if isinstance(given, ast.Constant):
                yield str(given.value)
            elif isinstance(given, ast.Name) and given.id in texts:
                yield str(texts[given.id])


def test_what_the_source_names_is_in_the_catalogue() -> None:
    found = {name: path for path in SOURCES for name in named(ast.parse(path.read_text(encoding="utf-8")))}
    assert "licences.conflict" in found
    assert {name: path for name, path in found.items() if name not in KNOWN} == {}


def test_what_is_named_at_run_time_is_in_the_catalogue() -> None:
    assert {WITHOUT_REASON, UNUSED, *_RULES} <= KNOWN.keys()
    spoken = [kind for rule in _RULES.values() for kind in rule.kinds]
    assert sorted(spoken) == sorted(set(FaultKind.__args__) - {"unreadable"})
    groups = {name for name in KNOWN if name.startswith("general.")}
    codes = [code for name in groups for code in load("rules", name).codes]
    assert len(codes) == len(set(codes))
    assert {f"general.{_group(code)}" for code in (*codes, "S999")} == groups


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_cards_are_complete(name: str) -> None:
    card = KNOWN[name]
    assert card.severity in SEVERITIES
    assert card.title
    assert card.summary.endswith(".")
    assert load("rules", name).__doc__


def test_rules_of_engines_are_not_run_over_files() -> None:
    run = {name for name, _ in tools().rules}
    assert {name for name, card in KNOWN.items() if not any("." in fact for fact in card.reads)} == run
    assert "seal.broken" not in run
