"""Two reports compared, for `report --diff`."""

from __future__ import annotations

from rich.console import Console

from hauberk.assurance import difference_pages
from hauberk.assurance.difference import Difference, compare
from hauberk.core.report import Report


def difference(before: Report, after: Report) -> Difference:
    """Compare two reports: findings new and fixed, figures better and worse where their intervals say so."""
    return compare(before, after)


def compared(found: Difference, form: str) -> bytes:
    """Render a difference as "terminal", "markdown", "html" or "json"."""
    return difference_pages.render(found, form)


def show_on_terminal(shown: Difference) -> None:
    """Print a difference to standard output, as wide and as coloured as the terminal is."""
    difference_pages.show(shown, Console())
