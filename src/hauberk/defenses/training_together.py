"""Training by several processes on this machine: the loss of one costs what came after the last checkpoint."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import multiprocessing.connection
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import safetensors.torch
import torch
import torch.distributed

from hauberk.core.errors import HauberkError, TargetError, UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Modular, Progress, Step, Target
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_log import Interrupted, Log, State, Trained
from hauberk.defenses.training_plan import Keeper, Teaching
from hauberk.defenses.training_task import Task
from hauberk.defenses.training_team import Gloo

LOSSES = 3
"""Workers that may be lost before a run is given up."""
_WAIT = dt.timedelta(seconds=60)
"""How long a worker waits for the others before it takes them for lost."""
_GRACE = 10.0
"""Seconds workers have to hand over their best state after Ctrl-C, and to end."""


class _Advance(NamedTuple):
    amount: int
    note: str


class _Done(NamedTuple):
    """weights: of the best state, safetensors. log: None where the run was interrupted."""

    weights: bytes
    name: str
    log: Log | None


class _Failed(NamedTuple):
    error: HauberkError


def train_together(
    defense: Teaching,
    task: Task,
    seed: int,
    workers: int,
    *,
    progress: Progress | None = None,
    keeper: Keeper | None = None,
) -> Trained:
    """Train by `workers` processes, each with a part of every batch, gradients averaged by torch.distributed (gloo).

    Steps are those of one process but for rounding and the streams that draw starts. A worker that dies is replaced:
    all go on from the last checkpoint. Raises what `train` raises, UsageError where processes cannot be forked, and
    TargetError where workers are lost too often.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        raise UsageError("this system cannot fork processes", fix="train with one worker")
    with tempfile.TemporaryDirectory(prefix="hauberk-") as folder:
        shelf = _Shelf(Path(folder) / "checkpoint", keeper)
        for attempt in range(LOSSES + 1):
            done = _attempt(defense, task, seed, workers, progress or Silent(), shelf, Path(folder) / f"meet{attempt}")
            if done is not None:
                target = _rebuilt(task.target, done)
                if done.log is None:
                    raise Interrupted(target)
                lost = (f"{attempt} workers were lost; training went on from the last checkpoint",) if attempt else ()
                log = msgspec.structs.replace(done.log, notes=(*done.log.notes, *lost))
                return Trained(target, log, safetensors.torch.load(done.weights))
    raise TargetError(f"{LOSSES + 1} workers were lost", fix="look for what ends them, such as too little memory")


class _Shelf:
    """The leader's keeper: a file all workers can read back after one was lost, and the caller's own keeper."""

    def __init__(self, path: Path, keeper: Keeper | None) -> None:
        self._path, self._keeper = path, keeper
        self.every = keeper.every if keeper is not None else 10.0

    def load(self) -> bytes | None:
        """Return the last checkpoint of this run, else the one to resume."""
        if self._path.exists():
            return self._path.read_bytes()
        return self._keeper.load() if self._keeper is not None else None

    def save(self, state: bytes) -> None:
        """Keep it in both places; raises StoreError."""
        part = self._path.with_suffix(".part")
        part.write_bytes(state)
        part.replace(self._path)
        if self._keeper is not None:
            self._keeper.save(state)


class _Relay:
    """Progress in a worker: what it is told goes to the process that shows it."""

    def __init__(self, pipe: multiprocessing.connection.Connection) -> None:
        self._pipe = pipe

    @contextmanager
    def step(self, name: str, total: int | None, unit: str) -> Iterator[Step]:
        """Open a step by telling its name."""
        self._pipe.send((name, total, unit))
        yield self

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Pass it on."""
        self._pipe.send(_Advance(amount, note))


def _attempt(
    defense: Teaching, task: Task, seed: int, workers: int, progress: Progress, shelf: _Shelf, meeting: Path
) -> _Done | None:
    """Start the workers and listen to the leader; None where one was lost."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    team = [
        context.Process(target=_work, args=(rank, workers, meeting, there, defense, task, seed, shelf), daemon=True)
        for rank in range(workers)
    ]
    for process in team:
        process.start()
    there.close()
    try:
        return _listen(here, team, progress)
    finally:
        for process in team:
            process.join(_GRACE if process.exitcode is None and not _lost(team) else 0.0)
            if process.is_alive():
                process.kill()
            process.join()
        here.close()


def _listen(
    pipe: multiprocessing.connection.Connection, team: list[multiprocessing.context.ForkProcess], progress: Progress
) -> _Done | None:
    with _opened(pipe, team, progress) as step:
        while True:
            try:
                heard = pipe.recv() if pipe.poll(0.1) else None
            except EOFError:
                return None
            except KeyboardInterrupt:
                continue  # the workers heard it, too: the leader hands over its best state
            if isinstance(heard, _Advance) and step is not None:
                step.advance(*heard)
            elif isinstance(heard, _Failed):
                raise heard.error
            elif isinstance(heard, _Done):
                return heard
            elif heard is None and _lost(team):
                return None


@contextmanager
def _opened(
    pipe: multiprocessing.connection.Connection, team: list[multiprocessing.context.ForkProcess], progress: Progress
) -> Iterator[Step | None]:
    """Open the step the leader names first; what else it may say first is left for the listener."""
    while not pipe.poll(0.1):
        if _lost(team):
            yield None
            return
    try:
        first = pipe.recv()
    except EOFError:
        yield None
        return
    if isinstance(first, _Failed):
        raise first.error
    with progress.step(*first) as step:
        yield step


def _lost(team: list[multiprocessing.context.ForkProcess]) -> bool:
    return any(process.exitcode not in (None, 0) for process in team)


def _work(
    rank: int,
    workers: int,
    meeting: Path,
    pipe: multiprocessing.connection.Connection,
    defense: Teaching,
    task: Task,
    seed: int,
    shelf: _Shelf,
) -> None:
    """Be one worker: meet the others, train, and, as the leader, hand over what came out."""
    torch.set_num_threads(1)  # one thread a worker; and OpenMP's pool of the parent did not survive the fork
    try:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{meeting}", rank=rank, world_size=workers, timeout=_WAIT
        )
        progress: Progress = _Relay(pipe) if rank == 0 else Silent()
        rng = torch.Generator().manual_seed(seed)
        try:
            trained = train(defense, task, rng, progress=progress, keeper=shelf, team=Gloo(rank, workers))
            done = _handed(trained.target, trained.log, trained.state)
        except Interrupted as stop:
            done = _handed(stop.best, None, stop.state)
        if rank == 0:
            pipe.send(done)
    except HauberkError as error:
        if rank == 0:
            pipe.send(_Failed(error))
    except RuntimeError as error:
        if "gloo" in str(error).lower() or "connection" in str(error).lower():  # another worker is gone
            os._exit(1)
        pipe.send(_Failed(TargetError(f"training failed: {error}")))
    pipe.close()
    os._exit(0)  # without the parent's exit handlers, which are not this process's business


def _handed(target: Target, log: Log | None, state: State) -> _Done:
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}
    return _Done(safetensors.torch.save(tensors), target.spec.name, log)


def _rebuilt(target: Target, done: _Done) -> Target:
    """Put the weights a worker handed over into a target like the one given."""
    assert isinstance(target, Modular)
    module = target.module()
    module.load_state_dict(safetensors.torch.load(done.weights))
    return target.rebuild(module.eval(), done.name)
