"""What every test has: one torch thread, no network but loopback, an empty cache, and a clock that stands still."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import tempfile
import threading
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_COLOR", "1")
_CACHE = tempfile.TemporaryDirectory(prefix="hauberk-tests-", ignore_cleanup_errors=True)
_BROWSERS = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ms-playwright"
if _BROWSERS.is_dir():
    os.environ.setdefault("PLAYWRIGHT_BROWSERS_PATH", str(_BROWSERS))
os.environ.pop("HAUBERK_CACHE", None)
os.environ["XDG_CACHE_HOME"] = _CACHE.name
"""The suite neither reads nor writes the user's own cache; processes that tests start inherit this one."""

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    # A shell's background ignores Ctrl-C, and so would the processes that tests start and press it on.
    signal.signal(signal.SIGINT, signal.default_int_handler)

NOON = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
_CONNECT = socket.socket.connect


def _only_loopback(self: socket.socket, address):  # type: ignore[no-untyped-def]
    """Let sockets reach this machine only: nothing hauberk does by itself may call out."""
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError(f"a test tried to reach {address}")
    return _CONNECT(self, address)


@pytest.fixture(autouse=True, scope="session")
def _no_network():
    socket.socket.connect = _only_loopback  # type: ignore[method-assign]
    yield
    socket.socket.connect = _CONNECT  # type: ignore[method-assign]


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def clock():
    """A clock that stands at noon."""
    return lambda: NOON


def pytest_runtest_makereport(item, call):
    """In CI a browser or database test that is skipped has failed: CI must really run them."""
    must = os.environ.get("HAUBERK_CI") and any(item.get_closest_marker(name) for name in ("browser", "postgres"))
    if must and call.excinfo is not None and call.excinfo.errisinstance(pytest.skip.Exception):
        call.excinfo = pytest.ExceptionInfo.from_exc_info(_failed(f"CI must run this: {call.excinfo.value}"))


def _failed(message: str):
    try:
        pytest.fail(message)
    except pytest.fail.Exception as error:
        return type(error), error, error.__traceback__
