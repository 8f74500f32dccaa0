"""PyTorch exported programs (.pt2): the operators and expressions of the graph's JSON inside the archive."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Operator, Problem
from hauberk.scanning.text import read_text
from hauberk.scanning.watch import Watch

_BEGIN = re.compile(
    rb'^\s*\{\s*"(?:graph_module|opset_version|range_constraints|schema_version|verifiers|torch_version|guards_code)"'
)
_NAMES = ("serialized_exported_program.json",)
_EXPRESSIONS = frozenset({"expr_str", "guards_code"})
_TOLD = 2_000


class ExportedProgram:
    """Read call targets and symbolic expressions, which the loader evaluates."""

    card: ClassVar[Card] = Card(
        title="PyTorch exported program",
        summary="Call targets and symbolic expressions of torch.export archives.",
        paper="torch/_export/serde/schema.py and serialize.py",
        suffixes=(".json",),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept a graph module's JSON under a name inside an archive or on its own."""
        if blob.name in _NAMES:
            return True
        return bool(_BEGIN.match(blob.head)) and b'"graph_module"' in _lead(blob)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the JSON whole; raises LimitExceeded above limits.text_bytes."""
        read = read_text(blob, limits)
        used: Counter[str] = Counter()
        notes: dict[str, Note] = {}
        problems: list[Problem] = []
        try:
            for key, value in _texts(json.loads(read.text), Watch(limits)):
                if key == "target":
                    used[value[:300]] += 1
                elif key in _EXPRESSIONS and len(notes) < _TOLD:
                    notes.setdefault(value, Note(name=f"expression:{key}", text=value))
        except (ValueError, RecursionError) as error:
            problems.append(Problem(kind="malformed", message=f"no whole JSON: {str(error)[:80]}"))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="exported_program",
            size=blob.size,
            digest=read.digest,
            operators=tuple(Operator(domain="torch.export", type=name, count=used[name]) for name in sorted(used)),
            notes=tuple(notes.values()),
            problems=tuple(problems),
        )


def _lead(blob: Blob) -> bytes:
    with blob.open() as stream:
        return stream.read(1 << 16)


def _texts(root: object, watch: Watch) -> Iterator[tuple[str, str]]:
    """Yield every call target, and every text below an expression's key, with that key."""
    pending: list[tuple[str, object]] = [("", root)]
    while pending:
        watch.tick()
        key, value = pending.pop()
        if isinstance(value, dict):
            is_call = "target" in value and "inputs" in value
            for inner, child in value.items():
                own = inner if inner in _EXPRESSIONS or (is_call and inner == "target") else ""
                pending.append((own or (key if key in _EXPRESSIONS else ""), child))
        elif isinstance(value, list):
            pending.extend((key, child) for child in value)
        elif isinstance(value, str) and key:
            yield key, value
