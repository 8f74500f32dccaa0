"""Tars, compressed streams, and containers that are named and not read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib

import pytest

from hauberk.core.limits import Limits

CALL = "model.pickle_call"


@pytest.fixture
def evil(op) -> bytes:
    return b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."


def tarred(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data) if kind == tarfile.REGTYPE else 0, kind
            info.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tar_members_are_read(scan_bytes, evil: bytes, form: int) -> None:
    result = scan_bytes("old.pt", tarred(("sys_info", b"\x80\x02}."), ("pickle", evil), form=form))
    assert [finding.location.part for finding in result.of(CALL)] == ["pickle"]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_tar_long_names(scan_bytes, evil: bytes, form: int) -> None:
    name = "d" * 90 + "/" + "e" * 90 + "/m.pkl"
    assert scan_bytes("a.tar", tarred((name, evil), form=form)).of(CALL)[0].location.part == name


def test_tar_first_of_two_members_of_a_name(scan_bytes, evil: bytes) -> None:
    result = scan_bytes("a.nemo", tarred(("m.pkl", evil), ("m.pkl", b"\x80\x02N.")))
    assert result.severities(CALL) == {"critical"}
    assert result.of("model.archive_disagreement")


def test_tar_paths_and_links_that_lead_out(scan_bytes) -> None:
    assert scan_bytes("a.tar", tarred(("../../x", b"y"))).of("model.archive_escape")
    assert scan_bytes("a.tar", tarred(("link", b""), kind=tarfile.SYMTYPE)).of("model.archive_escape")
    assert scan_bytes("a.tar", tarred(("pipe", b""), kind=tarfile.FIFOTYPE)).of("model.archive_escape")


def test_plain_tar_is_quiet(scan_bytes) -> None:
    assert scan_bytes("a.tar", tarred(("a/b.txt", b"hello"))).loud == []


def test_tar_that_breaks_off(scan_bytes) -> None:
    assert scan_bytes("a.tar", tarred(("a.txt", b"x" * 5000))[:2000]).of("model.archive_disagreement")


PACKERS = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("packer", PACKERS)
def test_compressed_streams_are_unpacked(scan_bytes, evil: bytes, packer: str) -> None:
    result = scan_bytes("m.joblib", PACKERS[packer](evil))
    assert result.severities(CALL) == {"critical"}
    assert not result.of("model.malformed_pickle")


@pytest.mark.parametrize("packer", ["gzip", "bz2", "xz"])
def test_streams_in_a_row_are_all_unpacked(scan_bytes, evil: bytes, packer: str) -> None:
    pack = PACKERS[packer]
    assert scan_bytes("m.gz", pack(evil[:10]) + pack(evil[10:])).severities(CALL) == {"critical"}


@pytest.mark.parametrize("packer", PACKERS)
def test_stream_that_breaks_off_is_read_so_far(scan_bytes, evil: bytes, packer: str) -> None:
    import random

    noise = random.Random(0).randbytes(1_500_000)
    result = scan_bytes("m.joblib", PACKERS[packer](evil + noise)[:-20_000])
    assert result.severities(CALL) == {"critical"}
    assert result.of("model.archive_disagreement")


@pytest.mark.parametrize("packer", PACKERS)
def test_compression_bomb_is_bounded(scan_bytes, packer: str) -> None:
    result = scan_bytes("m.gz", PACKERS[packer](b"\x00" * (8 << 20)), Limits(member_bytes=1 << 20))
    assert any("unpacks to more" in item.reason for item in result.skipped)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("m.rar", b"Rar!\x1a\x07"),
        ("m.bin", b"MSCF\x00\x00"),
    ],
)
def test_what_is_not_read_is_named(scan_bytes, name: str, head: bytes) -> None:
    assert [item.kind for item in scan_bytes(name, head + b"\x00" * 100).skipped] == ["limit"]
