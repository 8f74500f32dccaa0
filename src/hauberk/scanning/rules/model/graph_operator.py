"""TensorFlow operators that leave the graph: they call Python, read, write or send."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Reference
from hauberk.scanning.members import unsafe_name
from hauberk.scanning.operators import known, reaching

_FORMATS = ("tensorflow_graph", "tensorflow_text")
_SENSITIVE = re.compile(
    r"^(?:/(?:etc|root|home|proc|sys|var|usr|bin|opt)/|~|[A-Za-z]:[\\/])|\.ssh|\.aws|(?:^|[\\/])\.\.[\\/]"
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://")
_STREAMS = ("stdout", "stderr", "log(info)", "log(warning)", "log(error)", "")
_FIX = "do not load it; ask for a model of computing operators only, or export it without its input pipeline"


class GraphOperator:
    """Report graph operators that reach beyond the graph.

    What: an operator calls Python or a library (critical), writes files or talks to a host (high), reads files
    (medium, high with a path of its own), or is none of TensorFlow's (medium). What every saved model has for its own
    variables is reported only where a constant path leads out of the model's folder.
    Why: a graph is a program: `tf.saved_model.load` and one call run it with the rights of the process, and no
    safe mode exists for it.
    Bad: `tf.io.write_file("~/.bashrc", …)` inside a saved function.
    Good: decoding, arithmetic and lookups of assets inside the model's folder.
    Fix: load only graphs without such operators; keep the input pipeline outside the model.
    """

    card: ClassVar[Card] = Card(
        title="Graph operator that leaves the graph",
        summary="A TensorFlow graph calls Python, reads or writes files, or talks to a host.",
        paper="CWE-829; CWE-73; OWASP ML06:2023, LLM03:2025; TensorFlow SECURITY.md",
        threats=("CWE-829", "CWE-73", "OWASP-ML06", "OWASP-LLM03", "AML.T0010", "AML.T0011"),
        severity="high",
        reads=("operators", "references"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each kind of operator, and one for each constant path that leads out."""
        if artifact.format not in _FORMATS:
            return
        paths = [fact for fact in artifact.references if fact.kind == "operator-file"]
        present = {operator.type for operator in artifact.operators}
        for operator in artifact.operators:
            if operator.domain == "tensorflow":
                yield from _operator(operator.type, operator.count, paths)
        for fact in paths:
            yield from _path(fact, present)


def _operator(kind: str, count: int, paths: list[Reference]) -> Iterator[Draft]:
    group = reaching(kind)
    if group is None:
        if kind and not known("tensorflow", kind):
            yield Draft(
                message=f"needs the operator {kind[:200]!r} ({count} times), which TensorFlow does not define",
                fix="know where its library comes from and pin it, or export with standard operators",
                severity="medium",
                confidence="medium",
            )
        return
    if not group.severity:
        return
    own = [fact.value for fact in paths if fact.value.startswith((f"{kind}: ", "Const: "))]
    strong = group.words == "reads files" and any(_leads_out(value.partition(": ")[2]) for value in own)
    yield Draft(
        message=f"the operator {kind} {group.words} ({count} times)",
        fix=_FIX,
        severity="high" if strong else group.severity,  # type: ignore[arg-type]
        trace=tuple(value[:200] for value in own[:5]),
    )


def _path(fact: Reference, present: set[str]) -> Iterator[Draft]:
    """Judge a path that reaches an operator which is normal without it."""
    kind, _, path = fact.value.partition(": ")
    group = reaching(kind)
    if group is not None and not group.severity and _leads_out(path):
        yield Draft(
            message=f"the operator {kind} reads or writes {path[:200]!r}, outside the model's folder",
            fix=_FIX,
            place=fact.place,
        )
    elif group is None and kind.startswith("Print") and path.lower() not in _STREAMS and "://" in path:
        yield Draft(message=f"the operator {kind} writes to {path[:200]!r}", fix=_FIX, place=fact.place)
    elif group is None and kind.startswith("Debug") and _ADDRESS.match(path):
        yield Draft(message=f"the operator {kind} sends tensors to {path[:200]!r}", fix=_FIX, place=fact.place)
    elif kind == "Const" and {"SaveV2", "RestoreV2", "MergeV2Checkpoints"} & present and _SENSITIVE.search(path):
        yield Draft(
            message=f"a graph that reads or writes files holds the path {path[:200]!r}",
            fix=_FIX,
            confidence="medium",
            place=fact.place,
        )


def _leads_out(path: str) -> bool:
    return unsafe_name(path) or path.startswith("~")
