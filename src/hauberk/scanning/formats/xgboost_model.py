"""XGBoost models in JSON and UBJSON: trees held against their own sizes, names and parameters stated."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Operator, Place, Problem
from hauberk.scanning.text import read_text
from hauberk.scanning.ubjson import BrokenUbjson, Numbers, UbjsonReader, Value
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_JSON = re.compile(rb'^\s*\{\s*"(?:learner|version|Config|Model)"')
_UBJSON = re.compile(rb"^\{[iUIlL]\x00{0,7}\x07(?:learner|version)")
_PER_NODE = ("left_children", "right_children", "parents", "split_indices", "split_conditions", "default_left")
_CHILDREN = ("left_children", "right_children")
_TOLD = 50
_NAMES = 2_000

Reader = Callable[[Value], "Sequence[object] | None"]


class XgboostModel:
    """Check that every tree's arrays are as long as it says and that children are nodes."""

    card: ClassVar[Card] = Card(
        title="XGBoost model",
        summary="JSON and UBJSON models: objective, names and the structure of every tree.",
        paper="XGBoost documentation, Introduction to Model IO; model.schema",
        suffixes=(".ubj",),
        begins=("{",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending .ubj, and a document that begins with a learner."""
        if blob.name.endswith(".ubj") or _UBJSON.match(blob.head):
            return True
        return bool(_JSON.match(blob.head)) and b'"learner"' in blob.head and b"learner_model_param" in _near(blob)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the document."""
        problems: list[Problem] = []
        with blob.open() as stream:
            reader = UbjsonReader(Window(stream, blob.size), Watch(limits))
            root: object = None
            try:
                root = json.loads(read_text(blob, limits).text) if _JSON.match(blob.head) else reader.read()
                if not _JSON.match(blob.head) and reader.place < blob.size:
                    problems.append(_wrong(f"{blob.size - reader.place} bytes follow the document", reader.place))
            except BrokenUbjson as error:
                problems.append(_wrong(f"no whole UBJSON: {error}", error.offset))
            except (ValueError, RecursionError) as error:
                problems.append(_wrong(f"no whole JSON: {str(error)[:80]}", 0))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
            learner = _under(root, "learner")
            if not problems:
                problems.extend(_wrong(fault, None) for fault in _faults(learner, _list_by(reader)))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="xgboost_model",
            size=blob.size,
            operators=_objective(learner),
            notes=tuple(_notes(learner)),
            problems=tuple(problems[:_TOLD]),
        )


def _near(blob: Blob) -> bytes:
    """Read the end, where the parameters may stand behind megabytes of trees."""
    with blob.open() as stream:
        stream.seek(max(0, blob.size - 65_536))
        return blob.head + stream.read(65_536)


def _wrong(message: str, offset: int | None) -> Problem:
    return Problem(kind="malformed", message=message, place=Place(offset=offset))


def _under(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list_by(reader: UbjsonReader) -> Reader:
    def listed(value: Value) -> Sequence[object] | None:
        if isinstance(value, Numbers):
            return reader.numbers(value)
        return value if isinstance(value, list) else None

    return listed


def _objective(learner: object) -> tuple[Operator, ...]:
    name = _under(learner, "objective", "name")
    booster = _under(learner, "gradient_booster", "name")
    found = [Operator(domain=f"xgboost.{kind}", type=str(value)[:200]) for kind, value in
             (("objective", name), ("booster", booster)) if value is not None]  # fmt: skip
    return tuple(found)


def _notes(learner: object) -> Iterator[Note]:
    attributes = _under(learner, "attributes")
    for key, value in list(attributes.items())[:_NAMES] if isinstance(attributes, dict) else ():
        yield Note(name=f"metadata:{str(key)[:100]}", text=str(value)[: 1 << 20])
    names = _under(learner, "feature_names")
    if isinstance(names, list) and names:
        yield Note(name="metadata:feature_names", text="\n".join(str(name)[:200] for name in names[:_NAMES]))


def _faults(learner: object, listed: Reader) -> Iterator[str]:
    if not isinstance(learner, dict):
        yield "there is no learner"
        return
    booster = _under(learner, "gradient_booster")
    inner = _under(booster, "gbtree") or booster
    trees = _under(inner, "model", "trees")
    if trees is None:
        return
    if not isinstance(trees, list):
        yield "its trees are no list"
        return
    declared = _number(_under(inner, "model", "gbtree_model_param", "num_trees"))
    if declared is not None and declared != len(trees):
        yield f"{declared} trees are announced, {len(trees)} are there"
    for index, tree in enumerate(trees):
        fault = _tree_fault(tree, listed)
        if fault:
            yield f"tree {index} {fault}"


def _tree_fault(tree: object, listed: Reader) -> str:
    if not isinstance(tree, dict):
        return "is no object"
    nodes = _number(_under(tree, "tree_param", "num_nodes"))
    if nodes is None or nodes < 0:
        return "does not say how many nodes it has"
    for name in _PER_NODE:
        values = listed(tree.get(name)) if name in tree else None
        if name in tree and (values is None or len(values) != nodes):
            return f"has {nodes} nodes and {0 if values is None else len(values)} {name}"
        if name in _CHILDREN and values and not all(isinstance(v, int) and -1 <= v < nodes for v in values):
            return f"has {name} that are no nodes of it"
    return ""


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if type(value) is int else None
