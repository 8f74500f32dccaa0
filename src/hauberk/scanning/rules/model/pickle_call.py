"""Calls that loading a pickle makes: dangerous ones, and those nobody vouches for."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.allowlist import is_unreviewed_function, says_it_acts, standing
from hauberk.scanning.artifact import Artifact, Call, Draft

_TRACED = 5
_BASE64 = re.compile(r"[A-Za-z0-9+/]{20,}={0,2}")


class PickleCall:
    """Judge every call a pickle makes by what is known of the callable.

    What: loading the file calls a function that runs code, reaches files, processes or the network (critical); one of
    Python's own library or of a tool for other work, which no model needs, a function of a reviewed framework that is
    not among those its pickles use, or one whose name says that it runs, loads or writes something (high); one on no
    reviewed list (medium); or makes an object of a known framework's class without running its constructor (low).
    Why: a pickle is a program; whoever wrote the file decides what runs with the rights of whoever loads it. Lists of
    bad names are always incomplete, so a callable is trusted by name or reported.
    Fix: take the file from a source you trust, or convert it to safetensors, ONNX or skops and delete the pickle.
    """

    card: ClassVar[Card] = Card(
        title="Call made by a pickle",
        summary="Loading the file calls something dangerous, or something that is on no reviewed list.",
        paper="CWE-502; OWASP ML06:2023; MITRE ATLAS AML.T0010, AML.T0011",
        threats=("CWE-502", "OWASP-ML06", "AML.T0010", "AML.T0011"),
        severity="critical",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each callable that is not known to be inert."""
        if artifact.format == "skops_schema":
            return  # nodes are no calls of a pickle: skops_node judges them
        for name, calls in _by_callable(artifact.calls).items():
            known = standing(name)
            if known == "dangerous":
                yield Draft(
                    message=f"loading this file calls {_shown(calls[0])}",
                    fix="do not load it; get the weights as safetensors from a source you trust",
                    place=calls[0].place,
                    trace=_trace(calls),
                )
            elif known == "foreign":
                yield Draft(
                    message=f"loading this file calls {_shown(calls[0])}, which no model needs",
                    fix="do not load it; get the weights as safetensors from a source you trust",
                    severity="high",
                    place=calls[0].place,
                    trace=_trace(calls),
                )
            elif known != "inert":
                only_new = known == "framework" and all(call.effect in ("new", "state") for call in calls)
                acts = not only_new and (says_it_acts(name) or is_unreviewed_function(name))
                yield Draft(
                    message=f"loading this file calls {_shown(calls[0])}, which is on no reviewed list",
                    fix="read what it does before loading the file, or accept the finding with a reason",
                    severity="low" if only_new else "high" if acts else "medium",
                    confidence="medium",
                    place=calls[0].place,
                    trace=_trace(calls),
                )


def _by_callable(calls: Iterable[Call]) -> dict[str, list[Call]]:
    """Group by what is called; giving state to a class belongs to the call that made it."""
    groups: dict[str, list[Call]] = {}
    for call in calls:
        if call.effect == "persistent":
            continue
        owner = call.callable.removesuffix(".__setstate__")
        if call.effect == "state" and owner in groups:
            groups[owner].append(call)
        elif not owner.startswith("<persistent>"):
            groups.setdefault(call.callable, []).append(call)
    return groups


def _shown(call: Call) -> str:
    arguments = call.arguments if len(call.arguments) <= 80 else f"{call.arguments[:80]}…"
    return f"{call.callable}({arguments})"


def _unwrapped(arguments: str) -> Iterator[str]:
    """Decode what looks like base64 of text, for the reader's eyes; what was cut off stays cut off."""
    for wrapped in _BASE64.findall(arguments)[:_TRACED]:
        try:
            plain = base64.b64decode(wrapped[: len(wrapped) // 4 * 4]).decode("ascii")
        except ValueError:
            continue
        if all(sign.isprintable() or sign in "\n\t" for sign in plain):
            yield repr(plain)


def _trace(calls: list[Call]) -> tuple[str, ...]:
    lines: list[str] = []
    for call in calls[:_TRACED]:
        lines.append(f"at byte {call.place.offset}: {call.callable}({call.arguments})")
        lines.extend(f"which is base64 of: {plain}" for plain in _unwrapped(call.arguments))
    return (*lines, f"and {len(calls) - _TRACED} more") if len(calls) > _TRACED else tuple(lines)
