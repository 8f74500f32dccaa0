"""The canonical record: all evidence, exact, sorted keys, readable back into an equal report."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.encoding import canonical
from hauberk.core.report import Report


class JsonReport:
    """Write the report's record as canonical JSON; `assurance.engine.report_from_json` reads it back."""

    card: ClassVar[Card] = Card(
        title="JSON",
        summary="The whole record, exact and canonical: for machines, archives and `hauberk report --diff`.",
        paper="RFC 8259",
        suffixes=(".json",),
    )

    def render(self, report: Report) -> bytes:
        """Encode the report; equal reports give equal bytes."""
        return canonical(report) + b"\n"
