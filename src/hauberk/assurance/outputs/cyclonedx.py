"""CycloneDX 1.6 JSON: the bill of materials of a project, models and data included."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from hauberk.assurance.bill_of_materials import bill
from hauberk.core.card import Card
from hauberk.core.report import Report


class CycloneDx:
    """Write the report's inventory as one CycloneDX 1.6 document with its licences, weaknesses and verdicts."""

    card: ClassVar[Card] = Card(
        title="CycloneDX 1.6",
        summary="Bill of materials (SBOM and ML-BOM): models, data, libraries, licences, known weaknesses.",
        paper="ECMA-424; CycloneDX 1.6 JSON schema",
        suffixes=(".cdx.json",),
    )

    def render(self, report: Report) -> bytes:
        """Encode the bill, indented."""
        return msgspec.json.format(msgspec.json.encode(bill(report, "1.6")), indent=2) + b"\n"
