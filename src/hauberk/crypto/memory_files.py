"""Files that exist in memory alone, under a name that any library can open: plain text that never reaches a disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from hauberk.core.errors import MeasurementError
from hauberk.crypto.key_sources import sources
from hauberk.crypto.key_wrapping import KeySource
from hauberk.crypto.sealed_files import SealedFile, is_sealed
from hauberk.crypto.sealed_layout import SUFFIX

_PIECE = 1 << 20


@contextmanager
def in_memory(plain: BinaryIO | SealedFile, name: str) -> Iterator[Path]:
    """Copy a text to memory and yield a path ending in `name` that leads there; raises MeasurementError.

    The path is a link in a private folder to /proc/self/fd: only the name is on disk, never the text. The pages may be
    swapped out as any memory may: encrypt the swap.
    """
    if not hasattr(os, "memfd_create"):
        raise MeasurementError(
            "sealed files are opened in place on Linux only", where=name, fix="hauberk unseal it to an encrypted disk"
        )
    with ExitStack() as stack:
        descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
        stack.callback(os.close, descriptor)
        with os.fdopen(descriptor, "wb", closefd=False) as memory:
            while piece := plain.read(_PIECE):
                memory.write(piece)
        os.lseek(descriptor, 0, os.SEEK_SET)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hauberk-"))
        path = Path(folder) / name
        path.symlink_to(f"/proc/{os.getpid()}/fd/{descriptor}")
        yield path


@contextmanager
def unsealed(folder: Path, names: Sequence[str], keys: Sequence[KeySource] = ()) -> Iterator[tuple[str, ...]]:
    """Yield names that can be opened: those of encrypted files lead to their plain text in memory, others are as given.

    names: relative to the folder, or empty. keys: by default those the environment names. Raises what opening raises.
    """
    with ExitStack() as stack:
        found = []
        for name in names:
            path = folder / name
            if not name or "://" in name or not name.endswith(SUFFIX) or not is_sealed(path):
                found.append(name)
                continue
            with SealedFile(path, keys or sources(())) as plain:
                found.append(str(stack.enter_context(in_memory(plain, path.name.removesuffix(SUFFIX)))))
        yield tuple(found)
