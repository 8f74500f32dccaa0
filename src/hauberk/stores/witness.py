"""The witness file: the last signed checkpoint, kept beside the database, so that a log cannot be cut short unseen.

It is written after each commit, so it may lag behind the log; the log may never lag behind it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec

from hauberk.core.encoding import canonical
from hauberk.core.errors import StoreError, TamperError
from hauberk.crypto import checkpoints
from hauberk.crypto.checkpoints import SignedCheckpoint

_FIX = "see `hauberk evidence verify`; put database and witness back from copies of the same day"


def read(path: Path) -> SignedCheckpoint | None:
    """Read the checkpoint that was last seen; None where none was.

    Raises StoreError where the file cannot be read, TamperError where it is no checkpoint.
    """
    try:
        return checkpoints.read(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"the witness file cannot be read: {error.strerror}", where=str(path)) from error
    except msgspec.DecodeError as error:
        raise TamperError(f"the witness file is no checkpoint: {error}", where=str(path), fix=_FIX) from error


def write(path: Path, checkpoint: SignedCheckpoint) -> None:
    """Replace the file at once or not at all; never by an older checkpoint of the same log. Raises OSError."""
    try:
        present = read(path)
    except StoreError:
        present = None
    if present is not None and present.origin == checkpoint.origin and present.size > checkpoint.size:
        return  # another process was faster
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(6)}.new")
    try:
        with partial.open("wb") as file:
            file.write(canonical(checkpoint))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def disagreement(
    seen: SignedCheckpoint, head: SignedCheckpoint, kept_at: Callable[[int], bytes | None]
) -> tuple[str, str] | None:
    """Say how a log differs from what was once seen of it: ("behind" or "rewritten", a sentence), or None.

    kept_at: the checkpoint the log keeps for a size, canonical JSON.
    """
    if seen.origin != head.origin:
        return "rewritten", "the witness file is of another log"
    if seen.size > head.size:
        return "behind", (
            f"the log ends at {head.size} entries, but {seen.size} were seen on {seen.time}: "
            "its tail was cut off, or an older copy was put back"
        )
    if kept_at(seen.size) != canonical(seen):
        return "rewritten", f"the log's checkpoint at {seen.size} entries is not the one seen on {seen.time}"
    return None


def refuse(path: Path, problem: tuple[str, str]) -> TamperError:
    """Word the refusal to go on with a log that contradicts its witness."""
    return TamperError(problem[1], where=str(path), fix=_FIX)
