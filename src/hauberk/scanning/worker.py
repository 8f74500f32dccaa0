"""A worker process of a scan: an order on standard input, then files; a result on standard output for each."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from hauberk.scanning.pool import Task, read_frame, write_frame
from hauberk.scanning.reading import Order
from hauberk.scanning.tree import Listed

_MEMORY = 1 << 30
"""Bytes of address space beyond what the process starts with."""


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever else prints does not mix with the answers
    questions = os.fdopen(0, "rb", buffering=0, closefd=False)
    first = read_frame(questions)
    if first is None:
        return
    order = msgspec.msgpack.decode(first, type=Order)
    read = order.reader()
    _bound_memory()
    decoder, encoder = msgspec.msgpack.Decoder(Task), msgspec.msgpack.Encoder()
    while (data := read_frame(questions)) is not None:
        task = decoder.decode(data)
        write_frame(answers, encoder.encode(read(_listed(task))))


def _listed(task: Task) -> Listed:
    if not task.known:
        return Listed(task.file, task.path)
    from hauberk.scanning.known_wire import from_wire

    return Listed(task.file, task.path, from_wire(task.known))


def _bound_memory() -> None:
    """Let an allocation beyond the bound fail, which the reader reports, rather than take the machine's memory."""
    try:
        import resource

        now = int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        bound = now + _MEMORY if hard == resource.RLIM_INFINITY else min(now + _MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    except (ImportError, OSError, ValueError):
        print("hauberk: this system sets no bound on a worker's memory", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
