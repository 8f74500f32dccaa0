"""Agents without a last step, and calls of a model without a time limit or a length."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.python_endpoints import called
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sources import answer
from hauberk.scanning.python_values import UNKNOWN, CallSite, Program

_LIMITS = frozenset(
    ["max_iterations", "max_iter", "max_steps", "recursion_limit", "max_turns", "max_execution_time", "max_round",
     "max_consecutive_auto_reply", "max_function_calls", "max_loops", "max_rounds"]
)  # fmt: skip
_HUGE = 1000
_POST = re.compile(r"(requests|httpx)(\.\w+\(\))?\.(post|request)")
_PAUSES = frozenset(
    ["input", "prompt", "sleep", "get", "recv", "accept", "receive", "receive_text", "blpop", "poll", "readline"]
)


class UnboundedAgent:
    """Find agent loops that end only when the model says so, and iteration limits that are switched off.

    A model that is confused, or led by a document it reads, goes on calling tools and spending money until someone
    looks. Count the steps, and stop; give calls a time limit and answers a length.

    Bad:

        while True:
            reply = client.chat.completions.create(model="m", messages=messages, tools=TOOLS)

    Good:

        for _ in range(MAX_STEPS):
            reply = client.chat.completions.create(model="m", messages=messages, tools=TOOLS, max_tokens=400)
    """

    card: ClassVar[Card] = Card(
        title="Unbounded agent",
        summary="An agent's steps, or a model call's time, have no limit.",
        paper="OWASP LLM10 Unbounded Consumption; CWE-835, CWE-770; MITRE ATLAS AML.T0034",
        threats=("OWASP-LLM10", "CWE-835", "CWE-770", "AML.T0034"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge limits in calls, then endless loops around calls of a model."""
        program = program_of(artifact)
        for site in program.calls:
            yield from _limit(site)
        tree = artifact.source.tree if artifact.source is not None else None
        asked = _asking_lines(program)
        for node in ast.walk(tree) if tree is not None and asked else ():
            if isinstance(node, ast.While) and _endless(node) and _asks(node, asked):
                yield Draft(
                    message="the loop around the model ends only when the model says so",
                    fix="count the steps and stop after a fixed number",
                    place=Place(line=node.lineno, column=node.col_offset + 1, end_line=node.end_lineno),
                )


def _limit(site: CallSite) -> Iterator[Draft]:
    config = site.keyword("config")
    for name, value in (*site.keywords, *(config.entries if config is not None else ())):
        huge = isinstance(value.constant, int | float) and value.constant >= _HUGE
        if name == "max_iter" and "gent" not in site.path:
            continue  # of an optimiser
        if name in _LIMITS and (value.constant is None or huge) and name != "max_execution_time":
            message = f"{name}={value.constant!r} lets the agent go on without end"
            yield _draft(message, "set a small number of steps", "medium", site)
    if _POST.fullmatch(site.path) and site.keyword("timeout") is None and not site.open:
        said = answer(site)
        if said is not None and said.kind == "model":
            yield _draft("the call of the model has no time limit", "pass timeout=", "low", site)


def _draft(message: str, fix: str, severity: Severity, site: CallSite) -> Draft:
    return Draft(message=message, fix=fix, severity=severity, place=site.place)


def _asking_lines(program: Program) -> set[int]:
    """Return the lines on which a model is asked and may call tools, or what it says is run."""
    return {
        site.place.line or 0
        for site in program.calls
        if (said := answer(site)) is not None
        and said.kind == "model"
        and (site.keyword("tools") is not None or site.keyword("functions") is not None or _is_agent(site))
    }


def _is_agent(site: CallSite) -> bool:
    first = site.argument(0)
    return first.constant is UNKNOWN and "agent" in site.path.lower()


def _endless(node: ast.While) -> bool:
    """Tell `while True` or `while not done` without a counter, a clock or a person in it."""
    test = node.test.operand if isinstance(node.test, ast.UnaryOp) else node.test
    if not isinstance(test, ast.Constant | ast.Name | ast.Attribute) or (
        isinstance(test, ast.Constant) and not test.value
    ):
        return False
    for item in ast.walk(node):
        if isinstance(item, ast.AugAssign) or (isinstance(item, ast.Call) and called(item.func) in _PAUSES):
            return False
        if isinstance(item, ast.Compare) and any(
            isinstance(op, ast.Gt | ast.GtE | ast.Lt | ast.LtE) for op in item.ops
        ):
            return False
    return True


def _asks(node: ast.While, asked: set[int]) -> bool:
    return any(isinstance(item, ast.Call) and item.lineno in asked for item in ast.walk(node))
