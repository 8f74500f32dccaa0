"""Read bytes with every format that accepts them and judge them with one rule or one family of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from hauberk.core.evidence import severity_rank
from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.blobs import MemberBlob
from hauberk.scanning.kit import tools


class Hit(NamedTuple):
    """A draft with the rule and the part it came from."""

    rule: str
    part: str
    severity: str
    draft: Draft


def artifacts(name: str, data: bytes) -> list[Artifact]:
    """Read as the engine does, without nesting."""
    blob = MemberBlob(name, "", data, DEFAULT_LIMITS)
    formats = [(label, one) for label, one in tools().formats if one.sniff(blob)]
    return [one.parse(blob, DEFAULT_LIMITS, lambda _name, _data: ()) for _, one in formats]


@pytest.fixture
def judge() -> Callable[..., list[Hit]]:
    """judge(family, file name, text): all hits of the rules whose name begins with `family`, in rule order."""

    def run(family: str, name: str, text: str | bytes) -> list[Hit]:
        data = text.encode() if isinstance(text, str) else text
        hits = {}
        for artifact in artifacts(name, data):
            for part in artifact.walk():
                for rule_name, rule in tools().rules:
                    if rule_name.startswith(family):
                        for draft in rule.check(part):
                            severity = draft.severity or rule.card.severity
                            key = (rule_name, part.part, draft.place, draft.message)
                            hits[key] = Hit(rule_name, part.part, severity, draft)
        return list(hits.values())

    return run


@pytest.fixture
def loud() -> Callable[[list[Hit]], list[Hit]]:
    """Keep what is medium or worse."""
    return lambda hits: [hit for hit in hits if severity_rank(hit.severity) >= severity_rank("medium")]
