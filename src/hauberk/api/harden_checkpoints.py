"""Where a hardening run keeps its checkpoint: one file beside the weights, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from hauberk.core.errors import StoreError, UsageError

EVERY = 30.0
"""Seconds between two checkpoints: at most so much training is lost."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that at every moment the old or the new one is there; raises OSError and leaves no part."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


class CheckpointFile:
    """A keeper of checkpoints on disk. resume: whether to go on from what is there."""

    def __init__(self, path: Path, *, resume: bool, every: float = EVERY) -> None:
        self.path, self.every = path, every
        self._resume = resume

    def load(self) -> bytes | None:
        """Return the checkpoint to resume; raises UsageError where there is none though one is asked for."""
        if not self._resume:
            return None
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"there is no checkpoint to resume: {error.strerror}", where=str(self.path), fix="leave --resume out"
            ) from error

    def save(self, state: bytes) -> None:
        """Keep a checkpoint; raises StoreError where it cannot be written, the one before stays."""
        try:
            write_whole(self.path, state)
        except OSError as error:
            raise StoreError(
                f"the checkpoint cannot be written: {error.strerror}", where=str(self.path), fix="make room"
            ) from error

    def discard(self) -> None:
        """Delete it: the run is over."""
        self.path.unlink(missing_ok=True)
