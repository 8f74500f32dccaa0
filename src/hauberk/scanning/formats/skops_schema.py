"""The schema of a skops archive: a tree of nodes in JSON, each naming a loader and the class it makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar, Literal

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Call, Descend, Import, Problem
from hauberk.scanning.watch import Watch

_MAKES = {
    "DictNode": (
        "builtins.dict",
        "collections.OrderedDict",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._bunch._DictWithDeprecatedKeys",
    ),
    "_DictWithDeprecatedKeysNode": ("sklearn.",),
    "DefaultDictNode": ("collections.defaultdict",),
    "ListNode": ("builtins.list",),
    "SetNode": ("builtins.set",),
    "SliceNode": ("builtins.slice",),
    "BytesNode": ("builtins.bytes",),
    "BytearrayNode": ("builtins.bytearray",),
    "PartialNode": ("functools.partial",),
    "OperatorFuncNode": ("operator.", "_operator."),
    "NdArrayNode": ("numpy.",),
    "MaskedArrayNode": ("numpy.ma.",),
    "DTypeNode": ("numpy.",),
    "RandomStateNode": ("numpy.random.",),
    "RandomGeneratorNode": ("numpy.random.",),
    "SparseMatrixNode": ("scipy.sparse.",),
    "LossNode": ("sklearn.",),
    "TreeNode": ("sklearn.tree.",),
    "QuantileForestNode": ("quantile_forest.",),
}
"""What each loader is for, as dotted names or their beginnings (skops/io/_general.py and its neighbours)."""
_IMPORTS = frozenset({"TypeNode", "FunctionNode"})
_CALLS = frozenset({"LossNode", "TreeNode", "QuantileForestNode", "OperatorFuncNode", "ConstructorFromReduceNode"})
_OTHERS = frozenset({"ObjectNode", "MethodNode", "TupleNode", "JsonNode", "CachedNode", "ReduceNode"})
_FACTS = 5_000


class SkopsSchema:
    """State what a skops file would import, make and read attributes of, and where a loader is given a foreign class.

    The arrays beside it in the archive are read by the formats they have.
    """

    card: ClassVar[Card] = Card(
        title="skops schema",
        summary="The tree of nodes of a skops archive: which loader makes which class.",
        paper="skops 0.16 skops/io; CVE-2025-54412; CVE-2025-54413",
        suffixes=(".json", ".skops"),
        begins=("{",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept an archive's member of the name skops uses, and JSON whose head names loaders."""
        member = blob.name == "schema.json" and (blob.part or blob.path.endswith(".skops"))
        return bool(member) or (blob.head[:1] == b"{" and b'"__loader__"' in blob.head)

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - arrays stand beside it
        """Walk the nodes."""
        data = blob.read()
        tree, problem = _decoded(data)
        if problem and not (blob.path.endswith(".skops") or b"__loader__" in data):
            problem = None  # some other schema.json
        facts = _Facts()
        if isinstance(tree, dict) and "__loader__" in tree:
            try:
                for node in _nodes(tree, Watch(limits)):
                    facts.take(node)
            except LimitExceeded as error:
                problem = Problem(kind="limit", message=error.what)
        elif problem is None and blob.path.endswith(".skops"):
            problem = Problem(kind="malformed", message="a skops schema without a loader at its root")
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="skops_schema",
            size=blob.size,
            imports=tuple(facts.imports.values()),
            calls=tuple(facts.calls.values()),
            problems=(*facts.problems.values(), *((problem,) if problem else ())),
        )


def _decoded(data: bytes) -> tuple[object, Problem | None]:
    try:
        return json.loads(data), None
    except RecursionError:
        return None, Problem(kind="malformed", message="a schema nested deeper than any parser reads")
    except ValueError:
        return None, Problem(kind="malformed", message="a schema that is no JSON")


def _nodes(tree: dict[str, object], watch: Watch) -> Iterator[dict[str, object]]:
    """Yield every object that names a loader, without recursion."""
    queue: list[object] = [tree]
    while queue:
        value = queue.pop()
        if isinstance(value, dict):
            watch.tick(1)
            if "__loader__" in value:
                yield value
            queue.extend(value.values())
        elif isinstance(value, list):
            queue.extend(value)


class _Facts:
    """What the nodes amount to, each thing once."""

    def __init__(self) -> None:
        self.imports: dict[str, Import] = {}
        self.calls: dict[str, Call] = {}
        self.problems: dict[str, Problem] = {}

    def take(self, node: dict[str, object]) -> None:
        """State one node: what it imports, makes or reads, and whether its loader is meant for that."""
        loader, module, kind = (str(node.get(key, "")) for key in ("__loader__", "__module__", "__class__"))
        dotted = f"{module}.{kind}"
        if loader in _IMPORTS:
            self._import(module, kind)
        elif loader == "MethodNode":
            self._method(node, module, kind)
        elif loader in _CALLS or loader in ("ObjectNode", "TupleNode"):
            self._call(dotted, loader)
        self._check(loader, dotted)

    def _method(self, node: dict[str, object], module: str, kind: str) -> None:
        content = node.get("content")
        function = str(content.get("func", "")) if isinstance(content, dict) else ""
        owner = content.get("obj") if isinstance(content, dict) else None
        self._import(module, f"{kind}().{function}")
        if isinstance(owner, dict) and (owner.get("__module__"), owner.get("__class__")) != (module, kind):
            self._problem(f"a method of {module}.{kind} that is read from something else (CVE-2025-54413)")
        if function.startswith("__"):
            self._problem(f"a method named {function[:80]} is a way out of the object (CVE-2025-54413)")

    def _check(self, loader: str, dotted: str) -> None:
        if loader in _MAKES:
            if not any(dotted == name or (name[-1] == "." and dotted.startswith(name)) for name in _MAKES[loader]):
                self._call(dotted, loader)
                self._problem(f"a {loader} is given {dotted[:120]}, which it is not meant for (CVE-2025-54412)")
        elif loader not in _IMPORTS | _CALLS | _OTHERS:
            self._problem(f"an unknown loader {loader[:80]!r}", "malformed")

    def _import(self, module: str, name: str) -> None:
        if len(self.imports) < _FACTS:
            self.imports.setdefault(f"{module}.{name}", Import(module=module, name=name))

    def _call(self, dotted: str, loader: str) -> None:
        if len(self.calls) < _FACTS:
            effect: Literal["call", "new"] = "new" if loader in ("ObjectNode", "TupleNode") else "call"
            self.calls.setdefault(dotted, Call(callable=dotted, arguments=f"by {loader}", effect=effect))

    def _problem(self, message: str, kind: str = "disagreement") -> None:
        if len(self.problems) < _FACTS:
            problem = Problem(kind="malformed" if kind == "malformed" else "disagreement", message=message)
            self.problems.setdefault(message, problem)
