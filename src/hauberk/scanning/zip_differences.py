"""Where the records of a zip contradict each other, put into words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from hauberk.scanning.artifact import Place, Problem
from hauberk.scanning.members import too_much
from hauberk.scanning.window import Window
from hauberk.scanning.zip_members import Packed
from hauberk.scanning.zip_records import (
    DESCRIPTOR,
    ENCRYPTED,
    FULL,
    STRANGE,
    Directory,
    Record,
    descriptor_agrees,
)

_HEADER_BYTES = 4096


def members_of(one: Directory) -> frozenset[tuple[str, int]]:
    """Name the members that a reading of the directory finds, with their places."""
    return frozenset((record.name, record.offset) for record in one.records)


def lies_in_a_member(one: Directory, of: Directory) -> bool:
    """Tell an archive stored whole inside a member, whose end record is no second end of this one."""
    return any(record.offset < one.end < record.offset + record.packed + _HEADER_BYTES for record in of.records)


def stand_apart(readings: Sequence[Directory]) -> bool:
    """Tell archives that lie one after another in something else, such as two in one pickle, from readings of one."""
    if any(not one.records for one in readings):
        return False
    spans = sorted((min(record.offset for record in one.records), one.end) for one in readings)
    return all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def differences(window: Window, record: Record, local: Record | None) -> Iterator[Problem]:
    """State where the two records of a member contradict each other, or what follows its bytes."""
    where = f"member {record.name[:100]!r}"
    if local is None:
        yield Problem(kind="malformed", message=f"{where} has no local header", place=Place(offset=record.offset))
        return
    for message in _contradictions(record, local):
        yield Problem(kind="disagreement", message=f"{where} {message}", place=Place(offset=local.offset))
    if local.flags & DESCRIPTOR and not descriptor_agrees(window, record, local.data + record.packed):
        message = f"{where} is followed by no descriptor, or by one with other sizes or sums"
        yield Problem(kind="mismatch", message=message, place=Place(offset=local.data + record.packed))


def _contradictions(record: Record, local: Record) -> Iterator[str]:
    if local.name != record.name:
        yield f"is named {local.name[:100]!r} by its local header"
    for each in (record, local):
        if each.alias and each.alias != each.name and each.name.isascii():
            yield f"is named {each.alias[:100]!r} by a second field of its {each.where} record"
    if local.method != record.method:
        yield f"is packed by method {record.method} and by {local.method} in its local header"
    if (local.flags ^ record.flags) & ENCRYPTED:
        yield "is encrypted by one record only"
    if (local.flags | record.flags) & STRANGE:
        yield "has flags that some readers refuse and others ignore"
    announced = not local.flags & DESCRIPTOR and FULL not in (local.packed, local.size)
    if announced and (local.packed, local.size, local.crc) != (record.packed, record.size, record.crc):
        yield "has other sizes or sums in its local header"


def fault_of(name: str, packed: Packed, fault: str, cap: int, offset: int) -> Problem | None:
    """Word what kept a member from being read whole."""
    where, place = f"member {name[:100]!r}", Place(offset=offset)
    if fault == "limit":
        return Problem(kind="limit", message=too_much(name, packed.size, cap), place=place)
    if fault and packed.record.flags & ENCRYPTED:
        return Problem(kind="encrypted", message=f"{where} is encrypted: its content was not read", place=place)
    if fault == "method":
        message = f"{where} is packed by method {packed.record.method}, which is not read"
        return Problem(kind="limit", message=message, place=place)
    return Problem(kind="truncated", message=f"{where}: its packed bytes are broken", place=place) if fault else None
