"""Calling whatever function a language model names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Taint, Value
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_BY_NAME = re.compile(
    r"(?i)(\w+\.)*(tool_?call|call|function_?call|action|step|tool_?use|block)\w*(\.function)?\.(name|tool)"
)


_NAMED = re.compile(r"\?(tool|function|func|fn)_name")


class UnlistedTool:
    """Find getattr(module, name) and globals()[name] where a language model chooses the name.

    The model, or who feeds it text, then calls any function of that module with any arguments. Keep a dictionary of the
    tools that are meant, and refuse other names.

    Bad:

        function = globals()[call.function.name]

    Good:

        function = TOOLS[call.function.name]
    """

    card: ClassVar[Card] = Card(
        title="Unlisted tool",
        summary="A language model chooses by name which function of the program is called.",
        paper="CWE-470; OWASP LLM06; MITRE ATLAS AML.T0053",
        threats=("CWE-470", "OWASP-LLM06", "AML.T0053"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every look-up by a name."""
        for site in program_of(artifact).calls:
            taint = _named_by(site)
            if taint is not None:
                yield tainted_draft(
                    site.place,
                    taint,
                    sink_of(site),
                    "a language model chooses by name which function is called",
                    "keep a dictionary of the tools that are meant, and refuse other names",
                    "high",
                )


def _named_by(site: CallSite) -> Taint | None:
    if site.path == "getattr" and len(site.arguments) >= 2:
        holder = site.arguments[0].path
        return None if holder.startswith(("?self", "?cls")) else _steers(site.arguments[1])
    if site.path in ("globals().get", "locals().get", "vars().get", "globals() []", "locals() []", "vars() []"):
        return _steers(site.argument(0))
    return None


def _steers(name: Value) -> Taint | None:
    if name.constant is not None and isinstance(name.constant, str):
        return None
    taint = name.tainted("model")
    if taint is None and _NAMED.fullmatch(name.path):
        return Taint("model", f"by its name {name.path.lstrip('?')} is chosen by a language model", 0, sure=False)
    if taint is None and _BY_NAME.fullmatch(name.path.replace("?", "").replace("()", "")):
        return Taint("model", f"by its name {name.path.replace('?', '')} is chosen by a language model", 0, sure=False)
    return taint
