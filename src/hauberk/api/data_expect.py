"""Propose what to expect of a data set from what it holds: a baseline in hauberk.toml's own words, to be read first."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hauberk.core.errors import MissingExtra
from hauberk.core.progress import Silent
from hauberk.core.project import parse
from hauberk.core.protocols import Progress

if TYPE_CHECKING:
    from hauberk.scanning.tables.facts import ColumnFacts, TableFacts

_SILENT = Silent()
_CATEGORIES = 20
"""Different values up to which a column of text is a set of categories."""
_SHARE = 0.05
"""Of the rows: a column of text with relatively more different values is no set of categories."""
_COLUMNS = 200


def expect(
    source: str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] = ".",
    label: str = "",
    output: str | os.PathLike[str] | None = None,
    progress: Progress = _SILENT,
) -> str:
    """Return [data.columns] tables for hauberk.toml that the data meets today; written to `output` where it is new.

    Ranges are widened to round numbers. Raises UsageError.

    Example:
        >>> print(hauberk.api.data_expect.expect("train.csv"))  # doctest: +SKIP
    """
    facts = surveyed(Path(folder), os.fspath(source), label, progress)
    text = "".join(f"{line}\n" for line in proposed(facts))
    parse(f'[data]\nsource = "x"\n{text}')  # what is proposed can be read back, whatever the columns are called
    if output is not None:
        from hauberk.datasets.whole_file import whole_files

        with whole_files(Path(output)) as (file,):
            file.write(text.encode())
    return text


def surveyed(folder: Path, source: str, label: str, progress: Progress = _SILENT) -> TableFacts:
    """Read a data set once for its columns alone; raises UsageError."""
    try:
        from hauberk.datasets.streaming import open_stream
        from hauberk.scanning.tables.engine import Plan, examine
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "data") from error
    plan = Plan(label=label, sample=0, texts=False, root=False)
    return examine(open_stream(folder, source, key="SOURCE"), plan, progress=progress).facts


def proposed(facts: TableFacts) -> Iterator[str]:
    """Yield the lines of the proposal."""
    yield f"# Proposed from {facts.rows:,} rows of {Path(facts.path).name}: what holds today. Mend what is only chance."
    pictures = facts.kind in ("images", "bundled", "arrays") and facts.column("sharpness") is not None
    named = [column for column in facts.columns if column.name != facts.label and column.present and not pictures]
    for column in named[:_COLUMNS]:
        rows = list(_keys(column))
        if rows:
            yield ""
            yield f"[data.columns.{_key(column.name)}]"
            yield from rows
    if len(named) > _COLUMNS:
        yield f"# {len(named) - _COLUMNS} more columns are not listed"


def _keys(column: ColumnFacts) -> Iterator[str]:
    missing = column.missing.count / column.rows if column.rows else 0.0
    if column.kind == "number" and not column.words:
        yield from _numbers(column)
    elif column.kind == "text" and column.common and len(column.common) <= max(_CATEGORIES, 1):
        few = column.distinct <= max(2, _SHARE * column.rows)
        if few:
            yield f"categories = {_text([value for value, _ in sorted(column.common)])}"
    elif column.kind == "text" and column.longest:
        yield f"longest = {_up(float(column.longest)):.0f}"
    if column.rows:
        yield f"missing = {0 if not missing else min(1.0, math.ceil(missing * 120) / 100):g}" + (
            f"  # {missing:.1%} are today" if missing else ""
        )
    if (
        column.exact
        and column.present > 50
        and column.distinct == column.present
        and (column.whole or column.kind == "text")
    ):
        yield "unique = true"


def _numbers(column: ColumnFacts) -> Iterator[str]:
    if column.low is None or column.high is None:
        return
    if column.whole and (column.low, column.high) in ((0, 1), (0, 0), (1, 1)):
        yield 'kind = "boolean"'
        return
    if column.whole:
        yield 'kind = "integer"'
    if column.rising and column.whole and column.distinct >= 0.9 * column.rows:
        yield 'ordered = "up"'
        return
    yield f"low = {_number(_down(column.low))}  # the least today is {_number(column.low)}"
    yield f"high = {_number(_up(column.high))}  # the most today is {_number(column.high)}"


def _up(value: float) -> float:
    """Round away from what lies below, to two digits: 18,424 becomes 19,000; 0 and 1 stay."""
    if value in (0.0, 1.0) or not math.isfinite(value):
        return value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{math.ceil(round(value / unit, 9)) * unit:.12g}")


def _down(value: float) -> float:
    return -_up(-value)


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _key(name: str) -> str:
    bare = all(character.isascii() and (character.isalnum() or character in "-_") for character in name)
    return name if bare and name else _text(name)
