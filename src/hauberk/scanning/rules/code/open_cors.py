"""Letting every web page call the service from its visitors' browsers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Value

_ORIGINS = ("allow_origins", "origins", "origin", "cors_allowed_origins", "allow_origin_regex", "resources")


class OpenCors:
    """Find cross-origin rules that allow every origin.

    Any page a signed-in user visits can then ask the model in their name, and read the answers. List the pages that are
    meant.

    Bad:

        app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)

    Good:

        app.add_middleware(CORSMiddleware, allow_origins=["https://app.example.com"])
    """

    card: ClassVar[Card] = Card(
        title="Open CORS",
        summary="Every web page may call the service from its visitors' browsers.",
        paper="CWE-942; OWASP LLM10",
        threats=("CWE-942", "AML.T0049"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge middleware, decorators and headers."""
        for site in program_of(artifact).calls:
            if _is_open(site):
                yield Draft(
                    message="every web page may call the service from its visitors' browsers",
                    fix="list the origins that are meant",
                    place=site.place,
                )


def _is_open(site: CallSite) -> bool:
    if site.path.endswith("[Access-Control-Allow-Origin] ="):
        return site.arguments[0].constant == "*"
    cors = "CORS" in site.path or "cors" in site.tail or any("CORS" in value.path for value in site.arguments)
    if site.path.endswith("SocketIO") or cors:
        return any(_all(value, name) for name, value in site.keywords if name in _ORIGINS)
    return False


def _all(value: Value, name: str) -> bool:
    if value.constant == "*" or (name == "allow_origin_regex" and value.constant in (".*", "https?://.*", "^.*$")):
        return True
    return any(item.constant == "*" or _all(item, key) for key, item in value.entries[:20] if item is not value)
