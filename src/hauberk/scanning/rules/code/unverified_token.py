"""Believing a token whose signature nobody checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite

_DECODES = ("jwt.decode", "jose.jwt.decode", "jwt.PyJWT().decode")


class UnverifiedToken:
    """Find JSON web tokens decoded without checking signature, algorithm or expiry.

    Anyone then writes "role": "admin" into a token of their own. Name the algorithms, pass the key, leave every check
    on.

    Bad:

        jwt.decode(token, options={"verify_signature": False})

    Good:

        jwt.decode(token, PUBLIC_KEY, algorithms=["RS256"], audience="model-api")
    """

    card: ClassVar[Card] = Card(
        title="Unverified token",
        summary="A JSON web token is decoded without checking its signature, algorithm or expiry.",
        paper="CWE-347, CWE-345; RFC 8725",
        threats=("CWE-347", "CWE-345"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that decodes a token."""
        for site in program_of(artifact).calls:
            what = _judge(site)
            if what:
                fix = "pass the key and algorithms=[…], and leave every check on"
                yield Draft(message=what, fix=fix, severity="medium" if "expired" in what else "high", place=site.place)


def _judge(site: CallSite) -> str:
    if site.path in ("jose.jwt.get_unverified_claims", "jwt.get_unverified_claims"):
        return "the claims of a token are read without checking its signature"
    if site.path not in _DECODES:
        return ""
    options = site.keyword("options")
    off = [name for name, value in (options.entries if options is not None else ()) if value.constant is False]
    if "verify_signature" in off or site.says("verify") is False:
        return "a token's signature is not checked"
    algorithms = site.argument(2, "algorithms")
    if any(str(item.constant).lower() == "none" for item in (algorithms, *(item for _, item in algorithms.entries))):
        return 'the algorithm "none" is accepted: tokens without a signature'
    return "tokens that have expired are accepted" if "verify_exp" in off else ""
