"""Where a source's file lies, or which one was probably meant."""

from __future__ import annotations

from pathlib import Path

from hauberk.core.errors import DataError, nearest


def existing(folder: Path, source: str, key: str) -> Path:
    """Return the path of a source; raises DataError with the nearest file where it is not there."""
    path = folder / source
    if not path.exists():
        near = nearest(path.name, (other.name for other in path.parent.glob(f"*{path.suffix}")))
        raise DataError(f'no file "{source}"', where=key, fix=near)
    return path
