"""Labels that are probably wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import rows_in_words, share

_GAIN, _SURE = 0.3, 0.6
_MANY = 0.02


class LabelError:
    """Report rows that confident learning calls mislabelled, by probabilities of neighbours or a kernel machine.

    What: a row bears another label than everything like it.
    Why: mislabelled rows cost accuracy, and label flipping is the simplest poisoning there is.
    Fix: look at the rows the trace names; `hauberk data repair` relabels or drops them with a list.
    """

    card: ClassVar[Card] = Card(
        title="Labels that are probably wrong",
        summary="The label of a row contradicts what models that have not seen it say.",
        paper="Northcutt, Jiang, Chuang 2021, JAIR 70",
        threats=("AML.T0020", "OWASP-ML02"),
        severity="low",
        reads=("table.suspects",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Speak only where the source of probabilities itself knows the classes."""
        found = table.suspects
        if found is None or not found.likely:
            return
        gain = (found.trust - found.majority) / (1 - found.majority) if found.majority < 1 else 0.0
        if gain < _GAIN:
            return
        rows = tuple(f"row {row}: given {given!r}, likelier {best!r}" for row, given, best in found.suggested[:20])
        yield DataDraft(
            message=f"{share(found.likely.count, found.of)} probably bear a wrong label: "
            f"{rows_in_words(found.likely)}; "
            f"{found.review.count:,} are worth a look. By {found.source}, right in {found.trust:.1%} of held-out rows",
            fix="look at these rows first; `hauberk data repair` relabels or drops them and keeps a list",
            column=table.label,
            rows=found.likely,
            severity="medium" if found.likely.count > _MANY * found.of and gain > _SURE else None,
            confidence="medium" if gain > _SURE else "low",
            trace=rows,
        )
