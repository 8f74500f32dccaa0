"""Where the parts of a run are carried out: here, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from hauberk.core.errors import UsageError
from hauberk.core.executing import Executor
from hauberk.core.project import Project, RunSection, ThreatSection

CHUNK = 128
"""Samples of a chunk where an executor is named: more chunks than workers, and few enough samples to be worth it."""


@contextmanager
def executor_for(run: RunSection) -> Iterator[Executor | None]:
    """Open what [run] executor names, for as long as there is work; None: here, one chunk after the other.

    Raises UsageError for numbers that mean nothing and a cluster that cannot be reached, MissingExtra without ray.
    """
    if run.workers < 0 or run.chunk < 0:
        raise UsageError(f"workers = {run.workers}, chunk = {run.chunk}", where="[run]", fix="neither is below 0")
    if run.address and run.executor != "ray":
        raise UsageError("an address is of a Ray cluster", where="[run] address", fix='say executor = "ray" too')
    if run.executor == "processes":
        from hauberk.api.executing_processes import Processes

        with Processes(run.workers or os.cpu_count() or 1) as processes:
            yield processes
    elif run.executor == "ray":
        from hauberk.api.executing_ray import Ray

        with Ray(run.workers, run.address) as cluster:
            yield cluster
    else:
        yield None


def chunk_of(run: RunSection, section: ThreatSection) -> int | None:
    """Say how many samples are attacked at once; None: the engine's own choice, small where it may stop early."""
    sequential = section.precision is not None or section.decide
    return run.chunk or (CHUNK if run.executor and not sequential else None)


def threads_of(run: RunSection) -> int | None:
    """Say how many threads torch gets: with an executor one everywhere, so that sums round alike."""
    return run.threads or (1 if run.executor else None)


def asked(
    project: Project,
    *,
    executor: str | None = None,
    workers: int | None = None,
    address: str | None = None,
    chunk: int | None = None,
) -> Project:
    """Return the project with what the caller wants of [run] otherwise."""
    wanted = {"executor": executor, "workers": workers, "address": address, "chunk": chunk}
    changes = {name: value for name, value in wanted.items() if value is not None}
    return msgspec.structs.replace(project, run=msgspec.structs.replace(project.run, **changes))
