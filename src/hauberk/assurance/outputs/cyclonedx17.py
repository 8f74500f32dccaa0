"""CycloneDX 1.7 JSON: the bill of materials of a project, models and data included."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from hauberk.assurance.bill_of_materials import bill
from hauberk.core.card import Card
from hauberk.core.report import Report


class CycloneDx17:
    """Write the report's inventory as one CycloneDX 1.7 document with its licences, weaknesses and verdicts."""

    card: ClassVar[Card] = Card(
        title="CycloneDX 1.7",
        summary="Bill of materials (SBOM and ML-BOM): models, data, libraries, licences, known weaknesses.",
        paper="ECMA-424; CycloneDX 1.7 JSON schema",
        suffixes=(".cdx17.json",),
    )

    def render(self, report: Report) -> bytes:
        """Encode the bill, indented."""
        return msgspec.json.format(msgspec.json.encode(bill(report, "1.7")), indent=2) + b"\n"
