"""Fetching or opening what a language model names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Taint, Value
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_FETCH = re.compile(
    r"(requests|httpx)(\.(Session|Client|AsyncClient)\(\))?\.(get|post|put|patch|delete|head|request)"
    r"|urllib\.request\.(urlopen|urlretrieve|Request)|aiohttp\.ClientSession\(\)\.(get|post|put|request)"
)
_REMOVE = frozenset(["os.remove", "os.unlink", "os.rmdir", "shutil.rmtree", "shutil.move", "shutil.copy", "os.rename"])


class ModelOutputAsAddress:
    """Follow what a language model answers into the address of a request or the path of a file.

    A prompt injection then reaches the cloud's metadata service and internal systems, carries data out in the address,
    or reads and deletes files. Take host and folder from a list of allowed ones and let the model choose among them.
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
            taint, what = _reaches(site)
            if taint is not None:
                yield tainted_draft(
                    site.place,
                    taint,
                    sink_of(site),
                    f"a language model chooses {what}",
                    "hold the host or the resolved folder against a list of allowed ones",
                    "medium",
                )


def _reaches(site: CallSite) -> tuple[Taint | None, str]:
    if _FETCH.fullmatch(site.path):
        address = site.argument(1 if site.tail == "request" else 0, "url")
        return (_chosen(address, r"https?://[^/{]+[/?]"), "the address of a request")
    if site.path in _REMOVE:
        return (_chosen(site.argument(0), r"(?!)"), "a file to remove or move")
    if site.path in ("open", "io.open", "pathlib.Path().write_text", "pathlib.Path().unlink"):
        value = site.argument(0, "file") if site.tail == "open" else site.receiver
        return (_chosen(value, r"(?!)"), "a file to open")
    return None, ""


def _chosen(value: Value, fixed: str) -> Taint | None:
    """Return the taint unless the literal beginning fixes where it leads."""
    return None if re.match(fixed, value.text) else value.tainted("model")
