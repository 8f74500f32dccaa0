"""Fetching the address that a user sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sinks import addressed_by
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft


class ServerSideRequest:
    """Follow what a user sends into the host of a request that the server makes (image by URL, page to summarise).

    The server then reads the cloud's metadata service and internal systems for the attacker. Hold the host against a
    list, or resolve it and refuse private addresses, without following redirects.

    Bad:

        image = requests.get(body["image_url"]).content

    Good:

        if urlparse(body["image_url"]).hostname not in IMAGE_HOSTS: abort(400)
    """

    card: ClassVar[Card] = Card(
        title="Server-side request",
        summary="What a user sends chooses the host that the server asks.",
        paper="CWE-918; MITRE ATLAS AML.T0049",
        threats=("CWE-918", "AML.T0049"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the address of every request."""
        for site in program_of(artifact).calls:
            taint = addressed_by(site, "request")
            if taint is not None and "a user types input()" not in taint.origin:
                yield tainted_draft(
                    site.place,
                    taint,
                    sink_of(site),
                    "what a user sends chooses the host that the server asks",
                    "hold the host against a list of allowed ones and follow no redirects",
                    "high",
                )
