"""LightGBM models as text: every tree's lists held against its number of leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Operator, Place, Problem
from hauberk.scanning.text import read_text
from hauberk.scanning.watch import Watch

_BEGIN = b"tree\nversion=v"
_PER_SPLIT = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
_TOLD = 50


class LightgbmModel:
    """Read the text block by block."""

    card: ClassVar[Card] = Card(
        title="LightGBM model",
        summary="Text models: objective and the structure of every tree.",
        paper="LightGBM, src/boosting/gbdt_model_text.cpp and src/io/tree.cpp",
        suffixes=(),
        begins=("tree\nversion=v", "tree\r\nversion=v"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the first two lines."""
        return blob.head[:64].replace(b"\r", b"").startswith(_BEGIN)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the text whole."""
        read, watch = read_text(blob, limits), Watch(limits)
        head: dict[str, str] = {}
        problems: list[Problem] = []
        for line, block in _blocks(read.text, watch):
            if "Tree" not in block:
                head = head or block
                continue
            fault = _fault(block)
            if fault and len(problems) < _TOLD:
                problems.append(
                    Problem(kind="malformed", message=f"tree {block['Tree'][:20]} {fault}", place=Place(line=line))
                )
        if "end of trees" not in read.text:
            problems.append(Problem(kind="truncated", message='the line "end of trees" is missing'))
        objective = head.get("objective", "")
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="lightgbm_model",
            size=blob.size,
            digest=read.digest,
            operators=(Operator(domain="lightgbm.objective", type=objective[:200]),) if objective else (),
            problems=tuple(problems),
        )


def _blocks(text: str, watch: Watch) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the first line and the fields of each block that empty lines part."""
    block: dict[str, str] = {}
    begin = 1
    for number, line in enumerate(text.split("\n"), 1):
        watch.tick()
        key, equals, value = line.partition("=")
        if equals:
            block[key] = value
        elif not line and block:
            yield begin, block
            block, begin = {}, number + 1
        if line == "end of trees":
            break
    if block:
        yield begin, block


def _fault(block: dict[str, str]) -> str:
    leaves = block.get("num_leaves", "")
    if not (leaves.isascii() and leaves.isdigit() and 0 < len(leaves) < 10 and int(leaves) > 0):
        return f"has {leaves[:20]!r} leaves"
    count = int(leaves)
    for name in _PER_SPLIT if count > 1 else ():
        values = block.get(name, "").split()
        if len(values) != count - 1:
            return f"has {count} leaves and {len(values)} of {name}"
        if name.endswith("_child") and not all(_is_node(value, count) for value in values):
            return f"has a {name} that is no node of it"
    return "" if len(block.get("leaf_value", "").split()) in (count, 0) else f"has {count} leaves and other values"


def _is_node(value: str, leaves: int) -> bool:
    """Splits count from 0, leaves down from -1."""
    plain = value.removeprefix("-")
    return plain.isascii() and plain.isdigit() and len(plain) < 10 and -leaves <= int(value) <= leaves - 2
