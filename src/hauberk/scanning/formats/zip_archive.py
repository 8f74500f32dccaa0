"""Zip archives, torch's, numpy's and any other: both records of each member compared, every member read."""

from __future__ import annotations

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Literal

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Reference
from hauberk.scanning.members import too_much, unsafe_name
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.zip_records import (
    DESCRIPTOR,
    ENCRYPTED,
    Record,
    central_records,
    has_end,
    local_record,
    unpack,
)

_WEIGHTS = re.compile(r"[^/]+/(data|constants|tensors|\.data|data/weights|data/constants)/(weight_|tensor_)?\d+")
"""Raw tensor bytes of a torch zip: read by offset, never unpickled."""
_TORCH = re.compile(r"([^/]+/)?(data|constants|attributes)\.pkl|[^/]+/(archive_format|byteorder)")
_CODE = re.compile(r"[^/]+/code/.+\.py")
_NATIVE = (".so", ".dll", ".dylib", ".pyd", ".cubin")
_CODE_TEXT = 1 << 20
_FLOOR = 64 << 20
"""Below this no ratio makes a bomb: arrays of zeros pack a thousandfold."""
_GAPS = 8 << 20
_DESCRIPTOR_BYTES = 24
_LINK = 0o120000
_TRIAL = Limits(nodes=1_000, seconds=1.0)
_UNKNOWN_SIZE = 0xFFFFFFFF


