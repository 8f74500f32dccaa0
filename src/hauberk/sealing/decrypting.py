"""Decrypt a file beside itself, whole or not at all: no plain text under the final name before all of it held."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hauberk.core.errors import MeasurementError, UsageError
from hauberk.core.protocols import Step
from hauberk.crypto.key_wrapping import KeySource
from hauberk.crypto.sealed_files import SealedFile


class Decrypted(NamedTuple):
    """What was written. size: plain bytes."""

    path: Path
    size: int


def decrypt_file(
    source: Path, target: Path, keys: Sequence[KeySource], *, step: Step | None = None, replace: bool = False
) -> Decrypted:
    """Decrypt a file; only its owner may read what is written.

    Raises UsageError (no such file, wrong key, the target is there), Altered (any part is not what was written), and
    MeasurementError (the disk is full); then nothing is left behind.
    """
    if not replace and os.path.lexists(target):
        raise UsageError("there is a file of that name", where=str(target), fix="name another with --output")
    partial = target.with_name(f".{target.name}.{secrets.token_hex(6)}.new")
    try:
        plain = SealedFile(source, keys)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(source)) from error
    try:
        with plain, os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            buffer = memoryview(bytearray(plain.unlocked.fixed.segment))
            while count := plain.readinto(buffer):
                file.write(buffer[:count])
                if step is not None:
                    step.advance(count)
            file.flush()
            os.fsync(file.fileno())
            size = plain.size
        partial.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MeasurementError(f"cannot be decrypted: {reason}; nothing was left behind", where=str(source)) from error
    finally:
        partial.unlink(missing_ok=True)
    return Decrypted(target, size)
