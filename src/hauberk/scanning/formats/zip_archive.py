"""Zip archives, torch's, numpy's and any other: every reading of the directory compared, every member read."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Reference
from hauberk.scanning.members import below_links, colliding, deceiving_name, repeated, unsafe_name
from hauberk.scanning.payloads import in_bytes, payloads
from hauberk.scanning.stretch import Content, first, spent
from hauberk.scanning.tar_records import BLOCK, checksum_right
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.zip_differences import differences, fault_of, lies_in_a_member, members_of, stand_apart
from hauberk.scanning.zip_gaps import Span, gaps, hidden_records, is_blank
from hauberk.scanning.zip_members import Packed, unpack
from hauberk.scanning.zip_records import (
    ENCRYPTED,
    LOCAL,
    Record,
    directories,
    has_end,
    local_record,
)

_WEIGHTS = re.compile(r"[^/]+/(data|constants|tensors|\.data|data/weights|data/constants)/(weight_|tensor_)?\d+")
"""Raw tensor bytes of a torch zip: read by offset, never unpickled."""
_TORCH = re.compile(r"([^/]+/)?(data|constants|attributes)\.pkl|[^/]+/(archive_format|byteorder)")
_FACT = re.compile(
    r"[^/]+/(?:version|byteorder|archive_format|archive_version|\.format_version|\.storage_alignment|\.data/serialization_id)"
)
_FACT_TEXT = re.compile(rb"(?:\d{0,48}|little|big|pt2)\n?")
"""What torch writes about the archive itself; a member of such a name with another content is read like any."""
_CODE = re.compile(r"[^/]+/code/.+\.py")
_NATIVE = (".so", ".dll", ".dylib", ".pyd", ".cubin")
_PROGRAMS = (b"\x7fELF", b"MZ\x90\x00")
_CODE_TEXT = 1 << 20
_FLOOR = 64 << 20
"""Below this no ratio makes a bomb: arrays of zeros pack a thousandfold."""
_HEAD = 4096
_SAME_BYTES = 16
"""Names under which the same bytes are read; only members that overlap share them."""
_LINK, _KIND_BITS = 0o120000, 0o170000
_BEGINNINGS = (LOCAL, b"PK\x05\x06")
_PACKAGE = re.compile(r"[^/]+\.dist-info/WHEEL|EGG-INFO/PKG-INFO|info/index\.json")
"""What a package of Python or conda has; native code is what such packages are for."""
_TRIAL = Limits(nodes=1_000, seconds=1.0)
_HEADERS = 1 << 12
_TOLD = 50
_Pairs: TypeAlias = list[tuple[Record, Record | None]]


class _Listed(NamedTuple):
    records: list[Record]
    spans: list[Span]


class ZipArchive:
    """Walk a zip by every reading of its directory and by its local headers, whatever flags and sums say."""

    card: ClassVar[Card] = Card(
        title="Zip archive",
        summary="Torch zips, TorchScript, npz and any other zip, with both records of every member compared.",
        paper="PKWARE APPNOTE.TXT 6.3.10; torch/csrc/jit/serialization; miniz mz_zip_reader_init_internal",
        suffixes=(".zip", ".pt", ".pth", ".npz", ".pt2", ".ptl", ".whl", ".egg", ".mar", ".keras"),
        begins=("PK\x03\x04", "PK\x05\x06"),
        ends=("PK\x05\x06",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept bytes that begin with a local header, or end with an end record; what a tar holds is the tar's."""
        if blob.head.startswith(_BEGINNINGS):
            return True
        if blob.size < 22:
            return False
        with blob.open() as stream:
            window = Window(stream, blob.size)
            try:
                found = directories(window, Watch(_TRIAL), 1) if has_end(window) else []
                return any(one.closes or not checksum_right(blob.head[:BLOCK]) for one in found)
            except LimitExceeded:
                return True

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read both directories and every member but raw torch weights, of which the beginnings."""
        with blob.open() as stream:
            walk = _Walk(blob, Window(stream, blob.size, _HEADERS), limits, descend)
            try:
                walk.members()
            except LimitExceeded as error:
                walk.problems.append(Problem(kind="limit", message=error.what))
            walk.references.extend(payloads(stream, blob.size, walk.stored, gap=0))
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
    """The reading of one archive. window: for records, which lie far apart."""

    def __init__(self, blob: Blob, window: Window, limits: Limits, descend: Descend) -> None:
        self._blob, self._window, self._limits, self._descend = blob, window, limits, descend
        self._watch, self._left = Watch(limits), limits.total_bytes
        self._read: set[tuple[int, int, int, str]] = set()
        self._names_of: Counter[tuple[int, int, int]] = Counter()
        self._torch, self._package, self._embedded = False, False, False
        self._links: list[str] = []
        self.stored: list[tuple[int, int]] = []
        self.problems: list[Problem] = []
        self.references: list[Reference] = []
        self.notes: list[Note] = []
        self.parts: list[Artifact] = []

    def _odd(self, message: str, offset: int | None = None) -> None:
        self.problems.append(Problem(kind="disagreement", message=message, place=Place(offset=offset)))

    def members(self) -> None:
        """Go through the archive; raises LimitExceeded."""
        listed = self._listed()
        pairs: _Pairs = [(record, local_record(self._window, record.offset)) for record in listed.records]
        for _, stop in listed.spans:
            if comment := self._comment(stop):
                self.parts.extend(self._descend("archive comment", comment))
        hidden = self._unlisted(listed.spans, pairs)
        names = [record.name for record in (*listed.records, *hidden)]
        self._torch = any(_TORCH.fullmatch(name) for name in names)
        self._package = not self._torch and any(_PACKAGE.fullmatch(name) for name in names)
        self._overlaps(pairs)
        for record, local in pairs:
            self.problems.extend(differences(self._window, record, local))
            self._member(record, local)
        for local in hidden:
            self._member(local, local)
        for name, link in below_links(names, self._links):
            self.references.append(Reference(kind="member-below-link", value=f"{name} through {link}"))

    def _listed(self) -> _Listed:
        """Gather the records of every reading of the directory; readings that differ are said."""
        most = self._limits.members
        readings = directories(self._window, self._watch, most)
        if not readings:
            message = "there is no central directory: readers differ on what it holds"
            self.problems.append(Problem(kind="malformed", message=message))
            return _Listed([], [])
        self._embedded = not readings[0].closes and not self._blob.head.startswith(_BEGINNINGS)
        taken = [one for one in readings[1:] if one.closes or not lies_in_a_member(one, readings[0])]
        told = {members_of(readings[0])}
        apart = self._embedded and stand_apart((readings[0], *taken))
        for one in taken if not apart else ():
            if members_of(one) not in told:
                told.add(members_of(one))
                counts = f"{len(readings[0].records)} members by one, {len(one.records)} by another"
                self._odd(f"readers find different central directories in it: {counts}", one.start)
        if not readings[0].whole:
            self._odd(f"its directory has {len(readings[0].records)} records, which is not the number it announces")
        records = list(dict.fromkeys(record for one in (readings[0], *taken) for record in one.records))
        if len(records) > most:
            self.problems.append(Problem(kind="limit", message=f"more than {most} members"))
        for archive in [one.records for one in (readings[0], *taken)] if apart else [records[:most]]:
            self._names([record.name for record in archive])
        spans = [(one.start, one.end + 22) for one in (readings[0], *taken)]
        return _Listed(records[:most], spans)

    def _names(self, names: list[str]) -> None:
        for message in itertools.islice(repeated(names), _TOLD):
            self._odd(message)
        for message in itertools.islice(colliding(names), _TOLD):
            self.problems.append(Problem(kind="mismatch", message=message))

    def _overlaps(self, pairs: _Pairs) -> None:
        spans = sorted({(*_span(record, local), record.name) for record, local in pairs if record.packed})
        for before, after in itertools.pairwise(spans):
            if before[1] > after[0]:
                self._odd("members overlap: a small file unpacks to a huge one", after[0])
                return

    def _unlisted(self, spans: list[Span], pairs: _Pairs) -> list[Record]:
        """Find local headers that no directory lists, and bytes that belong to nothing, in the gaps between members."""
        found: list[Record] = []
        with self._blob.open() as stream:
            window = Window(stream, self._blob.size)
            for gap in gaps([*spans, *(_span(record, local) for record, local in pairs)], window.size):
                here = []
                for record in hidden_records(window, gap, self._watch):
                    here.append(record)
                    if spans:
                        self._odd(f"member {record.name[:100]!r} is not in the central directory", record.offset)
                    if len(found) + len(here) > self._limits.members:
                        raise LimitExceeded(f"more than {self._limits.members} members")
                found.extend(here)
                told = bool(here) or self._embedded or self._is_comment(gap)
                if spans and not told and not is_blank(window, gap, self._watch):
                    message = f"{gap[1] - gap[0]} bytes belong to no member"
                    self.problems.append(Problem(kind="mismatch", message=message, place=Place(offset=gap[0])))
        return found

    def _comment(self, start: int) -> bytes:
        """Return the comment behind an end record, where the record announces all that follows it."""
        length = int.from_bytes(self._window.at(max(0, start - 2), 2), "little")
        return self._window.at(start, length) if start + length == self._window.size else b""

    def _is_comment(self, gap: Span) -> bool:
        """Tell a gap at the end that is the comment the end record announces."""
        length = int.from_bytes(self._window.at(max(0, gap[0] - 2), 2), "little")
        return gap[1] == self._window.size and gap[0] + length == gap[1]

    def _cap(self, packed: int) -> int:
        by_ratio = max(_FLOOR, int(packed * self._limits.ratio))
        return max(0, min(self._limits.member_bytes, self._left, by_ratio))

    def _member(self, record: Record, local: Record | None) -> None:
        """State what is odd in a member's names, then read its bytes by every reading of its records."""
        self._watch.tick()
        seen = [record] if local is None or local == record else [record, local]
        names = dict.fromkeys(name for each in seen for name in (each.name, each.alias) if name)
        for name in names:
            if unsafe_name(name) or deceiving_name(name):
                self.references.append(Reference(kind="member-path", value=name, place=Place(offset=record.offset)))
        if local is None:
            return
        if self._torch and all(_WEIGHTS.fullmatch(name) for name in names):
            self._weights(record, local)
            return
        for each in seen:
            packed = each.packed if each.packed or each.where == "central" else record.packed
            for name in names:
                self._bytes(name, Packed(each, local.data, packed), local)

    def _weights(self, record: Record, local: Record) -> None:
        """Keep where raw weights lie, to be searched; of packed ones look at the beginning."""
        if record.method == 0:
            self.stored.append((local.data, local.data + record.packed))
            return
        packed = Packed(record, local.data, record.packed)
        head = first(unpack(self._blob, packed, _HEAD, self._watch).content, _HEAD)
        for title, offset in in_bytes(head):
            place = Place(offset=local.data + offset)
            self.references.append(Reference(kind="payload", value=title, place=place))

    def _bytes(self, name: str, packed: Packed, local: Record) -> None:
        record = packed.record
        key = (local.data, record.method, packed.size, name)
        if key in self._read:
            return
        self._read.add(key)
        self._names_of[key[:3]] += 1
        if self._names_of[key[:3]] > _SAME_BYTES:
            if self._names_of[key[:3]] == _SAME_BYTES + 1:
                self._odd(f"more than {_SAME_BYTES} members have the same bytes; the others were not read", key[0])
            return
        cap = self._cap(packed.size)
        got = unpack(self._blob, packed, cap, self._watch)
        self._left -= spent(got.content)
        if problem := fault_of(name, packed, got.fault, cap, local.offset):
            self.problems.append(problem)
        elif got.crc is not None and record.crc and got.crc != record.crc:
            kind: Literal["encrypted", "mismatch"] = "encrypted" if record.flags & ENCRYPTED else "mismatch"
            why = "is encrypted: its content was not read" if kind == "encrypted" else "does not match its checksum"
            place = Place(offset=local.offset)
            self.problems.append(Problem(kind=kind, message=f"member {name[:100]!r} {why}", place=place))
        elif record.flags & ENCRYPTED:
            self._odd(f"member {name[:100]!r} is said to be encrypted and is not", local.offset)
        self._content(name, record, got.content)

    def _content(self, name: str, record: Record, content: Content) -> None:
        place = Place(offset=record.offset)
        if (record.attributes >> 16) & _KIND_BITS == _LINK:
            self._links.append(name)
            target = first(content, _HEAD).decode("utf-8", "backslashreplace")
            self.references.append(Reference(kind="member-link", value=f"{name} -> {target}", place=place))
            return
        if _CODE.fullmatch(name):
            text = first(content, _CODE_TEXT).decode("utf-8", "replace")
            self.references.append(Reference(kind="torchscript", value=name))
            self.notes.append(Note(name=f"code:{name}", text=text))
        if name.lower().endswith(_NATIVE) or first(content, 4).startswith(_PROGRAMS):
            kind = "packaged-native-code" if self._package else "native-code"
            self.references.append(Reference(kind=kind, value=name))
        if name.endswith("/") and len(content):
            self.problems.append(Problem(kind="mismatch", message=f"folder {name[:100]!r} has bytes", place=place))
        told = self._torch and _FACT.fullmatch(name) and _FACT_TEXT.fullmatch(first(content, 64))
        if len(content) and not told:
            self.parts.extend(self._descend(name.rstrip("/"), content))


def _span(record: Record, local: Record | None) -> Span:
    return record.offset, (local.data if local else record.offset) + record.packed
