"""Encrypted files read in place: any part of one, in constant memory, every byte authenticated before it is given."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from hauberk.core.errors import UsageError
from hauberk.crypto.key_wrapping import KeySource
from hauberk.crypto.sealed_layout import (
    HEADER_BYTES,
    MAGIC,
    TAG_BYTES,
    Altered,
    Fixed,
    Slot,
    Wrap,
    holds,
    read_header,
)
from hauberk.crypto.stream_encryption import Stream, segments

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Unlocked(NamedTuple):
    """A file's key and the header it came from."""

    key: bytes
    fixed: Fixed
    slot: Slot


def is_sealed(path: Path) -> bool:
    """Say whether a regular file begins as an encrypted one does."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def unlock(file: BinaryIO, keys: Sequence[KeySource], where: str) -> Unlocked:
    """Find a key that opens the file; raises UsageError where none does, Altered where the header is not its own."""
    try:
        fixed, slots = read_header(file)
        found = list(_opened(fixed, slots, keys))
    except (UsageError, Altered) as error:
        raise type(error)(error.what, where=where, fix=error.fix) from error
    for key, slot in found:
        if holds(key, fixed, slot):
            return Unlocked(key, fixed, slot)
    if found:
        raise Altered("its header is not what was written", where=where)
    kinds = ", ".join(sorted({one.kind for slot in slots for one in _wraps(slot) or ()}))
    raise UsageError(f"none of the keys opens it; it is locked with {kinds}", where=where, fix="give the right key")


def _opened(fixed: Fixed, slots: Sequence[Slot], keys: Sequence[KeySource]) -> Iterator[tuple[bytes, Slot]]:
    readable = [(slot, wraps) for slot in slots if (wraps := _wraps(slot)) is not None]
    if not readable:
        raise Altered("its list of keys cannot be read")
    for slot, wraps in readable:
        for wrap in wraps:
            for source in keys:
                key = source.unwrap(wrap, fixed)
                if key is not None:
                    yield key, slot


def _wraps(slot: Slot) -> tuple[Wrap, ...] | None:
    """Read a list of keys; None where it was torn while it was written, and the other one is in force."""
    try:
        return slot.wraps()
    except Altered:
        return None


class SealedFile(io.RawIOBase):
    """The plain text of an encrypted file, seekable; one segment is held at a time.

    Raises UsageError and Altered when opened, Altered when a part that is read is not what was written. Its end is
    authenticated when it is opened: a file that was cut off does not open.
    """

    def __init__(self, path: Path, keys: Sequence[KeySource]) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        try:
            self.unlocked = unlock(self._file, keys, path.name)
            self._stream = Stream(self.unlocked.key, self.unlocked.fixed)
            self._where, self._place, self._held = path.name, 0, -1
            sealed = os.fstat(self._file.fileno()).st_size - HEADER_BYTES
            self._count = segments(sealed, self._stream.size)
            self._plain = memoryview(b"")
            self._load(self._count - 1)
            self.size = (self._count - 1) * self._stream.size + len(self._plain)
        except BaseException:
            self._file.close()
            raise

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place of the plain text."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the beginning")
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill a buffer from here on, within one segment."""
        target = memoryview(buffer).cast("B")
        if self._place >= self.size or not len(target):
            return 0
        index, start = divmod(self._place, self._stream.size)
        self._load(index)
        part = self._plain[start : start + len(target)]
        target[: len(part)] = part
        self._place += len(part)
        return len(part)

    def _load(self, index: int) -> None:
        """Decrypt a segment; raises Altered."""
        if index == self._held:
            return
        whole = self._stream.size + TAG_BYTES
        self._file.seek(HEADER_BYTES + index * whole)
        sealed = _read(self._file, whole)
        try:
            self._plain = memoryview(self._stream.decrypt(index, sealed, last=index == self._count - 1))
        except Altered as error:
            raise Altered(error.what, where=self._where, fix="get it again from where it was written") from error
        self._held = index

    def close(self) -> None:
        """Close the file and forget what was decrypted."""
        self._plain = memoryview(b"")
        self._file.close()
        super().close()


def _read(file: io.FileIO, size: int) -> bytes:
    """Read so many bytes, or to the end."""
    parts, left = [], size
    while left and (part := file.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
