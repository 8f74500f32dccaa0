"""Showing what a language model wrote as markup or as a template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sinks import shown_by
from hauberk.scanning.python_values import CallSite, Taint
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_RAW_ROUTES = ("flask.", "bottle.", "sanic.", "quart.")


class ModelOutputInHtml:
    """Follow what a language model answers into unescaped markup, or into the source of a template.

    Markup from a model carries scripts an attacker dictated into every reader's session (cross-site scripting);
    template source from a model runs code on the server. Let the template engine escape it, or clean it with a list of
    allowed tags (nh3), and never build a template from it.

    Bad:

        return HTMLResponse(f"<p>{answer}</p>")

    Good:

        return HTMLResponse(f"<p>{html.escape(answer)}</p>")
    """

    card: ClassVar[Card] = Card(
        title="Model output in HTML",
        summary="What a language model answers is shown as unescaped markup or compiled as a template.",
        paper="CWE-79, CWE-1336; OWASP LLM05",
        threats=("CWE-79", "CWE-1336", "OWASP-LLM05"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge calls that make markup, and what raw routes return."""
        program = program_of(artifact)
        for site in program.calls:
            taint, what = shown_by(site, "model")
            if taint is not None:
                yield _draft(site, taint, what)
        for returned in program.returns:
            raw = any(path.startswith(_RAW_ROUTES) for path in returned.decorators)
            found = returned.value.tainted("model", "html") if raw and "<" in returned.value.text else None
            if found is not None:
                yield _draft(CallSite(path="the response", place=returned.place), found, "shown as unescaped markup")


def _draft(site: CallSite, taint: Taint, what: str) -> Draft:
    return tainted_draft(
        site.place,
        taint,
        sink_of(site) if site.path != "the response" else "into the response",
        f"what a language model wrote is {what}",
        "let the template engine escape it, or clean it with a list of allowed tags",
        "high",
    )
