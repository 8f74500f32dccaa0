"""How a secret is reported: where it stands, never what it is."""

from __future__ import annotations

from collections.abc import Iterator

from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.secret_search import Hit, Piece, pieces, secrets_in

REVOKE = "revoke it with the provider now, then take it from the environment or a secret store"


def secret_drafts(artifact: Artifact, family: str, severity: Severity, fix: str = REVOKE) -> Iterator[Draft]:
    """Yield a draft for every secret of one family, redacted to its first four characters."""
    for piece in pieces(artifact):
        for hit in secrets_in(piece.text, piece.code):
            if hit.family == family:
                yield _draft(hit, piece, severity, fix)


def _draft(hit: Hit, piece: Piece, severity: Severity, fix: str) -> Draft:
    place = piece.place
    if place.line is not None:
        place = Place(line=place.line + hit.line - 1, column=hit.column)
    where = f"in the {piece.where}" if piece.where else "in the file"
    doubt = "; its checksum does not hold, so it may be invented" if hit.checked is False else ""
    sure = "; its checksum holds" if hit.checked else ""
    return Draft(
        message=f"{hit.name} {hit.shown} is written {where}{doubt}{sure}",
        fix=fix,
        severity="medium" if hit.checked is False else severity,
        confidence=hit.confidence,
        place=place,
    )
