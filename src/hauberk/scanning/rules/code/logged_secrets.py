"""Writing keys or conversations to a log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_building import LOG_METHODS
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Taint

_LOGGER = re.compile(
    r"(logging|loguru\.logger|structlog\.\w+\(\)|\??_?(log|logger|LOG|LOGGER)|.*\.(_?log|_?logger))(\.\w+\(\))?"
)
_KEY = re.compile(
    r"(?:.*_)?(?:api_?key|apikey|secret|secret_?key|access_?key|password|passwd|credentials?|(?:access|auth|api|hf|bearer)_?token)"
)
_TALK = re.compile(
    r"(?:(?:user|full|system|final|chat)_)?(?:prompts?|messages|conversation|chat_history|user_input|user_message)"
)


class LoggedSecrets:
    """Find keys, and whole prompts or conversations, in the arguments of logging calls; keys in print too.

    Logs are kept longer and read by more people than the data they copy, and prompts hold what users confide. Log a
    digest, a length or an identifier; redact keys to their first characters.
    """

    card: ClassVar[Card] = Card(
        title="Logged secrets",
        summary="An API key, or what people said to a model, is written to a log.",
        paper="CWE-532; OWASP LLM02",
        threats=("CWE-532", "OWASP-LLM02"),
        severity="low",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the names in the arguments of every logging call."""
        for site in program_of(artifact).calls:
            logs = _is_log(site)
            if not logs and site.path != "print":
                continue
            key = next((word for word in site.words if _KEY.fullmatch(word)), None)
            talk = next((word for word in site.words if _TALK.fullmatch(word)), None) if logs else None
            if key is not None:
                yield Draft(
                    message=f"{key} is written to the {'log' if logs else 'output'}",
                    fix="leave it out, or log its first four characters",
                    confidence="medium",
                    place=site.place,
                )
            elif logs and (sent := _sent(site)) is not None:
                yield Draft(
                    message="what a user sent is written to the log whole",
                    fix="log a length, a digest or an identifier",
                    confidence="high" if sent.sure else "medium",
                    place=site.place,
                    trace=sent.trace(),
                )
            elif talk is not None:
                yield Draft(
                    message=f"{talk}, which may hold what people confide, is written to the log",
                    fix="log a length, a digest or an identifier",
                    confidence="low",
                    place=site.place,
                )


def _sent(site: CallSite) -> Taint | None:
    rows = (value.tainted("request") for value in site.arguments)
    return next((taint for taint in rows if taint is not None), None)


def _is_log(site: CallSite) -> bool:
    holder, _, level = site.path.rpartition(".")
    return level in LOG_METHODS and _LOGGER.fullmatch(holder) is not None
