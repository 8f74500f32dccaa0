"""Work that takes too long is left: in the main thread, in others, and when deadlines nest."""

import signal
import threading
import time

import pytest

from hauberk.core.errors import TargetTimeout
from hauberk.targets.deadline import within


def spin():
    while True:
        pass


def swallow():
    while True:
        try:
            time.sleep(60)
        except Exception:
            continue


@pytest.mark.parametrize("work", [lambda: time.sleep(60), spin, swallow])
def test_a_hanging_answer_is_left_in_the_main_thread(work):
    with pytest.raises(TargetTimeout, match=r"model m: no answer within 0\.05 s"):
        within(0.05, work, "model m")


def test_the_handler_and_timer_are_left_as_found():
    def mine(number, frame):
        raise AssertionError("not expected")

    ticking, _ = signal.getitimer(signal.ITIMER_REAL)  # the test runner's own, perhaps
    before = signal.signal(signal.SIGALRM, mine)
    try:
        assert within(5, lambda: 3, "m") == 3
        with pytest.raises(ZeroDivisionError):
            within(5, lambda: 1 // 0, "m")
        assert signal.getsignal(signal.SIGALRM) is mine
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert (left > 0) == (ticking > 0)
        assert left <= ticking
    finally:
        signal.signal(signal.SIGALRM, before)


def test_the_nearest_of_nested_deadlines_wins():
    def inner():
        try:
            within(30, lambda: time.sleep(60), "inner")
        except TargetTimeout:
            return "inner"
        return "none"

    with pytest.raises(TargetTimeout, match="outer"):
        within(0.05, inner, "outer")
    assert within(30, lambda: _caught(lambda: within(0.05, lambda: time.sleep(60), "inner")), "outer") == "inner"


def _caught(work):
    try:
        work()
    except TargetTimeout as error:
        return error.where


def test_an_outer_deadline_goes_on_after_an_inner_one():
    def work():
        within(0.05, lambda: None, "inner")
        time.sleep(60)

    with pytest.raises(TargetTimeout, match="outer"):
        within(0.2, work, "outer")


def test_other_threads_wait_no_longer_either():
    found = []

    def run():
        release = threading.Event()
        try:
            within(0.05, release.wait, "thread")
        except TargetTimeout as error:
            found.append(error.where)
        finally:
            release.set()
        found.append(within(5, lambda: 7, "thread"))
        try:
            within(5, lambda: 1 // 0, "thread")
        except ZeroDivisionError:
            found.append("raised")

    worker = threading.Thread(target=run)
    worker.start()
    worker.join()
    assert found == ["thread", 7, "raised"]
