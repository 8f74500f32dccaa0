"""Digest the files of a listing: several files at a time, and two threads inside a large one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from threading import Event
from typing import NamedTuple

from hauberk.core.protocols import Step
from hauberk.crypto.file_digests import Algorithm, FileDigests, digest_file
from hauberk.sealing.faults import Fault
from hauberk.sealing.tree import WHOLE

BATCH = 32
LARGE = 8 << 20


class Digested(NamedTuple):
    """One file's digests, or why there are none."""

    name: str
    digests: FileDigests | None
    fault: Fault | None = None


def digest_all(
    root: Path,
    names: Sequence[str],
    algorithms: tuple[Algorithm, ...],
    *,
    linked: frozenset[str] = frozenset(),
    step: Step,
    workers: int | None = None,
) -> dict[str, Digested]:
    """Digest files below a root, by name. linked: names that are links to be followed. Ctrl-C stops at once."""
    count = workers or min(os.cpu_count() or 1, 16)
    found: dict[str, Digested] = {}
    pool, side, stop = ThreadPoolExecutor(count), ThreadPoolExecutor(count), Event()
    try:
        pieces = _batches(root, names)
        running: set[Future[list[Digested]]] = set()
        while True:
            for piece in islice(pieces, 2 * count - len(running)):
                running.add(pool.submit(_batch, root, piece, algorithms, linked, side, stop))
            if not running:
                return found
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                for row in future.result():
                    found[row.name] = row
                    step.advance()
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        side.shutdown(wait=False, cancel_futures=True)


def _batches(root: Path, names: Sequence[str]) -> Iterator[list[str]]:
    """Put small files together and keep each large one by itself."""
    batch: list[str] = []
    for name in names:
        try:
            large = Path(place(root, name)).stat().st_size > LARGE
        except OSError:
            large = False
        if large:
            yield [name]
            continue
        batch.append(name)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _batch(
    root: Path,
    names: list[str],
    algorithms: tuple[Algorithm, ...],
    linked: frozenset[str],
    side: ThreadPoolExecutor,
    stop: Event,
) -> list[Digested]:
    return [_one(root, name, algorithms, name in linked, side, stop) for name in names]


def _one(
    root: Path, name: str, algorithms: tuple[Algorithm, ...], follow: bool, side: ThreadPoolExecutor, stop: Event
) -> Digested:
    try:
        return Digested(name, digest_file(place(root, name), algorithms, follow=follow, pool=side, stop=stop))
    except OSError as error:
        reason = error.strerror or str(error)
        return Digested(name, None, Fault(kind="unreadable", path=name, message=f"cannot be read: {reason}"))


def place(root: Path, name: str) -> str:
    """Return where a named file lies."""
    return str(root) if name == WHOLE else os.path.join(root, name)  # noqa: PTH118 - a million of them
