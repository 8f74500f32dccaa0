"""A Ray cluster that carries out parts of a job: a running one by its address, or one begun here for the run.

The only file that imports ray, and only when a cluster is asked for; ray's usage statistics are switched off before.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType

from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import MissingExtra, UsageError
from hauberk.core.executing import Done, Fault, Job, Order

RETRIES = 3
"""Times Ray begins a part again elsewhere after its worker died."""
STORE = 80 * 2**20
"""Bytes of the object store of a cluster begun here: a few kilobytes of JSON pass through it at a time."""
PATIENCE = 5.0
"""Seconds a cluster has to answer on its port."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""ray reads these when it is imported: it sends nothing home, and leaves the accelerators' variables alone."""


class Ray:
    """Parts as Ray tasks of one CPU each; only bytes of canonical JSON are sent.

    workers: parts at once, 0 for as many as the cluster has CPUs. address: "host:port", "auto" for the cluster of this
    machine or of $RAY_ADDRESS, empty for one of its own. A cluster that the caller has connected to already is used
    as it is, and left connected.
    """

    def __init__(self, workers: int, address: str = "") -> None:
        self._workers, self._address = workers, address
        self._own = False

    def __enter__(self) -> Ray:
        os.environ.update(QUIET)
        try:
            import ray
        except ImportError:
            raise MissingExtra("ray", "cluster") from None
        if not ray.is_initialized():
            if self._address:
                _reach(self._address)
            self._begin()
            self._own = True
        if not self._workers:
            self._workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return self

    def _begin(self) -> None:
        import ray

        here = {
            "num_cpus": self._workers or os.cpu_count(),
            "object_store_memory": STORE,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",  # nobody else is to give orders
        }
        there = {"address": self._address}
        try:
            ray.init(**(there if self._address else here), log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # what ray raises of a cluster that is not there is not one class
            raise UsageError(
                f"no Ray cluster: {str(error).strip().partition(chr(10))[0]}",
                where=f"[run] address = {self._address!r}" if self._address else "ray.init",
                fix="give the address `ray start --head` prints, or none to begin a cluster here",
            ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        if self._own:
            ray.shutdown()

    def map(self, job: Job, parts: Sequence[int]) -> Iterator[Done]:
        """Yield answers as they come; see `core.executing.Executor`."""
        import ray

        waiting = deque(parts)
        running: dict[ray.ObjectRef, int] = {}
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_carry_out)
        try:
            while waiting or running:
                while waiting and len(running) < self._workers:
                    part = waiting.popleft()
                    running[task.remote(canonical(Order(job, part)))] = part
                for reference in ray.wait(list(running), num_returns=1)[0]:
                    part = running.pop(reference)
                    try:
                        answer = decode(ray.get(reference), Done)
                    except ray.exceptions.RayError as error:
                        answer = Done(part, fault=_deadly(part, error))
                    yield answer
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _carry_out(order: bytes) -> bytes:
    """Do a part on a node; imported there, so that a node without hauberk says so."""
    from hauberk.api.executing_work import carry_out

    return carry_out(order)


def _deadly(part: int, error: Exception) -> Fault:
    reason = str(error).strip().rpartition("\n")[2]
    return Fault(
        "MeasurementError",
        f"part {part} came to nothing on the cluster: {type(error).__name__}: {reason}",
        fix="see that every node has hauberk and memory enough, or take a smaller [run] chunk",
    )


def _reach(address: str) -> None:
    """Knock at a cluster's port before ray does, who would wait for a minute."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        if address == "auto":
            return
        raise UsageError(f"{address!r} is no address of a Ray cluster", where="[run] address", fix='say "host:port"')
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"no Ray cluster answers: {error}",
            where=f"[run] address = {address!r}",
            fix="begin one with `ray start --head`, or give no address to begin one here",
        ) from error
