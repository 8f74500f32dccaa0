"""General Python rules: texts that are assigned to, compared with or passed as passwords in Python."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card


class Secrets:
    """What ruff reports by the codes below, which are bandit's, where `--general` asks for it.

    A password in the text is known to everybody who has the text.

    Bad:

        connect(password="hunter2")

    Good:

        connect(password=os.environ["DB_PASSWORD"])
    """

    card: ClassVar[Card] = Card(
        title="Password in the program",
        summary="Texts that are assigned to, compared with or passed as passwords in Python.",
        paper="CWE-259; bandit B105-B107",
        threats=("CWE-259", "CWE-798"),
        severity="low",
        reads=("engine.rows",),
    )
    codes: ClassVar[frozenset[str]] = frozenset(
        "S105 S106 S107".split()  # noqa: SIM905
    )
