"""YAML that travels with a model: tags that make objects, targets to instantiate, keras configurations, templates."""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec
import yaml

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Lookup, Place, Problem
from hauberk.scanning.settings_facts import SettingsFacts
from hauberk.scanning.settings_pairs import MOST_NODES, entries
from hauberk.scanning.text import is_text, read_text
from hauberk.scanning.watch import Watch
from hauberk.scanning.yaml_trees import YamlTrees

_ENDINGS = (".yaml", ".yml", ".hyperparams")
_WORTH_READING = re.compile(
    r"!|_target_?[\"']?\s*:|[\"']?class_name|chat_template|\{\{|\{%|%TAG|\\[xu]\d|py/(?:object|reduce|repr)|auto_map"
)
_TAG = re.compile(r"(?:!!|!<tag:yaml\.org,2002:)python/([a-z]+(?:/[a-z]+)?):([\w.]+)")
_BOMB = 5_000
_ALIAS = re.compile(r"[\s\[,]\*\w")
_WORTH_COUNTING = 20
_EXPANDED = 1e8
"""Nodes; the largest files that people write have thousands."""


class YamlSettings:
    """Parse YAML event by event; no tag is built, no alias is copied."""

    card: ClassVar[Card] = Card(
        title="YAML settings",
        summary="Python tags, Hydra targets, keras configurations and templates in YAML files.",
        paper="YAML 1.1; PyYAML constructors; Hydra instantiate; CVE-2020-14343; CVE-2025-23304",
        suffixes=(".yaml", ".yml"),
        begins=("!!", "%YAML", "%TAG", "---", "!<"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the endings, or text that begins as YAML does or names a Python tag early."""
        if not is_text(blob.head):
            return False
        return blob.name.endswith(_ENDINGS) or blob.head.startswith(
            (b"!!", b"%YAML", b"%TAG", b"!<", b"---\n", b"--- ")
        )

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read all documents; what stands before a fault is judged too."""
        read = read_text(blob, limits)
        facts = SettingsFacts(read.text)
        if _WORTH_READING.search(read.text) or _has_aliases(read.text):
            _gather(read.text, limits, facts)
            facts.locate(read.text)
        return facts.artifact(blob, "yaml_settings", read.digest, descend)


def _has_aliases(text: str) -> bool:
    """Tell a text with enough aliases to multiply one another."""
    return "&" in text and any(count >= _WORTH_COUNTING for count, _ in enumerate(_ALIAS.finditer(text), 1))


def _gather(text: str, limits: Limits, facts: SettingsFacts) -> None:
    watch = Watch(msgspec.structs.replace(limits, nodes=min(limits.nodes, MOST_NODES)))
    trees = YamlTrees(text, watch)
    try:
        trees.read()
    except yaml.YAMLError:
        facts.lookups.extend(_named_beyond(text, {fact.place.line for fact in trees.lookups}))
    except LimitExceeded as error:
        facts.problems.append(Problem(kind="limit", message=error.what))
    facts.lookups.extend(trees.lookups)
    try:
        for document in trees.documents:
            for entry in entries(document, watch):
                facts.take(entry)
    except LimitExceeded as error:
        facts.problems.append(Problem(kind="limit", message=error.what))
    if trees.weight > _EXPANDED:
        message = f"its aliases expand to {trees.weight:.1g} nodes: what walks, copies or prints it exhausts memory"
        facts.problems.append(Problem(kind="exhaustion", message=message))
    if trees.aliases > _BOMB:
        facts.problems.append(
            Problem(kind="malformed", message=f"{trees.aliases} aliases: loaders may grow without end")
        )


def _named_beyond(text: str, seen: set[int | None]) -> list[Lookup]:
    """Find tags behind the place where the text stops being YAML: another reader may go on."""
    found: list[Lookup] = []
    for match in _TAG.finditer(text):
        line = text.count("\n", 0, match.start()) + 1 if len(found) < 50 else None
        if line is None:
            break
        if line not in seen:
            module, _, name = match.group(2).rpartition(".")
            place = Place(line=line)
            found.append(Lookup(kind="yaml", module=module, name=name, verb=match.group(1), place=place))
    return found
