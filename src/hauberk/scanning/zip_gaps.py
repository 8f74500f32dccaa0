"""The bytes of a zip that no listed member covers: members that only some readers see, or bytes of nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hauberk.core.errors import LimitExceeded
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.zip_records import Record, local_record

_STEP, _FIRST_STEP = 1 << 20, 1 << 10
_LOOK = 16
"""Nodes that a look at a header costs: megabytes of signatures are to end within seconds."""
_HEADERS, _SIGNATURES = re.compile(rb"PK\x03\x04"), re.compile(rb"PK(?:\x07\x08|\x03\x04|\x01\x02)")
_MOST = 1 << 30
"""Bytes outside all members that are searched."""
_METHODS = frozenset({0, 1, 6, 8, 9, 12, 14, 93, 95, 98, 99})
_DESCRIPTOR_BYTES = 24

Span = tuple[int, int]


def gaps(spans: Sequence[Span], size: int) -> Iterator[Span]:
    """Yield what lies between the spans, longer than a data descriptor."""
    position = 0
    for start, stop in [*sorted(spans), (size, size)]:
        if start - position > (_DESCRIPTOR_BYTES if position else 0):
            yield position, start
        position = max(position, stop)


def hidden_records(window: Window, span: Span, watch: Watch) -> Iterator[Record]:
    """Yield the local headers in a gap; each is believed where its fields are such as writers write."""
    start, stop = span
    if stop - start > _MOST:
        raise LimitExceeded(f"{stop - start} bytes outside all members are more than {_MOST}", fix="look by hand")
    while 0 <= start < stop:
        watch.tick(_LOOK)
        start = find(window, _HEADERS, start, stop, watch)
        record = local_record(window, start) if start >= 0 else None
        if record is not None and _plausible(record, window.size):
            record = record._replace(packed=record.packed or stored_end(window, record, stop, watch) - record.data)
            yield record
            start = record.data if record.method else max(record.data, min(stop, record.data + record.packed))
        elif start >= 0:
            start += 4


def stored_end(window: Window, record: Record, stop: int, watch: Watch) -> int:
    """Find where a member of unknown size ends at the latest: at the next record's signature."""
    found = find(window, _SIGNATURES, record.data, stop, watch)
    return found if found >= 0 else stop


def find(window: Window, mark: re.Pattern[bytes], start: int, stop: int, watch: Watch) -> int:
    """Return the first offset of a four-byte mark between two offsets; -1 where there is none.

    The steps grow, so that what lies near costs little however often it is asked for.
    """
    step = _FIRST_STEP
    while start < stop:
        watch.tick()
        if match := mark.search(window.at(start, min(step + 3, stop - start))):
            return start + match.start()
        start += step
        step = min(_STEP, step * 8)
    return -1


def is_blank(window: Window, span: Span, watch: Watch) -> bool:
    """Say whether a gap holds nothing but zeros, or begins as a script does that runs the archive behind it."""
    start, stop = span
    if start == 0 and window.at(0, 2) == b"#!":
        return True
    while start < stop:
        watch.tick()
        if window.at(start, min(_STEP, stop - start)).strip(b"\x00"):
            return False
        start += _STEP
    return True


def _plausible(record: Record, size: int) -> bool:
    named = record.name and len(record.name) < 1024 and (record.name.isprintable() or "\x00" in record.name)
    return bool(named) and record.method in _METHODS and record.data + record.packed <= size
