"""Marks and bars for a terminal: Unicode and colour where it has them, plain ASCII words where it has not."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hauberk.assurance.escaping import clipped, plain
from hauberk.assurance.reading import Bar
from hauberk.core.evidence import Severity
from hauberk.core.policy import Status

WIDTH = 100
_ASCII = str.maketrans(
    {
        "≥": ">=",
        "≤": "<=",
        "–": "-",
        "—": "-",
        "…": "...",
        "×": "x",
        "→": "->",
        "−": "-",
        "·": "-",
        "’": "'",
        "∞": "inf",
    }
)
COLOURS: dict[Status, str] = {
    "met": "bold green",
    "not met": "bold red",
    "undecided": "bold yellow",
    "not measured": "bold magenta",
}
SEVERITY_COLOURS: dict[Severity, str] = {
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "cyan",
    "info": "bright_black",
}
_SIGNS: dict[Status, tuple[str, str]] = {
    "met": ("✔", "ok"),
    "not met": ("✘", "X"),
    "undecided": ("?", "?"),
    "not measured": ("–", "-"),
}


@dataclass(frozen=True, slots=True)
class Marks:
    """What a terminal can show. unicode: false for pipes, files and terminals of another encoding."""

    unicode: bool

    def text(self, words: str, style: str = "", limit: int = 600) -> Text:
        """Put words, also those of others, on the terminal: never an escape sequence, never markup."""
        shown = clipped(plain(words), limit)
        return Text(shown if self.unicode else shown.translate(_ASCII), style=style)

    def status(self, status: Status, *, upper: bool = False) -> Text:
        """Show a status by sign, word and colour."""
        sign = _SIGNS[status][0 if self.unicode else 1]
        return Text(f"{sign} {status.upper() if upper else status}", style=COLOURS[status])

    def bar(self, bar: Bar | None, width: int = 16) -> Text:
        """Draw an interval: the track, the interval on it, the value in it, and the bound the policy asks."""
        if bar is None:
            return Text("")
        track, span, dot, bound = ("·", "━", "●", "┃") if self.unicode else (".", "=", "o", "|")
        cells = [track] * width

        def place(share: float) -> int:
            return min(width - 1, int(share * width))

        for cell in range(place(bar.low), place(bar.high) + 1):
            cells[cell] = span
        for mark in bar.bounds:
            cells[place(mark)] = bound
        cells[place(bar.value)] = dot
        text = Text("".join(cells), style="bright_black")
        text.stylize("blue", place(bar.low), place(bar.high) + 1)
        for mark in bar.bounds:
            text.stylize("bold red", place(mark), place(mark) + 1)
        text.stylize("bold", place(bar.value), place(bar.value) + 1)
        return text


def marks_of(console: Console) -> Marks:
    """Tell what a console can show: Unicode marks only on a terminal that speaks UTF."""
    return Marks(unicode=console.is_terminal and console.encoding.lower().startswith("utf"))


def heading(console: Console, words: str) -> None:
    """Print a section's heading with air above it."""
    console.print()
    console.print(Text(words, style="bold"))


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Make a table without lines; its header is dim."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=False)
    for column in columns:
        fixed = column in right or column in ("", "status")
        made.add_column(column, justify="right" if column in right else "left", no_wrap=fixed, overflow="fold")
    return made


def printed(show: Callable[[Console], None], width: int = WIDTH) -> bytes:
    """Print to plain UTF-8 text: no colour, no escape sequence, no Unicode marks of ours."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=False,
        no_color=True,
        color_system=None,
        legacy_windows=False,
        _environ={},
    )
    show(console)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    return ("\n".join(lines).strip("\n") + "\n").encode("utf-8", "backslashreplace")
