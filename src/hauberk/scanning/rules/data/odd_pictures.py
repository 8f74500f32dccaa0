"""Pictures that show little or stand out in form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import rows_in_words, share

_MANY = 0.05
_KINDS = {
    "dark": "are dark",
    "light": "are too light",
    "flat": "show next to nothing",
    "blurry": "are blurred",
    "odd_size": "have another size than most by a factor of four",
    "odd_shape": "are three times as long as wide",
}


class OddPictures:
    """Report pictures by six numbers each: light, shade, sharpness, information, size, shape.

    What: some pictures are unlike the rest before anyone looks at them.
    Why: broken exports and planted pictures differ in such numbers; models learn them as shortcuts.
    Fix: look at the pictures; drop or replace them.
    """

    card: ClassVar[Card] = Card(
        title="Dark, blurred or odd pictures",
        summary="Pictures that are dark, too light, blurred, flat, or of an odd size or shape.",
        threats=("CWE-20",),
        severity="info",
        reads=("table.pictures",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each kind."""
        for found in table.pictures:
            yield DataDraft(
                message=f"{share(found.rows.count, found.of)} {_KINDS[found.kind]}: {rows_in_words(found.rows)}",
                fix="look at these pictures; drop or replace them",
                rows=found.rows,
                severity="low" if found.rows.count > _MANY * found.of else None,
            )
