"""New rows that contradict the rows that were there."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card


class FreshRows:
    """Report what `hauberk data fresh` finds: rows that came between two seals and contradict those sealed before.

    Whoever can add rows to a data set can poison it. New rows that pull a fit of the trusted ones far more often than
    those pull each other, or bear labels that trusted neighbours deny, come from another source or another intention.
    Fix: look at the rows; leave them out until somebody answers for them.
    """

    card: ClassVar[Card] = Card(
        title="New rows against the trusted ones",
        summary="Rows added between two seals contradict the rows that were sealed before.",
        paper="Koh & Liang 2017, arXiv:1703.04730, §2; Cook 1977",
        threats=("AML.T0020", "OWASP-ML02"),
        severity="high",
        reads=("seal.fresh",),
    )
    fix: ClassVar[str] = "look at these rows; leave them out until somebody answers for them"
