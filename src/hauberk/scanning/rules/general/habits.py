"""General Python rules: file rights, temporary files, old protocols and other habits that bandit names."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card


class Habits:
    """What ruff reports by the codes below, which are bandit's, where `--general` asks for it.

    Small things that add up, and rules newer than this list.

    Bad:

        os.chmod(path, 0o777)

    Good:

        os.chmod(path, 0o600)
    """

    card: ClassVar[Card] = Card(
        title="Risky habits",
        summary="File rights, temporary files, old protocols and other habits that bandit names.",
        paper="bandit, the rest of its rules",
        threats=("CWE-732", "CWE-377"),
        severity="low",
        reads=("engine.rows",),
    )
    codes: ClassVar[frozenset[str]] = frozenset(
        "S103 S202 S306 S312 S321 S401 S402".split()  # noqa: SIM905
    )
