"""General Python rules: commands, queries and code put together from texts in Python."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card


class Injection:
    """What ruff reports by the codes below, which are bandit's, where `--general` asks for it.

    Shells, queries and code made of texts.

    Bad:

        subprocess.run(f"ls {name}", shell=True)

    Good:

        subprocess.run(["ls", "--", name], check=True)
    """

    card: ClassVar[Card] = Card(
        title="Injection",
        summary="Commands, queries and code put together from texts in Python.",
        paper="CWE-78, CWE-89, CWE-95; bandit B102, B307, B601-B612",
        threats=("CWE-78", "CWE-89", "CWE-95"),
        severity="low",
        reads=("engine.rows",),
    )
    codes: ClassVar[frozenset[str]] = frozenset(
        "S102 S307 S601 S602 S604 S605 S606 S608 S609 S612".split()  # noqa: SIM905
    )
