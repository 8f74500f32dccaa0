"""Writing keys, conversations or personal data to a log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Confidence, Severity
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
    r"(?:(?:user|full|system|final|chat|raw)_)?(?:prompts?|messages|conversation|chat_history|user_input|user_message)"
)
_PERSON = re.compile(
    r"(?:\w+_)?(?:ssn|social_security(?:_number)?|date_of_birth|dob|birth_?date|credit_card(?:_number)?|card_number|iban"
    r"|passport(?:_number|_no)?|e?mail_?address|user_email|patient_?(?:name|id)?|medical_record|diagnosis|home_address"
    r"|phone_?number|national_id|tax_id|salary)"
)

_IDENTITY = re.compile(
    r"(?:\w+_)?(?:ssn|social_security(?:_number)?|date_of_birth|dob|credit_card(?:_number)?|card_number|iban"
    r"|passport(?:_number|_no)?|medical_record|national_id|tax_id)"
)


class LoggedSecrets:
    """Find keys, prompts and conversations, and personal data in what is logged; keys and people's numbers in print.

    Logs are kept longer and read by more people than the data they copy, and prompts hold what users confide. Log a
    digest, a length or an identifier; redact keys to their first characters.

    Bad:

        logger.info("prompt %s with key %s", prompt, api_key)

    Good:

        logger.info("prompt of %d characters", len(prompt))
    """

    card: ClassVar[Card] = Card(
        title="Logged secrets",
        summary="An API key, personal data, or what people said to a model, is written to a log.",
        paper="CWE-532, CWE-359; OWASP LLM02",
        threats=("CWE-532", "CWE-359", "OWASP-LLM02"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge what every logging call is given: by what steers it first, by its name then."""
        for site in program_of(artifact).calls:
            logs = _is_log(site)
            if logs or site.path == "print":
                draft = _key(site, logs) or (_said(site) if logs else _printed(site))
                if draft is not None:
                    yield draft


def _key(site: CallSite, logs: bool) -> Draft | None:
    key = next((word for word in site.words if _KEY.fullmatch(word)), None)
    secret = _carried(site, "secret")
    if key is None and secret is None:
        return None
    return Draft(
        message=f"{key or 'a secret of the environment'} is written to the {'log' if logs else 'output'}",
        fix="leave it out, or log its first four characters",
        severity="medium" if logs or secret is not None else "low",
        confidence="medium",
        place=site.place,
    )


def _printed(site: CallSite) -> Draft | None:
    """Judge output: what a service prints is its log; only what tells one person from all others counts here."""
    person = next((word for word in site.words if _IDENTITY.fullmatch(word)), None)
    if person is None:
        return None
    return Draft(
        message=f"{person}, which is personal data, is written to the output",
        fix="print a count, a digest or an identifier of your own",
        confidence="medium",
        place=site.place,
    )


def _said(site: CallSite) -> Draft | None:
    sent = _carried(site, "request")
    person = next((word for word in site.words if _PERSON.fullmatch(word)), None)
    talk = next((word for word in site.words if _TALK.fullmatch(word)), None)
    confidence: Confidence = "medium"
    severity: Severity = "low" if site.tail == "debug" else "medium"
    if sent is not None and _is_text(sent, site):
        message, confidence = "what a user sent is written to the log whole", "high" if sent.sure else "medium"
    elif person is not None:
        message = f"{person}, which is personal data, is written to the log"
    elif talk is not None:
        message, confidence = f"{talk}, which may hold what people confide, is written to the log", "low"
    else:
        return None
    fix = "log a length, a digest or an identifier"
    trace = sent.trace() if sent is not None else ()
    return Draft(message=message, fix=fix, severity=severity, confidence=confidence, place=site.place, trace=trace)


def _is_text(taint: Taint, site: CallSite) -> bool:
    """Tell what a person wrote from an identifier or a name that a request carries too."""
    words = [
        word
        for word in site.words
        if not re.fullmatch(r".*(_id|id|uuid|path|method|host|version|count|status|size)", word)
    ]
    return "judged" not in taint.safe_for and bool(words)


def _carried(site: CallSite, kind: str) -> Taint | None:
    rows = (value.tainted(kind) for value in (*site.arguments, *(value for _, value in site.keywords)))
    return next((taint for taint in rows if taint is not None), None)


def _is_log(site: CallSite) -> bool:
    holder, _, level = site.path.rpartition(".")
    return level in LOG_METHODS and _LOGGER.fullmatch(holder) is not None