class ZipArchive:
    """Walk a zip by its central directory and by its local headers, and read members whatever flags and sums say."""

    card: ClassVar[Card] = Card(
        title="Zip archive",
        summary="Torch zips, TorchScript, npz and any other zip, with both records of every member compared.",
        paper="PKWARE APPNOTE.TXT 6.3.10; torch/csrc/jit/serialization",
        suffixes=(".zip", ".pt", ".pth", ".npz", ".pt2", ".ptl", ".whl", ".keras"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept bytes that begin with a local header, or end with an end record."""
        if blob.head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return True
        if blob.size < 22:
            return False
        with blob.open() as stream:
            window = Window(stream, blob.size)
            try:
                return has_end(window) and bool(central_records(window, Watch(_TRIAL)))
            except LimitExceeded:
                return True

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read both directories and every member but raw torch weights."""
        with blob.open() as stream:
            walk = _Walk(Window(stream, blob.size), limits, descend)
            try:
                walk.members()
            except LimitExceeded as error:
                walk.tell("limit", error.what)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="zip_archive",
            size=blob.size,
            references=tuple(walk.references),
            notes=tuple(walk.notes),
            problems=tuple(walk.problems),
            parts=tuple(walk.parts),
        )


class _Walk:
    """The reading of one archive."""

    def __init__(self, window: Window, limits: Limits, descend: Descend) -> None:
        self._window, self._limits, self._descend = window, limits, descend
        self._watch, self._left = Watch(limits), limits.total_bytes
        self._read: set[tuple[int, int, int, str]] = set()
        self._torch = False
        self.problems: list[Problem] = []
        self.references: list[Reference] = []
        self.notes: list[Note] = []
        self.parts: list[Artifact] = []

    def tell(
        self,
        kind: Literal["malformed", "truncated", "disagreement", "encrypted", "mismatch", "limit"],
        message: str,
        offset: int | None = None,
    ) -> None:
        """Note a problem."""
        self.problems.append(Problem(kind=kind, message=message, place=Place(offset=offset)))

    def members(self) -> None:
        """Go through the archive; raises LimitExceeded."""
        central = central_records(self._window, self._watch)
        if central is None:
            self.tell("malformed", "there is no central directory: readers differ on what it holds")
        records = central or []
        if len(records) > self._limits.members:
            self.tell("limit", f"{len(records)} members are more than {self._limits.members}")
            records = records[: self._limits.members]
        self._duplicates(records)
        pairs = [(record, local_record(self._window, record.offset)) for record in records]
        hidden = self._unlisted(pairs)
        names = [record.name for record in (*records, *hidden)]
        self._torch = any(_TORCH.fullmatch(name) for name in names)
        for record, local in pairs:
            self._compare(record, local)
            self._member(record, local)
        for local in hidden:
            self._member(local, local)

    def _duplicates(self, records: list[Record]) -> None:
        for name, count in Counter(record.name for record in records).items():
            if count > 1:
                self.tell("disagreement", f"{count} members are named {name[:100]!r}: readers take different ones")
        spans = sorted((record.offset, record.offset + record.packed) for record in records)
        if any(first[1] > second[0] for first, second in itertools.pairwise(spans)):
            self.tell("disagreement", "members overlap: a small file unpacks to a huge one")

    def _compare(self, record: Record, local: Record | None) -> None:
        where = f"member {record.name[:100]!r}"
        if local is None:
            self.tell("malformed", f"{where} has no local header", record.offset)
            return
        if local.name != record.name:
            self.tell("disagreement", f"{where} is named {local.name[:100]!r} by its local header", local.offset)
        if local.method != record.method:
            message = f"{where} is packed by method {record.method} and by {local.method} in its local header"
            self.tell("disagreement", message, local.offset)
        if (local.flags ^ record.flags) & ENCRYPTED:
            self.tell("disagreement", f"{where} is encrypted by one record only", local.offset)
        announced = not local.flags & DESCRIPTOR and _UNKNOWN_SIZE not in (local.packed, local.size)
        if announced and (local.packed, local.size, local.crc) != (record.packed, record.size, record.crc):
            self.tell("disagreement", f"{where} has other sizes or sums in its local header", local.offset)

    def _unlisted(self, pairs: list[tuple[Record, Record | None]]) -> list[Record]:
        """Find local headers that the central directory does not list, in the gaps it leaves."""
        spans = sorted(
            (record.offset, (local.data if local else record.offset) + record.packed) for record, local in pairs
        )
        found: list[Record] = []
        position, budget = 0, _GAPS
        for start, stop in [*spans, (self._window.size, self._window.size)]:
            if start - position > _DESCRIPTOR_BYTES or (not spans and start > position):
                gap = min(start - position, budget)
                budget -= gap
                found.extend(self._in_gap(position, position + gap))
            position = max(position, stop)
        if pairs:
            for record in found:
                message = f"member {record.name[:100]!r} is not in the central directory"
                self.tell("disagreement", message, record.offset)
        return found

    def _in_gap(self, start: int, stop: int) -> Iterator[Record]:
        while start < stop and len(self._read) < self._limits.members:
            self._watch.tick()
            found = self._window.at(start, min(stop - start, _GAPS)).find(b"PK\x03\x04")
            record = local_record(self._window, start + found) if found >= 0 else None
            if found < 0:
                return
            if record is None:
                start += found + 4
                continue
            size = record.packed or self._window.size - record.data
            inside = unpack(self._window, record.method, record.data, size, self._cap(size), self._watch)
            end = inside.end if record.packed or record.method else self._stored_end(record, stop)
            yield record._replace(packed=max(0, end - record.data))
            start = max(end, record.data)

    def _stored_end(self, record: Record, stop: int) -> int:
        """Find where a stored member of unknown size ends: at the next record's signature."""
        data = self._window.at(record.data, min(stop - record.data, _GAPS))
        ends = [
            place
            for place in (data.find(b"PK\x07\x08"), data.find(b"PK\x03\x04"), data.find(b"PK\x01\x02"))
            if place >= 0
        ]
        return record.data + min(ends, default=len(data))

    def _cap(self, packed: int) -> int:
        by_ratio = max(_FLOOR, int(packed * self._limits.ratio))
        return max(0, min(self._limits.member_bytes, self._left, by_ratio))

    def _member(self, record: Record, local: Record | None) -> None:
        """State what is odd in a member's names, then read its bytes by every reading of its records."""
        self._watch.tick()
        seen = [record] if local is None or local == record else [record, local]
        for name in {each.name for each in seen}:
            if unsafe_name(name):
                self.references.append(Reference(kind="member-path", value=name, place=Place(offset=record.offset)))
        if (record.attributes >> 16) & 0o170000 == _LINK:
            self.references.append(Reference(kind="member-link", value=record.name, place=Place(offset=record.offset)))
        if local is None or record.name.endswith("/"):
            return
        weights = self._torch and all(_WEIGHTS.fullmatch(each.name) for each in seen)
        for each in seen if not weights else ():
            packed = each.packed if each.packed or each.where == "central" else record.packed
            for name in dict.fromkeys((record.name, local.name)):
                self._bytes(name, each, packed, local)

    def _bytes(self, name: str, record: Record, packed: int, local: Record) -> None:
        key = (local.data, record.method, packed, name)
        if key in self._read:
            return
        self._read.add(key)
        cap = self._cap(packed)
        got = unpack(self._window, record.method, local.data, packed, cap, self._watch)
        self._left -= len(got.data)
        if got.fault == "limit":
            self.tell("limit", too_much(name, packed, cap), local.offset)
        elif got.fault == "method":
            self.tell("limit", f"member {name[:100]!r} is packed by method {record.method}, which is not read")
        elif got.fault == "broken":
            secret = record.flags & ENCRYPTED
            why = "encrypted: its content was not read" if secret else "its packed bytes are broken"
            self.tell("encrypted" if secret else "truncated", f"member {name[:100]!r}: {why}", local.offset)
        elif record.crc and zlib.crc32(got.data) != record.crc:
            self.tell("mismatch", f"member {name[:100]!r} does not match its checksum", local.offset)
        elif record.flags & ENCRYPTED:
            self.tell("disagreement", f"member {name[:100]!r} is said to be encrypted and is not", local.offset)
        self._content(name, got.data)

    def _content(self, name: str, data: bytes) -> None:
        if _CODE.fullmatch(name):
            self.references.append(Reference(kind="torchscript", value=name))
            self.notes.append(Note(name=f"code:{name}", text=data[:_CODE_TEXT].decode("utf-8", "replace")))
        if name.lower().endswith(_NATIVE) or data.startswith((b"\x7fELF", b"MZ\x90\x00")):
            self.references.append(Reference(kind="native-code", value=name))
        if data:
            self.parts.extend(self._descend(name, data))
