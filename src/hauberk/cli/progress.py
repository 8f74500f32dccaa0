"""Progress on standard error: a live bar with time left on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from hauberk.core.evidence import Finding
from hauberk.core.progress import Silent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from hauberk.core.evidence import Evidence
    from hauberk.core.protocols import Progress, Step

LINE_EVERY_SECONDS = 10.0


class _Bar:
    """One live bar."""

    def __init__(self, live: RichProgress, name: str, total: int | None) -> None:
        self._live = live
        self._task = live.add_task(name, total=total, note="")

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Move the bar and show the note."""
        self._live.update(self._task, advance=amount, **({"note": note} if note else {}))  # type: ignore[arg-type]


class Live:
    """Bars on a terminal, gone when their work is done but for one line that says what came out."""

    def __init__(self, live: RichProgress) -> None:
        self._live = live

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, name: str, total: int | None, unit: str) -> Iterator[Step]:  # noqa: ARG002
        """Show a bar for the step."""
        bar = _Bar(self._live, name, total)
        yield bar
        task = next(task for task in self._live.tasks if task.id == bar._task)
        self._live.update(bar._task, total=task.completed or 1, completed=task.completed or 1)


class _Lines:
    """Plain lines: at the start, every few seconds, and at the end."""

    def __init__(self, name: str, total: int | None, unit: str, clock: Callable[[], float]) -> None:
        self._name, self._total, self._unit, self._clock = name, total, unit, clock
        self._start = self._last = clock()
        self._done, self._note = 0, ""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count, and say so now and then."""
        self._done += amount
        self._note = note or self._note
        now = self._clock()
        if now - self._last >= LINE_EVERY_SECONDS:
            self._last = now
            self.say(self._left(now))

    def _left(self, now: float) -> str:
        if not self._total or not self._done:
            return ""
        seconds = (now - self._start) / self._done * max(self._total - self._done, 0)
        return f", about {seconds:.0f} s left"

    def say(self, more: str = "") -> None:
        """Write one line."""
        total = f"/{self._total}" if self._total else ""
        note = f" ({self._note})" if self._note else ""
        print(f"{self._name}: {self._done}{total} {self._unit}{note}{more}", file=sys.stderr, flush=True)  # noqa: T201


class Plain:
    """Progress as plain lines, for logs and pipes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    @contextmanager
    def step(self, name: str, total: int | None, unit: str) -> Iterator[Step]:
        """Write lines for the step."""
        lines = _Lines(name, total, unit, self._clock)
        yield lines
        lines.say()


def telling(bars: Progress) -> Callable[[Evidence], None] | None:
    """Return what prints a line above a live bar for each finding that matters, as it is found; None without a bar."""
    if not isinstance(bars, Live):
        return None

    def tell(entry: Evidence) -> None:
        if isinstance(entry, Finding) and not entry.ignored and entry.severity in ("critical", "high", "medium"):
            bars.say(f"{entry.severity:<8} {entry.location}  {entry.message}")

    return tell


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Choose how to show progress on standard error."""
    if quiet:
        yield Silent()
    elif not sys.stderr.isatty():
        yield Plain()
    else:
        with _live() as live:
            yield Live(live)


def _live() -> AbstractContextManager[RichProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    return Progress(
        SpinnerColumn(finished_text="[green]✓[/green]"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=False,
    )
