"""Handing a request's raw content to a model."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_endpoints import called, endpoints, inside
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Defined, Taint, tail_of

_PREDICT = frozenset(
    ["predict", "predict_proba", "predict_log_proba", "transform", "decision_function", "score", "forward", "infer",
     "inference", "run", "classify", "embed", "encode", "score_samples", "kneighbors", "predict_on_batch"]
)  # fmt: skip
_HOLDER = re.compile(
    r"(?i).*(model|net|network|classifier|clf|regressor|pipeline|session|sess|estimator|scaler|predictor|encoder|forest)"
)
_BODIES = frozenset(["request", "data", "payload", "body", "event"])
_ANYTHING = re.compile(
    r"(typing\.|fastapi\.|starlette\.requests\.)?(Any|[Dd]ict|[Ll]ist(?!\[)|Mapping|Request|bytes|object)\b"
)
_ASSERTS = re.compile(
    r"(?i)(is_?)?(valid|check|verify|ensure|parse|schema|clean|coerce|require)\w*|model_validate\w*|isinstance|load"
)


class UnvalidatedInput:
    """Find endpoints that take raw JSON from the request and pass it to a model with nothing checked between.

    Wrong shapes, NaN, huge lists and missing keys then become errors, wrong answers or a full memory; and there is no
    place where adversarial input could be refused. Declare a schema with bounds, or check type, length and range.

    Bad:

        return jsonify(model.predict([request.get_json()["features"]]))

    Good:

        class Features(BaseModel):
            values: list[float] = Field(min_length=8, max_length=8)
    """

    card: ClassVar[Card] = Card(
        title="Unvalidated input",
        summary="A request's raw content reaches a model with no check of type, length or range.",
        paper="CWE-20, CWE-1284; OWASP ML01 and LLM10; MITRE ATLAS AML.T0043",
        threats=("CWE-20", "OWASP-ML01", "AML.T0043"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge what endpoints hand to models."""
        program = program_of(artifact)
        checked = {function.path: _checks(function) for function in endpoints(program)}
        untyped = {function.path: _untyped(function) for function in endpoints(program)}
        for site in program.calls:
            if checked.get(site.function, True):
                continue
            taint = _given(site)
            if taint is not None and taint.sure and _raw(taint, untyped[site.function]):
                yield Draft(
                    message="a request's raw content is given to a model; its type, length and range are not checked",
                    fix="declare a schema with bounds (pydantic), or check type, length and range first",
                    place=site.place,
                    trace=taint.trace(),
                )


def _given(site: CallSite) -> Taint | None:
    """Return what of a request a call hands to a model: `model(x)`, or a method of one that predicts."""
    direct = "." not in site.path and not site.path.startswith(":")
    holder = tail_of(site.path if direct else site.path.rpartition(".")[0])
    if site.path.endswith("()"):  # what a call gave is called: only its name in the program tells what it is
        direct, holder = True, _name(site)
    if not direct and (site.tail not in _PREDICT or "." not in site.path):
        return None
    if not _HOLDER.fullmatch(holder) and (direct or not site.tail.startswith("predict")):
        return None
    rows = (value.tainted("request") for value in (*site.arguments, *(value for _, value in site.keywords)))
    return next((taint for taint in rows if taint is not None and "judged" not in taint.safe_for), None)


def _name(site: CallSite) -> str:
    """Return the variable or attribute that is called, as the program spells it."""
    called_as = site.node.func if site.node is not None else None
    if isinstance(called_as, ast.Name):
        return called_as.id
    return called_as.attr if isinstance(called_as, ast.Attribute) else ""


def _raw(taint: Taint, untyped: frozenset[str]) -> bool:
    """Tell JSON and form content from a parameter that the framework has typed."""
    if re.search(r"\.(get_json|json|data|form|args|body|values|get_data|GET|POST|query_params)\b", taint.origin):
        return True
    sent = re.match(r"a user sends (\w+) to ", taint.origin)
    return sent is not None and sent[1] in untyped


def _untyped(function: Defined) -> frozenset[str]:
    """Name an endpoint's parameters that hold whatever was sent: a whole request, a dictionary, a list of anything."""
    arguments = function.node.args
    return frozenset(
        argument.arg
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        if (argument.annotation is None and argument.arg in _BODIES)
        or (argument.annotation is not None and _ANYTHING.match(ast.unparse(argument.annotation)))
    )


def _checks(function: Defined) -> bool:
    """Tell whether the endpoint checks anything: a test with an early end, an assertion, a call that says so."""
    for node in inside(function):
        if isinstance(node, ast.Raise | ast.Assert | ast.Try):
            return True
        if isinstance(node, ast.If) and any(isinstance(item, ast.Return) for item in node.body):
            return True
        if isinstance(node, ast.Call) and _ASSERTS.fullmatch(called(node.func)):
            return True
    return False
