"""Give work so many seconds, and stop waiting for it after that."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from hauberk.core.errors import TargetTimeout

Result = TypeVar("Result")


class _Expired(BaseException):
    """Raised inside the work; not an Exception, so that a model's own `except Exception` cannot swallow it."""


def within(seconds: float | None, work: Callable[[], Result], where: str) -> Result:
    """Return work(), or raise TargetTimeout after `seconds`; None waits for ever.

    In the main thread of a POSIX system a timer signal interrupts the work. It reaches Python code and sleeping or
    waiting calls; a single native call is only left when it returns. Elsewhere the work runs in a daemon thread that is
    abandoned when its time is over. Calls may nest: the nearest deadline wins.
    """
    if seconds is None:
        return work()
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        return _by_signal(seconds, work, where)
    return _by_thread(seconds, work, where)


def _timeout(seconds: float, where: str) -> TargetTimeout:
    return TargetTimeout(f"no answer within {seconds:g} s", where=where, fix="raise model.timeout, or mend the model")


def _by_signal(seconds: float, work: Callable[[], Result], where: str) -> Result:
    outer, _ = signal.getitimer(signal.ITIMER_REAL)
    if 0 < outer <= seconds:
        return work()  # an enclosing deadline comes first, and its handler is in place
    mine = _Expired()
    armed = True

    def expire(_number: int, _frame: FrameType | None) -> None:
        if armed:
            raise mine

    previous = signal.signal(signal.SIGALRM, expire)
    start = time.monotonic()
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            return work()
        finally:
            try:
                armed = False
            finally:
                left = outer - (time.monotonic() - start)
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, previous if previous is not None else signal.SIG_DFL)
                if outer > 0:
                    signal.setitimer(signal.ITIMER_REAL, max(left, 1e-3))
    except _Expired as expired:
        if expired is not mine:
            raise
        raise _timeout(seconds, where) from None


def _by_thread(seconds: float, work: Callable[[], Result], where: str) -> Result:
    answers: list[Result] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(work())
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that waits
            faults.append(error)

    worker = threading.Thread(target=run, name="hauberk-answer", daemon=True)
    worker.start()
    worker.join(seconds)
    if faults:
        raise faults[0]
    if not answers:
        raise _timeout(seconds, where)
    return answers[0]
