"""Processes of this machine that carry out parts of a job; one that dies is replaced and its part begun again."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import NamedTuple, cast

from hauberk.core.encoding import canonical, decode
from hauberk.core.executing import Done, Fault, Job, Order

TRIES = 3
"""A part that costs so many workers their life is a fault of the part."""


class _Worker(NamedTuple):
    """A process and our end of the pipe to it."""

    process: SpawnProcess
    pipe: Connection


class Processes:
    """Up to `workers` spawned processes; only bytes of canonical JSON go through their pipes."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._idle: list[_Worker] = []
        self._context = multiprocessing.get_context("spawn")

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._idle:
            _end(worker)
        self._idle.clear()

    def map(self, job: Job, parts: Sequence[int]) -> Iterator[Done]:
        """Yield answers as they come; see `core.executing.Executor`."""
        waiting = deque(parts)
        busy: dict[Connection, tuple[_Worker, int]] = {}
        deaths = dict.fromkeys(parts, 0)
        try:
            while waiting or busy:
                while waiting and len(busy) < self._workers:
                    worker = self._send(job, waiting[0])
                    busy[worker.pipe] = (worker, waiting.popleft())
                for pipe in wait(list(busy)):
                    worker, part = busy.pop(cast(Connection, pipe))
                    answer = self._answer(worker)
                    if answer is not None:
                        yield answer
                        continue
                    deaths[part] += 1
                    if deaths[part] < TRIES:
                        waiting.appendleft(part)
                    else:
                        yield Done(part, fault=_deadly(part))
        finally:
            for worker, _ in busy.values():
                _end(worker)

    def _send(self, job: Job, part: int) -> _Worker:
        """Give a part to an idle worker, or to a new one where none is left that lives."""
        order = canonical(Order(job, part))
        while self._idle:
            worker = self._idle.pop()
            try:
                worker.pipe.send_bytes(order)
                return worker
            except OSError:  # it died while idle
                _end(worker)
        worker = self._begun()
        worker.pipe.send_bytes(order)
        return worker

    def _begun(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()  # so that its death is the end of our pipe
        return _Worker(process, ours)

    def _answer(self, worker: _Worker) -> Done | None:
        """Read a worker's answer; None where it died."""
        try:
            answer = decode(worker.pipe.recv_bytes(), Done)
        except (EOFError, OSError):
            _end(worker)
            return None
        self._idle.append(worker)
        return answer


def _deadly(part: int) -> Fault:
    what = f"{TRIES} workers died of part {part}"
    return Fault("MeasurementError", what, fix="look for the memory it needs: fewer workers, or a smaller [run] chunk")


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()
    worker.process.join()


def _serve(pipe: Connection) -> None:
    """Carry out orders until the other end is closed; Ctrl-C is the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from hauberk.api.executing_work import carry_out

    while True:
        try:
            pipe.send_bytes(carry_out(pipe.recv_bytes()))
        except (EOFError, OSError):  # nobody is there to ask or to answer any more
            return
