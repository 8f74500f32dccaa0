"""Encrypt a file beside itself, in constant memory, whole or not at all; go on where an earlier try was stopped."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hauberk.core.errors import HauberkError, MeasurementError, UsageError
from hauberk.core.protocols import Step
from hauberk.crypto.file_digests import Changed, Still, open_still
from hauberk.crypto.key_wrapping import KeySource
from hauberk.crypto.sealed_files import unlock
from hauberk.crypto.sealed_layout import (
    HEADER_BYTES,
    KEY_BYTES,
    SEGMENT,
    SLOT_BYTES,
    TAG_BYTES,
    Fixed,
    slot_bytes,
)
from hauberk.crypto.stream_encryption import Stream

PARTIAL = ".part"


class Encrypted(NamedTuple):
    """What was written. size: plain bytes. resumed: how many of them an earlier try had already written."""

    path: Path
    size: int
    resumed: int


def partial_of(target: Path) -> Path:
    """Name the unfinished file of a target, hidden beside it."""
    return target.with_name(f".{target.name}{PARTIAL}")


def encrypt_file(
    source: Path, target: Path, keys: Sequence[KeySource], *, segment: int = SEGMENT, step: Step | None = None
) -> Encrypted:
    """Encrypt a regular file under a key of its own, which each of `keys` locks.

    The target appears under its name once it is whole and on disk. What an interrupted try left is gone on with, if it
    is of these very bytes and one of the keys opens it; else it is thrown away and a new key is drawn, so that no two
    texts ever share a nonce. Raises UsageError, MeasurementError where the source changed or the disk is full.
    """
    partial = partial_of(target)
    try:
        descriptor = open_still(source)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=str(source)) from error
    try:
        with io.FileIO(descriptor, closefd=True) as plain, _locked(partial) as file:
            before = Still.of(os.fstat(descriptor))
            stream, done = _begun(file, plain, keys, before.size) or (_fresh(file, keys, segment), 0)
            resumed = done * stream.size
            _encrypt(file, plain, stream, done, before.size, step)
            if Still.of(os.fstat(descriptor)) != before:
                raise Changed("it changed while it was read")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except _Busy:
        raise
    except OSError as error:
        partial.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise MeasurementError(f"cannot be encrypted: {reason}; nothing was left behind", where=str(source)) from error
    except HauberkError:
        partial.unlink(missing_ok=True)
        raise
    return Encrypted(target, before.size, min(resumed, before.size))


@contextmanager
def _locked(partial: Path) -> Iterator[io.BufferedRandom]:
    """Open the unfinished file, new or old, for one writer alone."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(partial, flags, 0o600), "r+b") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # a system without such locks
            pass
        except OSError as error:
            raise _Busy("another process is encrypting it", where=str(partial)) from error
        yield file


class _Busy(UsageError):
    """Someone else's unfinished file: it is not ours to remove."""


def _fresh(file: io.BufferedRandom, keys: Sequence[KeySource], segment: int) -> Stream:
    """Draw a key, write the header, and begin."""
    if not keys:
        raise UsageError("no key is named to encrypt with", fix="give --with")
    key, fixed = os.urandom(KEY_BYTES), Fixed.new(segment)
    slot = slot_bytes(key, fixed, 1, tuple(source.wrap(key, fixed) for source in keys))
    file.seek(0)
    file.truncate()
    file.write(fixed.raw + slot + bytes(SLOT_BYTES))
    return Stream(key, fixed)


def _begun(
    file: io.BufferedRandom, plain: io.FileIO, keys: Sequence[KeySource], size: int
) -> tuple[Stream, int] | None:
    """Say how many whole segments of the source an earlier try wrote; None where it is of no use.

    Each is made again and compared: a source that changed meanwhile must not meet the same nonces.
    """
    try:
        file.seek(0)
        unlocked = unlock(file, keys, "")
    except HauberkError:
        return None
    stream = Stream(unlocked.key, unlocked.fixed)
    if len(unlocked.slot.wraps()) != len(keys):
        return None
    file.seek(HEADER_BYTES)
    done = 0
    for index, (piece, last) in enumerate(_pieces(plain, stream.size, size)):
        there = file.read(stream.size + TAG_BYTES)
        if not there:
            break
        made = stream.encrypt(index, piece, last=last)
        if not made.startswith(there):
            return None
        done += len(there) == len(made)
    file.seek(HEADER_BYTES + done * (stream.size + TAG_BYTES))
    file.truncate()
    return stream, done


def _encrypt(
    file: io.BufferedRandom, plain: io.FileIO, stream: Stream, done: int, size: int, step: Step | None
) -> None:
    plain.seek(done * stream.size)
    out = memoryview(bytearray(stream.size + TAG_BYTES))
    for index, (piece, last) in enumerate(_pieces(plain, stream.size, size, done), done):
        file.write(out[: stream.encrypt_into(index, piece, out, last=last)])
        if step is not None:
            step.advance(len(piece))


def _pieces(plain: io.FileIO, segment: int, size: int, done: int = 0) -> Iterator[tuple[memoryview, bool]]:
    """Read segments from the place on, each with whether it is the last; an empty text has one empty segment."""
    buffer = memoryview(bytearray(segment))
    count = max(1, -(-size // segment))
    for index in range(done, count):
        wanted = min(segment, size - index * segment)
        filled = 0
        while filled < wanted and (got := plain.readinto(buffer[filled:wanted])):
            filled += got
        if filled < wanted:
            raise Changed("it became shorter while it was read")
        yield buffer[:wanted], index == count - 1


def rewrap(path: Path, keys: Sequence[KeySource], fresh: Sequence[KeySource]) -> int:
    """Lock the file's key with other keys and no longer with the old ones; → how many bytes were written.

    The data stays as it is. The new list is on disk before the old one is cleared. Whoever kept a copy of the old
    header and an old key can still open it: encrypt anew where a key was stolen. Raises UsageError, Altered.
    """
    try:
        with path.open("r+b") as file:
            unlocked = unlock(file, keys, path.name)
            slot = unlocked.slot
            wraps = tuple(source.wrap(unlocked.key, unlocked.fixed) for source in fresh)
            raw = slot_bytes(unlocked.key, unlocked.fixed, slot.number + 1, wraps)
            for place, content in ((1 - slot.place, raw), (slot.place, bytes(SLOT_BYTES))):
                file.seek(len(unlocked.fixed.raw) + place * SLOT_BYTES)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(path)) from error
    return 2 * SLOT_BYTES
