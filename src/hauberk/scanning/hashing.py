"""Digests of a file, made beside its reading so that its bytes come from the disk once."""

from __future__ import annotations

import hashlib
import threading
from queue import SimpleQueue

from blake3 import blake3

from hauberk.scanning.blobs import FileBlob

_CHUNK, _BUFFERS = 1 << 18, 8
"""Bytes of a buffer, small enough for a core's cache; and how many go round."""


class Hashing:
    """BLAKE3 and SHA-256 of a file under way in threads of their own, which let go of the interpreter."""

    def __init__(self, blob: FileBlob) -> None:
        self._blob = blob
        self._values: tuple[str, ...] = ()
        self._fault: OSError | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._values = _both(self._blob)
        except OSError as error:
            self._fault = error

    def values(self) -> tuple[str, ...]:
        """Wait for "blake3:…" and "sha256:…"; raises OSError where the file cannot be read or changed meanwhile."""
        self._thread.join()
        if self._fault is not None:
            raise self._fault
        return self._values


def _both(blob: FileBlob) -> tuple[str, ...]:
    """Read once, hash twice: BLAKE3 here, SHA-256 in a second thread, buffers going round between them."""
    empty: SimpleQueue[memoryview] = SimpleQueue()
    filled: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
    for _ in range(_BUFFERS):
        empty.put(memoryview(bytearray(_CHUNK)))
    tree, chain = blake3(), hashlib.sha256()

    def follow() -> None:
        while (part := filled.get()) is not None:
            chain.update(part[0][: part[1]])
            empty.put(part[0])

    behind = threading.Thread(target=follow, daemon=True)
    behind.start()
    seen = 0
    try:
        with blob.open() as stream:
            while count := stream.readinto(buffer := empty.get()):  # type: ignore[attr-defined]
                tree.update(buffer[:count])
                filled.put((buffer, count))
                seen += count
    finally:
        filled.put(None)
        behind.join()
    if seen != blob.size:
        raise OSError(f"{seen} bytes were there instead of {blob.size}")
    return (f"blake3:{tree.hexdigest()}", f"sha256:{chain.hexdigest()}")


def sha256_of(blob: FileBlob) -> str:
    """Digest a file, streamed; raises OSError."""
    with blob.open() as stream:
        found = hashlib.file_digest(stream, "sha256")  # type: ignore[arg-type]
    return "sha256:" + found.hexdigest()
