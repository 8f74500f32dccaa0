"""General Python rules: pickle, marshal, YAML and XML read without care in Python."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card


class Parsing:
    """What ruff reports by the codes below, which are bandit's, where `--general` asks for it.

    Readers that run or fetch what the text says.

    Bad:

        xml.etree.ElementTree.parse(upload)

    Good:

        defusedxml.ElementTree.parse(upload)
    """

    card: ClassVar[Card] = Card(
        title="Unsafe parsing",
        summary="Pickle, marshal, YAML and XML read without care in Python.",
        paper="CWE-502, CWE-611; bandit B301, B302, B313-B319, B506",
        threats=("CWE-502", "CWE-611"),
        severity="low",
        reads=("engine.rows",),
    )
    codes: ClassVar[frozenset[str]] = frozenset(
        "S301 S302 S313 S314 S315 S316 S317 S318 S319 S506".split()  # noqa: SIM905
    )
