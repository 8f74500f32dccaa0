"""Telling the client how the program failed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.python_endpoints import called, endpoints, error_handlers, inside
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import Defined

_TRACES = frozenset(["format_exc", "format_exception", "format_tb", "print_exc", "format_stack"])
_TELLS = frozenset(
    ["jsonify", "JSONResponse", "HTTPException", "Response", "HttpResponse", "JsonResponse", "make_response", "abort",
     "PlainTextResponse", "HTMLResponse", "ORJSONResponse", "send_text", "send_json", "error"]
)  # fmt: skip


class LeakedError:
    """Find endpoints that send a stack trace, or the text of an exception, to the client.

    It names paths, versions, queries, sometimes keys, and tells an attacker what each probe did. Log it under a number,
    and send the number.

    Bad:

        except Exception: return jsonify(error=traceback.format_exc()), 500

    Good:

        except Exception:
            log.exception("prediction failed")
            return jsonify(error="internal error"), 500
    """

    card: ClassVar[Card] = Card(
        title="Leaked error",
        summary="A stack trace or an exception's text is sent to the client.",
        paper="CWE-209; OWASP LLM02",
        threats=("CWE-209", "OWASP-LLM02"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge what endpoints and error handlers return."""
        program = program_of(artifact)
        seen: set[int] = set()
        for function in endpoints(program):
            for node in inside(function):
                if isinstance(node, ast.ExceptHandler):
                    for answer in _answers(node):
                        yield from _judge(answer, {node.name or ""}, _traced(node), seen)
        for function in error_handlers(program):
            for answer in _answers(function.node):
                yield from _judge(answer, _last_parameter(function), _traced(function.node), seen)


def _last_parameter(function: Defined) -> set[str]:
    return {name for name, _ in function.parameters[-1:]}


def _answers(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what is returned, or raised as an answer."""
    for item in ast.walk(node):
        if isinstance(item, ast.Return) and item.value is not None:
            yield item.value
        elif isinstance(item, ast.Raise) and isinstance(item.exc, ast.Call) and called(item.exc.func) in _TELLS:
            yield item.exc
        elif isinstance(item, ast.Call) and called(item.func) in ("abort", "send_text", "send_json"):
            yield item


def _traced(node: ast.AST) -> set[str]:
    """Return the names that are given a stack trace."""
    return {
        target.id
        for item in ast.walk(node)
        if isinstance(item, ast.Assign) and any(_is_trace(part) for part in ast.walk(item.value))
        for target in item.targets
        if isinstance(target, ast.Name)
    }


def _judge(answer: ast.expr, names: set[str], traced: set[str], seen: set[int]) -> Iterator[Draft]:
    place = Place(line=answer.lineno, column=answer.col_offset + 1)
    if answer.lineno in seen:
        return
    nodes = list(ast.walk(answer))
    trace = any(_is_trace(node) or (isinstance(node, ast.Name) and node.id in traced) for node in nodes)
    if trace or any(isinstance(node, ast.Name) and node.id and node.id in names for node in nodes):
        seen.add(answer.lineno)
        yield Draft(
            message="the client is sent a stack trace" if trace else "the client is sent the text of the exception",
            fix="log it, and answer with a number and a plain sentence",
            severity="medium" if trace else "low",
            place=place,
        )


def _is_trace(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "__traceback__"
    return isinstance(node, ast.Call) and called(node.func) in _TRACES
