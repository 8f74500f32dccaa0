"""Training rows that look planted."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card


class PlantedRows:
    """Report what `hauberk data suspects` finds: rows that share something no other row has, or contradict their like.

    A few planted rows are enough for a backdoor: the model is right on everything but inputs that bear a trigger.
    Fix: look at the rows; leave them out, train anew, and attack again.
    """

    card: ClassVar[Card] = Card(
        title="Rows that look planted",
        summary="Training rows of one class share a pattern that hardly any other row has.",
        paper="Gu et al. 2017, arXiv:1708.06733",
        threats=("AML.T0020", "OWASP-ML02"),
        severity="high",
        reads=("poison.suspects",),
    )
    fix: ClassVar[str] = "look at these rows; leave them out (--rows), train anew and run `hauberk attack` again"
