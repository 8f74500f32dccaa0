"""What the scanning tests share: a project of one file, scanned whole, and a writer of pickle opcodes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from hauberk.core.evidence import Finding, Measurement, Skipped
from hauberk.core.limits import DEFAULT_LIMITS, Limits
from hauberk.scanning.engine import scan


class Scanned:
    """The entries of a scan, by kind."""

    def __init__(self, entries: list[Finding | Skipped | Measurement]) -> None:
        self.findings = [entry for entry in entries if isinstance(entry, Finding)]
        self.skipped = [entry for entry in entries if isinstance(entry, Skipped)]
        self.measurements = {entry.name: entry for entry in entries if isinstance(entry, Measurement)}

    def of(self, rule: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.rule == rule]

    def severities(self, rule: str) -> set[str]:
        return {finding.severity for finding in self.of(rule)}

    @property
    def loud(self) -> list[str]:
        """Findings of medium severity or above, and what was not looked at."""
        loud = [
            f"{f.severity} {f.rule} {f.location} {f.message}"
            for f in self.findings
            if f.severity not in ("info", "low")
        ]
        return loud + [f"skipped {s.subject}: {s.reason}" for s in self.skipped]


ScanBytes = Callable[..., Scanned]


@pytest.fixture
def scan_bytes(tmp_path: Path) -> ScanBytes:
    """Write bytes under a name into an empty project and scan it."""

    def run(name: str, data: bytes, limits: Limits = DEFAULT_LIMITS) -> Scanned:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        (folder / name).write_bytes(data)
        return Scanned(list(scan(folder, limits=limits)))

    return run


@pytest.fixture
def scan_folder() -> Callable[[Path], Scanned]:
    """Scan a folder that the test has filled."""
    return lambda folder: Scanned(list(scan(folder)))


class Opcodes:
    """Writes pickle opcodes by hand; nothing it writes is ever loaded."""

    STOP = b"."

    @staticmethod
    def text(value: str) -> bytes:
        raw = value.encode()
        return b"\x8c" + bytes([len(raw)]) + raw

    @staticmethod
    def data(value: bytes) -> bytes:
        return b"B" + struct.pack("<I", len(value)) + value

    @staticmethod
    def named(module: str, name: str) -> bytes:
        return f"c{module}\n{name}\n".encode()

    @classmethod
    def stacked(cls, module: str, name: str) -> bytes:
        return cls.text(module) + cls.text(name) + b"\x93"

    @classmethod
    def call(cls, module: str, name: str, *arguments: bytes) -> bytes:
        """GLOBAL, MARK, arguments, TUPLE, REDUCE."""
        return cls.named(module, name) + b"(" + b"".join(arguments) + b"tR"


@pytest.fixture
def op() -> type[Opcodes]:
    return Opcodes
