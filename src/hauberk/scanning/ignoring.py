"""A file's own comments applied to what was found in it: findings stay, with the reason why they do not count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from hauberk.core.evidence import Finding, Location, Skipped
from hauberk.core.provenance import Stamp
from hauberk.scanning.artifact import Artifact
from hauberk.scanning.blobs import FileBlob

_MARK = b"hauberk:"
_LARGEST = 8 << 20
"""Bytes of a text in which comments are looked for."""

Seen = Finding | Skipped


def ignored(found: Sequence[Seen], blob: FileBlob, artifacts: Iterable[Artifact], stamp: Stamp) -> list[Seen]:
    """Mark the findings that a comment with a reason covers, and add what is wrong with the comments."""
    texts = {part: text for part, text in _texts(blob, artifacts) if "hauberk:" in text}
    if not texts:
        return list(found)
    from hauberk.scanning.suppressions import apply, suppressions

    rows: list[Seen] = [item for item in found if isinstance(item, Skipped) or item.location.part not in texts]
    for part, text in texts.items():
        name = blob.name if not part else "cell.py"
        own = [item for item in found if isinstance(item, Finding) and item.location.part == part]
        applied = apply(own, suppressions(text, name))
        rows.extend(applied.kept)
        rows.extend(msgspec.structs.replace(item, ignored=ignore.reason) for item, ignore in applied.dropped)
        for rule, draft in applied.notes:
            rows.append(
                Finding(
                    rule=rule,
                    severity=draft.severity or "low",
                    confidence="high",
                    location=Location(path=blob.path, part=part, line=draft.place.line),
                    message=draft.message,
                    fix=draft.fix,
                    provenance=stamp.of(rule),
                )
            )
    return rows


def _texts(blob: FileBlob, artifacts: Iterable[Artifact]) -> Iterator[tuple[str, str]]:
    """Yield the texts that lines are counted in: a notebook's cells, and the file itself where it is text."""
    for artifact in artifacts:
        for part in artifact.walk():
            if part.source is not None and part.part:
                yield part.part, part.source.text
    if blob.size <= _LARGEST and b"\0" not in blob.head:
        with blob.open() as stream:
            data = stream.read(_LARGEST)
        if _MARK in data:
            yield "", data.decode("utf-8", "replace")
