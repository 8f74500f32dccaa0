"""Comments that ignore findings which are not there any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Draft, Place

if TYPE_CHECKING:
    from hauberk.scanning.suppressions import Ignore


class UnusedIgnore:
    """Report `hauberk: ignore` comments that took nothing out: the next finding there would be ignored unread.

    Fix: take the comment out.
    """

    card: ClassVar[Card] = Card(
        title="Ignore without a use",
        summary="A comment ignores a finding that is not there.",
        paper="NIST SSDF PW.7.2",
        severity="info",
        reads=("comments.ignore",),
    )

    def check(self, ignore: Ignore) -> Iterator[Draft]:
        """Word one comment that nothing was taken out for."""
        message = f"a comment ignores {', '.join(ignore.rules)}, and nothing of that is found here"
        yield Draft(message=message, fix="take the comment out", severity="info", place=Place(line=ignore.line))
