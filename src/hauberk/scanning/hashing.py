"""Digests of a file, made beside its reading so that its bytes come from the disk once; and programs inside it."""

from __future__ import annotations

import hashlib
import threading
from queue import SimpleQueue

from blake3 import blake3

from hauberk.scanning.blobs import FileBlob

_CHUNK, _BUFFERS = 1 << 18, 8
"""Bytes of a buffer, small enough for a core's cache; and how many go round."""
_SEARCHED = 8 << 20
"""Smaller files are searched whole by their readers."""
_MARKS = ((b"\x7fELF\x02\x01\x01" + bytes(9), 0), (b"This program cannot be run in DOS mode", 78))
"""Long texts that programs hold, which are found at the speed of memory, and how far before them a program begins."""
_LONGEST = max(len(mark) for mark, _ in _MARKS)
_TOLD = 20


class Hashing:
    """BLAKE3 and SHA-256 of a file under way in threads of their own, which let go of the interpreter."""

    def __init__(self, blob: FileBlob) -> None:
        self._blob = blob
        self._values: tuple[str, ...] = ()
        self._fault: OSError | None = None
        self._marks = _Marks() if blob.size > _SEARCHED else None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._values = _both(self._blob, self._marks)
        except OSError as error:
            self._fault = error

    def values(self) -> tuple[str, ...]:
        """Wait for "blake3:…" and "sha256:…"; raises OSError where the file cannot be read or changed meanwhile."""
        self._thread.join()
        if self._fault is not None:
            raise self._fault
        return self._values

    def programs(self) -> tuple[int, ...]:
        """Wait, and return where in a large file programs may begin, a bounded number: to be looked at closely."""
        self._thread.join()
        return tuple(self._marks.places) if self._marks else ()


class _Marks:
    """A search for marks in a file that comes in pieces."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self._seen, self._before = 0, b""

    def look(self, buffer: bytearray, count: int) -> None:
        """Search the first bytes of a buffer, and the seam to what came before."""
        seam = self._before + bytes(buffer[: min(count, _LONGEST)])
        for mark, back in _MARKS:
            self._note(seam, len(seam), mark, self._seen - len(self._before) - back)
            self._note(buffer, count, mark, self._seen - back)
        self._seen += count
        self._before = bytes(buffer[max(0, count - _LONGEST) : count])

    def _note(self, data: bytes | bytearray, count: int, mark: bytes, base: int) -> None:
        place = data.find(mark, 0, count)
        while place >= 0 and len(self.places) < _TOLD:
            if base + place >= 0 and base + place not in self.places:
                self.places.append(base + place)
            place = data.find(mark, place + 1, count)


def _both(blob: FileBlob, marks: _Marks | None = None) -> tuple[str, ...]:
    """Read once, hash twice: BLAKE3 here, SHA-256 in a second thread, buffers going round between them."""
    empty: SimpleQueue[bytearray] = SimpleQueue()
    filled: SimpleQueue[tuple[bytearray, int] | None] = SimpleQueue()
    for _ in range(_BUFFERS):
        empty.put(bytearray(_CHUNK))
    tree, chain = blake3(), hashlib.sha256()

    def follow() -> None:
        while (part := filled.get()) is not None:
            chain.update(memoryview(part[0])[: part[1]])
            empty.put(part[0])

    behind = threading.Thread(target=follow, daemon=True)
    behind.start()
    seen = 0
    try:
        with blob.open() as stream:
            while count := stream.readinto(buffer := empty.get()):  # type: ignore[attr-defined]
                filled.put((buffer, count))
                tree.update(memoryview(buffer)[:count])
                if marks is not None:
                    marks.look(buffer, count)
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
