"""MXNet networks (…-symbol.json): the operators of every graph, subgraphs included."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Operator, Problem
from hauberk.scanning.settings_pairs import Pairs, Tree, json_tree
from hauberk.scanning.text import is_text, read_text
from hauberk.scanning.watch import Watch


class MxnetSymbol:
    """Read nodes by their "op"; "null" is a variable."""

    card: ClassVar[Card] = Card(
        title="MXNet symbol",
        summary="Operators of -symbol.json files, custom and native ones among them.",
        paper="apache/mxnet and dmlc/nnvm, src/pass/saveload_json.cc",
        suffixes=("-symbol.json", ".json"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept JSON that begins with a list of nodes with operators."""
        head = blob.head
        return blob.name.endswith(".json") and is_text(head) and b'"nodes"' in head and b'"op"' in head

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - text has no parts
        """Read the text whole; malformed JSON is told by the JSON format where the file is a model's own."""
        read, watch = read_text(blob, limits), Watch(limits)
        used: Counter[str] = Counter()
        problems: tuple[Problem, ...] = ()
        try:
            pending: list[Tree] = [json_tree(read.text)]
            while pending:
                tree = pending.pop()
                nodes = tree.get("nodes") if isinstance(tree, Pairs) else None
                for node in nodes if isinstance(nodes, list) else ():
                    watch.tick()
                    if isinstance(node, Pairs):
                        used[node.text("op")] += 1
                        inner = node.get("subgraphs")
                        pending.extend(inner if isinstance(inner, list) else ())
        except LimitExceeded as error:
            problems = (Problem(kind="limit", message=error.what),)
        except ValueError as error:
            problems = (Problem(kind="malformed", message=f"no well-formed JSON: {str(error)[:100]}"),)
        used.pop("null", None)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="mxnet_symbol",
            size=blob.size,
            digest=read.digest,
            operators=tuple(Operator(domain="mxnet", type=kind, count=used[kind]) for kind in sorted(used)),
            problems=problems,
        )
