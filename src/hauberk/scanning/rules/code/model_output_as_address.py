"""Fetching or opening what a language model names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sinks import addressed_by, opened_by
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft


class ModelOutputAsAddress:
    """Follow what a language model answers into the address of a request or the path of a file.

    A prompt injection then reaches the cloud's metadata service and internal systems, carries data out in the address,
    or reads and deletes files. Take host and folder from a list of allowed ones and let the model choose among them.

    Bad:

        @tool
        def fetch(url: str): return requests.get(url).text

    Good:

        @tool
        def fetch(url: str):
            if urlparse(url).hostname not in HOSTS: raise ValueError(url)
            return requests.get(url, timeout=10, allow_redirects=False).text
    """

    card: ClassVar[Card] = Card(
        title="Model output as address",
        summary="A language model chooses the address a request goes to or the file that is opened.",
        paper="CWE-918, CWE-22; OWASP LLM05 and LLM06",
        threats=("CWE-918", "CWE-22", "OWASP-LLM05", "OWASP-LLM06"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the address of requests and the path of files."""
        for site in program_of(artifact).calls:
            what = "the address of a request"
            taint = addressed_by(site, "model")
            if taint is None:
                taint, what = opened_by(site, "model"), "the path of a file"
            if taint is not None:
                yield tainted_draft(
                    site.place,
                    taint,
                    sink_of(site),
                    f"a language model chooses {what}",
                    "hold the host or the resolved folder against a list of allowed ones",
                    "medium",
                )
