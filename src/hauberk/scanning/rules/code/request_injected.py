"""Running what a user of the service sent: as code, command, SQL, template or pickle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sinks import queried_by, run_by, shown_by, unpickled_by
from hauberk.scanning.python_values import CallSite, Taint
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft


class RequestInjected:
    """Follow what a user sends to an endpoint, form or web socket into code, a shell, SQL, markup or a pickle.

    An inference service is a web service: a formula, filter, template or serialised tensor in its request is the
    attacker's program. Parse values with types, bind SQL parameters, keep templates constant, take tensors as JSON or
    safetensors.

    Bad:

        result = eval(request.args["formula"])

    Good:

        result = FORMULAS[request.args["formula"]](x)
    """

    card: ClassVar[Card] = Card(
        title="Request injected",
        summary="What a user sends reaches exec, a shell, SQL, a template or a pickle.",
        paper="CWE-94, CWE-78, CWE-89, CWE-502; MITRE ATLAS AML.T0049",
        threats=("CWE-94", "CWE-78", "CWE-89", "CWE-502", "AML.T0049"),
        severity="critical",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that runs, queries, renders or unpickles."""
        for site in program_of(artifact).calls:
            taint, what, severity = _reaches(site)
            if taint is not None:
                fix = "parse it into a typed value, bind it as a parameter, or hold it against a list of allowed values"
                yield tainted_draft(site.place, taint, sink_of(site), f"what a user sends is {what}", fix, severity)


def _reaches(site: CallSite) -> tuple[Taint | None, str, Severity]:
    if site.path == "compile" or site.path.startswith("importlib"):
        return None, "", "low"
    if (taint := run_by(site, "request")) is not None:
        return taint, f"run by {site.path.replace('?', '').lstrip('.')}", "critical"
    if (taint := unpickled_by(site, "request")) is not None and not site.argument(0).text:
        return taint, f"unpickled by {site.path}", "critical"
    if (taint := queried_by(site, "request")) is not None and taint.sure:
        return taint, "part of an SQL statement", "high"
    taint, what = shown_by(site, "request")
    return taint, what, "high"
