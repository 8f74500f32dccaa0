"""Packages are installed from a place nobody checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.build_instructions import COMMANDS

_PIP = r"\b(?:pip3?|uv|python[\d.]*\s+-m\s+pip)\b[^;&|\n]{0,500}"
_WEAK: tuple[tuple[re.Pattern[str], str, str, Severity], ...] = (
    (
        re.compile(rf"{_PIP}--trusted-host|\bPIP_TRUSTED_HOST="),
        "pip does not check who answers (--trusted-host)",
        "drop --trusted-host; install the private authority's certificate instead",
        "medium",
    ),
    (
        re.compile(
            rf"{_PIP}(?:--(?:extra-)?index-url|-i|--find-links|-f)[ =]http://|\bPIP_(?:EXTRA_)?INDEX_URL=[\"']?http://"
        ),
        "packages come over plain HTTP",
        "use https",
        "high",
    ),
    (
        re.compile(rf"{_PIP}--extra-index-url(?![ =]https://download\.pytorch\.org)|\bPIP_EXTRA_INDEX_URL="),
        "a second index lets a public package of the same name replace yours",
        "use one --index-url that proxies the other, or pin with hashes",
        "low",
    ),
    (
        re.compile(
            r"\bcurl\b[^|;&\n]{0,500}\s(?:-k|--insecure|-[a-zA-Z]*k[a-zA-Z]*)\s|\bwget\b[^|;&\n]{0,500}--no-check-certificate"
            r"|http\.sslVerify[ =]\"?false|GIT_SSL_NO_VERIFY=[\"']?(?:1|true)"
        ),
        "a download does not check who answers",
        "leave certificate checks on",
        "medium",
    ),
)
_INSTALL = re.compile(rf"{_PIP}\binstall\b(?!\s+--upgrade\s+pip\s*$)")
_HASHED = re.compile(r"--require-hashes|\s(?:-e\s+)?\.(?:\[\S+\])?(?:\s|$)|--no-deps\s+\S+\.whl|uv sync")


class WeakInstall:
    """Find pip told to trust a host, to use plain HTTP or a second index, and installs without hashes.

    A trusted host or plain HTTP lets anyone on the way replace a package; with an extra index a public package of the
    same name wins over yours (dependency confusion). Use one index over TLS and `--require-hashes`.
    """

    card: ClassVar[Card] = Card(
        title="Weak install",
        summary="Packages are installed from a place nobody checks.",
        paper="CWE-295, CWE-427, CWE-494; MITRE ATLAS AML.T0010.001",
        threats=("CWE-494", "CWE-427", "CWE-295", "AML.T0010"),
        severity="medium",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every install command."""
        for item in artifact.instructions:
            if item.keyword not in (*COMMANDS, "ENV"):
                continue
            for pattern, message, fix, severity in _WEAK:
                if pattern.search(item.value):
                    yield Draft(message=message, fix=fix, severity=severity, place=item.place)
            if _INSTALL.search(item.value) and not _HASHED.search(item.value) and item.keyword == "RUN":
                yield Draft(
                    message="packages are installed without hashes",
                    fix="lock them with hashes and install with --require-hashes",
                    severity="info",
                    place=item.place,
                )
