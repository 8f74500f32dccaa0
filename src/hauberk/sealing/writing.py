"""Write a small file whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from hauberk.core.errors import UsageError


def write_whole(path: Path, data: bytes, *, private: bool = False, fresh: bool = False) -> None:
    """Write beside the place, sync, then rename; an interruption leaves what was there before.

    private: only the owner may read it. fresh: refuse to replace a file. Raises UsageError.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}.new")
    try:
        mode = 0o600 if private else 0o666
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            os.link(partial, path)
        else:
            partial.replace(path)
    except FileExistsError as error:
        raise UsageError("there is a file of that name", where=str(path), fix="name another one") from error
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(path), fix="name another place with --output"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
