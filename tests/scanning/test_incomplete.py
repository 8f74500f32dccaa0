"""What was not read whole is said, and never passes: kinds of breaks, each beside a whole file."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import pickle
import zipfile

import numpy as np
import pytest
from tests.scanning.conftest import ScanBytes, Scanned

from hauberk.core.policy import Policy, judge


def passes(scanned: Scanned) -> bool:
    verdict = judge([*scanned.findings, *scanned.skipped], Policy(), dt.date(2026, 1, 1))
    return verdict.exit_status == 0


PLAIN = pickle.dumps({"a": [1, 2, 3], "b": "text" * 40})
GZIPPED = gzip.compress(PLAIN, mtime=0)


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("w.pkl"), PLAIN)
    return out.getvalue()


def array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros(64))
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "whole", "broken"),
    [
        ("m.pkl", PLAIN, b"\x00" * 64 + PLAIN),
        ("cut.pkl", PLAIN, PLAIN[:-3]),
        ("tail.pkl", PLAIN, PLAIN + b"\xff" * 40),
        ("m.pkl.gz", GZIPPED, GZIPPED[:60] + b"\xff" * 20),
        ("m.zip", zipped(), zipped()[:-30]),
        ("w.npy", array(), array()[:-100]),
        ("config.json", b'{"model_type": "bert"}', b'{"model_type": "bert"'),
        ("model.gguf", b"", b"GGUF\x03\x00\x00\x00" + b"\xff" * 16),
    ],
)
def test_a_broken_file_never_passes_and_a_whole_one_does(
    scan_bytes: ScanBytes, name: str, whole: bytes, broken: bytes
) -> None:
    assert not passes(scan_bytes(name, broken))
    assert not whole or passes(scan_bytes(name, whole))


def test_the_skip_names_the_first_fault(scan_bytes: ScanBytes) -> None:
    (skipped,) = scan_bytes("cut.pkl", PLAIN[:-3]).skipped
    assert skipped.kind == "error"
    assert skipped.reason.startswith("not known to be read whole: ")
    assert "fetch or write the file anew" in skipped.fix


def test_a_pointer_of_git_lfs_was_read_whole(scan_bytes: ScanBytes) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 123\n"
    assert scan_bytes("model.pt", pointer).skipped == []


def test_a_broken_line_of_requirements_loses_only_that_line(scan_bytes: ScanBytes) -> None:
    assert scan_bytes("requirements.txt", b"numpy==1.26.4\n=====\n").skipped == []


# --- what would exhaust a loader


def laughs(levels: int) -> bytes:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


def test_aliases_that_multiply_are_found_and_repeated_ones_are_not(scan_bytes: ScanBytes) -> None:
    (found,) = scan_bytes("settings.yaml", laughs(12)).of("model.malformed_settings")
    assert found.severity == "high"
    shared = b"base: &base {lr: 0.1, steps: [1, 2]}\n" + b"".join(b"run%d: *base\n" % n for n in range(300))
    assert scan_bytes("settings.yaml", shared).findings == []
    assert scan_bytes("settings.yaml", laughs(3)).findings == []
