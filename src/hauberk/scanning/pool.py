"""Files read in processes of their own, which may hang, be killed or run out of memory without ending the scan.

Each worker is `python -m hauberk.scanning.worker`, spoken to over its pipes: no fork of a process that has threads, no
second import of the caller's program. A file whose reader dies or does not answer becomes a Skipped, and a new worker
takes its place.
"""

from __future__ import annotations

import os
import selectors
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec

from hauberk.core.errors import LimitExceeded
from hauberk.scanning.reading import FileScan, Order, not_read
from hauberk.scanning.tree import Listed

_LENGTH = struct.Struct("<I")
_AHEAD = 512
"""Results that may wait for an earlier file's."""
_GRACE = 10.0
"""Seconds beyond a file's own limit before its reader is killed."""


class Task(msgspec.Struct, frozen=True):
    """One file to read. known: what the project's other modules say of it, as `known_wire` writes it."""

    file: str
    path: str
    known: bytes = b""


def scan_all(files: Sequence[Listed], order: Order, workers: int) -> Iterator[FileScan]:
    """Read files in `workers` processes and yield their results in the order of `files`."""
    pool = _Pool(files, order)
    threads = [threading.Thread(target=pool.work, daemon=True) for _ in range(min(workers, len(files)))]
    for thread in threads:
        thread.start()
    try:
        yield from pool.results()
    finally:
        pool.stop()
        for thread in threads:
            thread.join()


class _Pool:
    """What the threads share: the next file, the results that wait, and the processes to end."""

    def __init__(self, files: Sequence[Listed], order: Order) -> None:
        self._files, self._order = files, order
        self._next = self._given = 0
        self._waiting: dict[int, FileScan] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._alive: set[_Process] = set()

    def results(self) -> Iterator[FileScan]:
        for index in range(len(self._files)):
            with self._changed:
                while index not in self._waiting:
                    self._changed.wait()
                result = self._waiting.pop(index)
                self._given = index
                self._changed.notify_all()
            yield result

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            for process in self._alive:
                process.kill()

    def work(self) -> None:
        """Serve one worker process after another until nothing is left; a thread's whole life."""
        process: _Process | None = None
        while (index := self._take()) is not None:
            process = process or self._start()
            listed = self._files[index]
            try:
                result = process.scan(listed)
            except LimitExceeded as error:
                result = not_read(listed.path, error.what)
                self._drop(process)
                process = None
            with self._changed:
                self._waiting[index] = result
                self._changed.notify_all()
        if process is not None:
            self._drop(process)

    def _take(self) -> int | None:
        with self._changed:
            while not self._stopped and self._next - self._given > _AHEAD:
                self._changed.wait()
            if self._stopped or self._next >= len(self._files):
                return None
            self._next += 1
            return self._next - 1

    def _start(self) -> _Process:
        process = _Process(self._order)
        with self._changed:
            self._alive.add(process)
            if self._stopped:
                process.kill()
        return process

    def _drop(self, process: _Process) -> None:
        process.end()
        with self._changed:
            self._alive.discard(process)


class _Process:
    """One worker process."""

    def __init__(self, order: Order) -> None:
        self._patience = order.limits.seconds + _GRACE
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "hauberk.scanning.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._in, self._out = self._child.stdin, self._child.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)
        self._decoder = msgspec.msgpack.Decoder(FileScan)
        self._send(msgspec.msgpack.encode(order))

    def scan(self, listed: Listed) -> FileScan:
        """Have one file read; raises LimitExceeded where the process dies over it or does not answer."""
        known = b""
        if listed.known is not None:
            from hauberk.scanning.known_wire import to_wire

            known = to_wire(listed.known)
        self._send(msgspec.msgpack.encode(Task(os.fspath(listed.file), listed.path, known)))
        data = read_frame(self._out, self._wait)
        if data is None:
            raise LimitExceeded("its reader was killed: it needed more memory or time than a file may take")
        return self._decoder.decode(data)

    def _send(self, data: bytes) -> None:
        try:
            write_frame(self._in, data)
        except OSError:
            # The answer that does not come says the same.
            return

    def _wait(self) -> bool:
        return bool(self._selector.select(self._patience))

    def kill(self) -> None:
        self._child.kill()

    def end(self) -> None:
        self._selector.close()
        self._child.kill()
        self._in.close()
        self._out.close()
        self._child.wait()


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """Write a length and the bytes."""
    view = memoryview(_LENGTH.pack(len(data)) + data)
    while view:
        view = view[stream.write(view) :]


def read_frame(stream: IO[bytes], ready: object = None) -> bytes | None:
    """Read what `write_frame` wrote; None at the end, or where `ready()` says that nothing comes."""
    header = _exactly(stream, _LENGTH.size, ready)
    return None if header is None else _exactly(stream, _LENGTH.unpack(header)[0], ready)


def _exactly(stream: IO[bytes], count: int, ready: object) -> bytes | None:
    parts: list[bytes] = []
    while count:
        if callable(ready) and not ready():
            return None
        part = stream.read(min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
