"""Showing fetched text to a model that can act."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sources import answer
from hauberk.scanning.python_values import CallSite, Taint
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_TOOLS = ("tools", "functions", "mcp_servers")
_AGENTS = ("agent", "executor", "crew")


class DocumentWithTools:
    """Follow web pages, mails and retrieved passages into the prompt of a model that has tools.

    Whoever wrote the page then gives the model orders, and the model has the means to obey (indirect prompt injection).
    Let one model without tools read the text and return checked fields, and another act on those; ask a person before
    acts that cannot be undone.

    Bad:

        agent.invoke({"input": f"Act on this page: {requests.get(url).text}"})

    Good:

        facts = Facts.model_validate_json(reader.invoke(page).content)
        agent.invoke({"input": describe(facts)})
    """

    card: ClassVar[Card] = Card(
        title="Document with tools",
        summary="Text that others wrote is put before a language model that can call tools.",
        paper="OWASP LLM01 and LLM06; CWE-1427; MITRE ATLAS AML.T0051.001",
        threats=("OWASP-LLM01", "OWASP-LLM06", "CWE-1427", "AML.T0051.001"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call of a model or agent that has tools."""
        for site in program_of(artifact).calls:
            taint = _read(site)
            if taint is not None:
                yield tainted_draft(
                    site.place,
                    taint,
                    sink_of(site),
                    "text that others wrote is put before a model that can call tools",
                    "let a model without tools read it and return checked fields; act on those",
                    "medium",
                )


def _read(site: CallSite) -> Taint | None:
    said = answer(site)
    if said is None or said.kind != "model":
        return None
    armed = any((value := site.keyword(name)) is not None and value.constant is not None for name in _TOOLS)
    if not armed and not any(word in site.path.lower() for word in _AGENTS):
        return None
    values = (*site.arguments, *(value for name, value in site.keywords if name not in _TOOLS))
    return next((taint for value in values if (taint := value.tainted("document")) is not None), None)
