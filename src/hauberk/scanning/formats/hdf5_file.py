"""HDF5 files, keras' own and any other: what links, storage, filters and attributes lead to, without the library."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Reference
from hauberk.scanning.hdf5_dense import blocks, read_heap
from hauberk.scanning.hdf5_messages import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    EXTERNAL,
    EXTERNAL_FILES,
    FILTERS,
    HARD,
    LAYOUT,
    LINK,
    LINK_INFO,
    SOFT,
    SYMBOL_TABLE,
    Attribute,
    Link,
    attribute,
    external_files,
    filters,
    link,
    virtual_sources,
)
from hauberk.scanning.hdf5_records import SIGNATURE, BrokenHdf5, Message, Records
from hauberk.scanning.hdf5_values import MOST_BYTES, Unread, heap_objects, values
from hauberk.scanning.pickle_traces import is_pickle
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_ENDINGS = (".h5", ".hdf5", ".keras.h5", ".he5", ".hdf")
_KERAS = frozenset(
    {"model_config", "keras_version", "layer_names", "weight_names", "backend", "training_config", "optimizer_weights"}
)
_KERAS_GROUPS = frozenset({"layers", "_layer_checkpoint_dependencies", "model_weights", "optimizer_weights", "vars"})
_CONFIGS = ("model_config", "training_config", "config", "layer_config")
_KEPT = 4 << 20
_TOLD = 100
_FACTS = 5_000
_SWEPT = 256 << 20
_MARKS = (b'"class_name"', b"__lambda__", b'"py/object"')


class Hdf5File:
    """Walk every object from the root, old and new groups, links and attributes; data is passed over."""

    card: ClassVar[Card] = Card(
        title="HDF5 file",
        summary="Keras .h5 models and weights, and any other HDF5: links and storage outside, filters, configurations.",
        paper="HDF5 File Format Specification 3.0; CVE-2026-1669; CVE-2025-9905",
        suffixes=(".h5", ".hdf5", ".he5", ".hdf"),
        begins=(
            "\x89HDF\r\n\x1a\n",
            (512, "\x89HDF\r\n\x1a\n"),
            (1024, "\x89HDF\r\n\x1a\n"),
            (2048, "\x89HDF\r\n\x1a\n"),
        ),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the endings or the signature, also behind a user block."""
        return (blob.name.endswith(_ENDINGS) and blob.size > 0) or any(
            blob.head.startswith(SIGNATURE, place) for place in (0, 512, 1024, 2048)
        )

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read the structure."""
        with blob.open() as stream:
            walk = _Walk(Window(stream, blob.size), Watch(limits))
            walk.run()
        parts = [part for name, data in (*walk.configs, *walk.pickles) for part in descend(name, data)]
        keras = walk.keras or ".keras" in blob.path.lower() or ".weights." in blob.name
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="hdf5_file",
            size=blob.size,
            references=tuple(walk.references),
            notes=(*walk.notes, *([Note(name="hdf5:keras", text="yes")] if keras else [])),
            problems=tuple(walk.problems),
            parts=tuple(parts),
        )


class _Walk:
    """A walk over objects with its own stack."""

    def __init__(self, window: Window, watch: Watch) -> None:
        self._window, self._watch = window, watch
        self._records = Records(window, watch)
        self._pending: list[tuple[int, str]] = []
        self._seen: set[int] = set()
        self._unfollowed = ""
        self.keras = False
        self.configs: list[tuple[str, bytes]] = []
        self.pickles: list[tuple[str, bytes]] = []
        self.references: list[Reference] = []
        self.notes: list[Note] = []
        self.problems: list[Problem] = []

    def _tell(
        self, kind: Literal["malformed", "truncated", "mismatch", "limit"], message: str, offset: int | None = None
    ) -> None:
        if len(self.problems) < _TOLD and all(one.message != message for one in self.problems):
            self.problems.append(Problem(kind=kind, message=message, place=Place(offset=offset)))

    def _refer(self, kind: str, value: str, offset: int) -> None:
        fact = Reference(kind=kind, value=value, place=Place(offset=offset))
        if len(self.references) < _FACTS and all(
            (one.kind, one.value) != (kind, value) for one in self.references[-50:]
        ):
            self.references.append(fact)

    def run(self) -> None:
        """Go through everything; what cannot be followed is said, and the bytes are swept for configurations."""
        try:
            self._records.superblock()
            self._check_end()
            self._pending.append((self._records.root, "/"))
            while self._pending:
                address, path = self._pending.pop()
                if address not in self._seen:
                    self._seen.add(address)
                    self._object(address, path)
        except BrokenHdf5 as error:
            self._tell("malformed", f"no whole HDF5 file: {error}", error.offset)
        except LimitExceeded as error:
            self._tell("limit", error.what)
        if self.problems:
            self._sweep()
        if self._unfollowed:
            self._sweep_heaps()

    def _sweep_heaps(self) -> None:
        """Read every object of the heaps for data sets in chunks; what is packed or opaque there stays unread."""
        try:
            self._hand_on(self._unfollowed.strip("/"), heap_objects(self._records, self._window))
        except LimitExceeded as error:
            self._tell("limit", error.what)

    def _check_end(self) -> None:
        end = self._records.end
        if not self._records.undefined(end) and end > self._window.size:
            self._tell("truncated", f"announces {end} bytes, the file has {self._window.size}", 0)
        end += self._records.base  # addresses count from the user block's end
        rest = self._window.size - end
        if rest > 0:
            data = self._window.at(end, min(rest, MOST_BYTES))
            self._hand_on("behind the end", (data,))
            if data.strip(b"\x00"):
                self._tell("mismatch", f"{rest} bytes follow its end", end)

    def _object(self, address: int, path: str) -> None:
        """Read one object; one that is broken does not hide the others."""
        self._watch.tick()
        try:
            messages = []
            for message in self._records.messages(address):
                messages.append(message)
                self._message(message, path)
            self._hand_on(path.strip("/"), values(self._records, messages))
        except BrokenHdf5 as error:
            self._tell("malformed", f"the object {path[:100]!r}: {error}", error.offset)
        except Unread as unread:
            if unread.in_heaps:
                self._unfollowed = self._unfollowed or path
            else:
                self._tell("limit", f"the opaque values of {path[:100]!r} lie in chunks, which were not read")

    def _hand_on(self, name: str, found: Iterable[bytes]) -> None:
        """Keep what is a pickle among values; libraries load it from there, as PyTables does."""
        for data in found:
            self._watch.tick()
            if len(self.pickles) < _TOLD and is_pickle(data):
                self.pickles.append((f"{name[:200]}.pkl", data))

    def _message(self, message: Message, path: str) -> None:
        raw, offset = message.data, message.offset
        if message.shared and message.kind in (LINK, EXTERNAL_FILES, LAYOUT):
            self._tell("limit", f"the object {path[:100]!r} keeps a message of kind {message.kind} elsewhere", offset)
        elif message.kind == SYMBOL_TABLE:
            self._old_group(raw, path)
        elif message.kind == LINK:
            self._link(link(self._records, raw), path, offset)
        elif message.kind in (LINK_INFO, ATTRIBUTE_INFO):
            self._dense(message.kind, raw, path)
        elif message.kind == ATTRIBUTE and not message.shared:
            self._attribute(attribute(self._records, raw), path, offset)
        elif message.kind == EXTERNAL_FILES:
            for name in external_files(self._records, raw):
                self._refer("hdf5-external-storage", name, offset)
        elif message.kind == LAYOUT:
            for name in virtual_sources(self._records, raw, self._watch):
                if name != ".":
                    self._refer("hdf5-virtual-source", name, offset)
        elif message.kind == FILTERS:
            for number, name in filters(raw):
                if number >= 256:
                    self._refer("hdf5-filter", f"{number} {name}".strip(), offset)

    def _old_group(self, raw: bytes, path: str) -> None:
        records = self._records
        for entry in records.old_group(records.address(raw, 0), records.address(raw, records.wide)):
            if entry.soft is None:
                self._member(entry.name, entry.header, path)

    def _member(self, name: str, header: int, path: str) -> None:
        if path == "/" and name in _KERAS_GROUPS:
            self.keras = True
        if len(self._pending) < 1_000_000:
            self._pending.append((header, f"{path.rstrip('/')}/{name}"[:400]))

    def _link(self, found: Link, path: str, offset: int) -> None:
        if found.kind == HARD:
            self._member(found.name, found.header, path)
        elif found.kind == EXTERNAL:
            self._refer("hdf5-external-link", found.value, offset)
        elif found.kind != SOFT:
            self._refer("hdf5-link-class", f"{found.kind} {found.name}", offset)

    def _attribute(self, found: Attribute, path: str, offset: int) -> None:
        self.keras = self.keras or (path == "/" and found.name in _KERAS)
        self._hand_on(f"{path.strip('/')}/{found.name}".strip("/"), found.data)
        text = found.text
        if text is None:
            return
        if found.name in _CONFIGS or ('"class_name"' in text and text.lstrip().startswith("{")):
            label = found.name if path == "/" else f"{path.strip('/')}/{found.name}"
            self.configs.append((f"{label[:200]}.json", text.encode("utf-8", "surrogatepass")))
        elif len(self.notes) < _FACTS and len(text) < _KEPT and found.name not in ("layer_names", "weight_names"):
            self.notes.append(Note(name=f"metadata:{found.name[:100]}", text=text, place=Place(offset=offset)))

    def _dense(self, kind: int, raw: bytes, path: str) -> None:
        """Read links or attributes of which there are many: message (C) or (V), then the heap it names."""
        records = self._records
        if len(raw) < 2:
            raise BrokenHdf5("a message is too short for what it holds", 0)
        place = 2 + (raw[1] & 1) * (8 if kind == LINK_INFO else 2)
        address = records.address(raw, place)
        if records.undefined(address):
            return
        heap = read_heap(records, address)
        if heap.filters:
            self._tell("limit", f"the object {path[:100]!r} packs its links or attributes")
            return
        read = 0
        for block in blocks(records, heap, self._watch):
            read += self._managed(kind, block.data, block.start, block.offset, path)
        if heap.huge or read < heap.objects:
            missing = heap.huge + max(0, heap.objects - read)
            self._tell("limit", f"{missing} links or attributes of {path[:100]!r} were not read")

    def _managed(self, kind: int, data: bytes, start: int, offset: int, path: str) -> int:
        """Read the objects of a block one after another, passing over holes."""
        place, count = start, 0
        while place < len(data):
            self._watch.tick()
            if data[place] not in (1, 2, 3):
                place += 1
                continue
            try:
                if kind == LINK_INFO:
                    found = link(self._records, data, place)
                    if found.kind == HARD and found.header >= self._window.size:
                        raise BrokenHdf5("no link", place)
                    self._link(found, path, offset + place)
                    place = found.stop
                else:
                    held = attribute(self._records, data, place)
                    self._attribute(held, path, offset + place)
                    place = held.stop
            except BrokenHdf5:
                place += 1
                continue
            count += 1
        return count

    def _sweep(self) -> None:
        """Look for configurations in the bytes themselves, where the structure did not lead everywhere."""
        step, swept, found = 1 << 20, 0, 0
        while swept < min(self._window.size, _SWEPT) and found < 8:
            raw = self._window.at(swept, step + 64)
            places = [place for mark in _MARKS if (place := raw.find(mark)) >= 0]
            if places:
                start = swept + min(places)
                before = self._window.at(max(0, start - 64), min(64, start))
                begin = start - (len(before) - before.find(b"{")) if b"{" in before else start
                text = self._window.at(begin, _KEPT).partition(b"\x00")[0]
                self.configs.append((f"swept/{begin}.json", _whole(text)))
                found += 1
                swept = begin + max(len(text), 1)
            else:
                swept += step


def _whole(text: bytes) -> bytes:
    """Cut swept text behind the brace that closes its first."""
    stop = text.rfind(b"}")
    return text[: stop + 1] if stop >= 0 else text
