"""General Python rules: debug servers, unescaped pages and raw queries of web frameworks."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card


class Web:
    """What ruff reports by the codes below, which are bandit's, where `--general` asks for it.

    Pages that are not escaped run what visitors write.

    Bad:

        jinja2.Environment()

    Good:

        jinja2.Environment(autoescape=True)
    """

    card: ClassVar[Card] = Card(
        title="Unsafe web settings",
        summary="Debug servers, unescaped pages and raw queries of web frameworks.",
        paper="CWE-79, CWE-94; bandit B201, B308, B610, B611, B701-B704",
        threats=("CWE-79", "CWE-94"),
        severity="low",
        reads=("engine.rows",),
    )
    codes: ClassVar[frozenset[str]] = frozenset(
        "S201 S308 S610 S611 S701 S702 S704".split()  # noqa: SIM905
    )
