"""How old the advisories are that dependencies were held against, said in every report that judged any."""

from __future__ import annotations

from hauberk.core.evidence import Measurement
from hauberk.core.provenance import Stamp
from hauberk.scanning.known_vulnerable import Snapshot, snapshot

RECIPE = "scanning.advisories"


def advisories_age(stamp: Stamp, known: Snapshot | None = None) -> Measurement:
    """Measure the days between the newest record of the list of all packages and today by the run's clock."""
    known = known or snapshot()
    days = float(max(0, (stamp.clock().date() - known.checked_on).days))
    note = (
        f"{known.source.name}; the list of AI packages is of {known.curated_on.isoformat()}; hauberk update refreshes"
    )
    return Measurement(
        name="advisories_age",
        subject="dependencies",
        value=days,
        low=days,
        high=days,
        level=1.0,
        method="exact",
        n=len(known.packages),
        population=len(known.packages),
        unit="days",
        better="lower",
        role="diagnostic",
        note=f"{known.fault}; {note}" if known.fault else note,
        provenance=stamp.of(RECIPE),
    )
