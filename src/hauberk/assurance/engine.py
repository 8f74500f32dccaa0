"""Render reports through the output plug-ins, write them whole or not at all, and read a report back."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Protocol

import msgspec

from hauberk.core import plugins
from hauberk.core.card import Card
from hauberk.core.encoding import decode
from hauberk.core.errors import UsageError
from hauberk.core.report import SCHEMA_VERSION, Report


class Output(Protocol):
    """A report format: one file under outputs/."""

    card: ClassVar[Card]

    def render(self, report: Report) -> bytes:
        """Render a whole report."""
        ...


def output(name: str) -> Output:
    """Build an output by its name; raises UnknownName with the nearest."""
    made: Output = plugins.build("outputs", name)  # type: ignore[assignment]
    return made


def render(report: Report, name: str) -> bytes:
    """Render a report in one format."""
    return output(name).render(report)


def write(report: Report, names: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """Write a report in several formats as report.<suffix> into a folder, made where it is not there.

    Everything is rendered before anything is written, and each file replaces an older one in one step. Raises
    UsageError where the folder cannot be written.
    """
    made = {}
    for name in names:
        maker = output(name)
        made[folder / f"report{maker.card.suffixes[0]}"] = maker.render(report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in made.items():
            _replace(path, data)
    except OSError as error:
        raise UsageError(
            f"the report cannot be written: {error.strerror or error}",
            where=str(folder),
            fix="choose another folder with --output or [report] folder; the evidence is kept in the store",
        ) from error
    return tuple(made)


def _replace(path: Path, data: bytes) -> None:
    """Write beside the file, then rename: a reader sees the old one or the new one, never half of it."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # the umask decides who may read
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def report_from_json(data: bytes) -> Report:
    """Read a report.json back, strictly; raises UsageError for anything but a report of this schema version."""
    try:
        version = msgspec.json.decode(data, type=_Version).schema_version
        if version != SCHEMA_VERSION:
            raise UsageError(
                f"the report has schema version {version}, this hauberk reads {SCHEMA_VERSION}",
                fix="read it with the version of hauberk that wrote it",
            )
        return decode(data, Report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"this is no report.json: {error}", fix="write it with `hauberk check`") from error


class _Version(msgspec.Struct):
    schema_version: int
