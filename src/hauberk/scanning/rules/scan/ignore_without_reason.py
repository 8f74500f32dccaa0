"""Comments that ask to ignore findings and do not say which, or not why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Draft, Place

if TYPE_CHECKING:
    from hauberk.scanning.suppressions import Ignore


class IgnoreWithoutReason:
    """Report `hauberk: ignore` comments without rules or without a reason; they are not followed.

    Bad: `# hauberk: ignore`
    Good: `# hauberk: ignore[code.unsafe_load] written by this job, see ADR 7`
    """

    card: ClassVar[Card] = Card(
        title="Ignore without a reason",
        summary="A comment asks to ignore findings and does not say which, or not why.",
        paper="NIST SSDF PW.7.2",
        severity="low",
        reads=("comments.ignore",),
    )

    def check(self, ignore: Ignore) -> Iterator[Draft]:
        """Judge one comment."""
        place = Place(line=ignore.line)
        if not ignore.rules:
            message = "a comment asks to ignore every rule: it is not followed"
            yield Draft(message=message, fix="name the rules in brackets", place=place)
        elif not ignore.valid:
            message = f"a comment asks to ignore {', '.join(ignore.rules)} without a reason: it is not followed"
            yield Draft(message=message, fix="write the reason after the brackets", place=place)
