"""7z archives written here byte by byte: every packing of the standard library, links, lies, cuts and encryption."""

from __future__ import annotations

import bz2
import lzma
import struct
import time
import zlib

import pytest

from hauberk.core.limits import Limits

CALL, ODD = "model.pickle_call", "model.archive_disagreement"
_LZMA2 = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
_LZMA1 = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20, "lc": 3, "lp": 0, "pb": 2}]


def raw(data: bytes, filters: list[dict[str, int]]) -> bytes:
    return lzma.compress(data, lzma.FORMAT_RAW, filters=filters)


def deflated(data: bytes) -> bytes:
    worker = zlib.compressobj(9, zlib.DEFLATED, -15)
    return worker.compress(data) + worker.flush()


PACKINGS = {
    "copy": (b"\x01\x00", lambda data: data),
    "lzma2": (b"\x21\x21\x01\x10", lambda data: raw(data, _LZMA2)),
    "lzma": (b"\x23\x03\x01\x01\x05\x5d\x00\x00\x10\x00", lambda data: raw(data, _LZMA1)),
    "deflate": (b"\x03\x04\x01\x08", deflated),
    "bzip2": (b"\x03\x04\x02\x02", bz2.compress),
}


def number(value: int) -> bytes:
    """A number in 7z's way, always long."""
    return b"\xff" + struct.pack("<Q", value)


def archive(
    members: dict[str, bytes], coder: bytes, packed: bytes, *, encode: bool = False, links: tuple[str, ...] = ()
) -> bytes:
    """One solid folder of one coder. encode: pack the header too."""
    whole = b"".join(members.values())
    names = b"".join(name.encode("utf-16-le") + b"\0\0" for name in members)
    sizes = [len(data) for data in members.values()]
    streams = (
        b"\x06" + number(0) + number(1) + b"\x09" + number(len(packed)) + b"\x00"
        + b"\x07\x0b" + number(1) + b"\x00" + number(1) + coder + b"\x0c" + number(len(whole)) + b"\x00"
        + b"\x08\x0d" + number(len(members)) + b"\x09" + b"".join(map(number, sizes[:-1])) + b"\x00"
        + b"\x00"
    )  # fmt: skip
    modes = b"".join(struct.pack("<L", 0x8000 | (0o120777 if name in links else 0o100644) << 16) for name in members)
    files = (
        b"\x05" + number(len(members)) + b"\x11" + number(len(names) + 1) + b"\x00" + names
        + b"\x15" + number(len(modes) + 2) + b"\x01\x00" + modes + b"\x00"
    )  # fmt: skip
    header = b"\x01\x04" + streams + files + b"\x00"
    body = packed
    if encode:
        squeezed = raw(header, _LZMA2)
        header, body = (
            b"\x17\x06" + number(len(body)) + number(1) + b"\x09" + number(len(squeezed)) + b"\x00"
            + b"\x07\x0b" + number(1) + b"\x00" + number(1) + b"\x21\x21\x01\x10" + b"\x0c" + number(len(header))
            + b"\x00\x00"
        ), body + squeezed  # fmt: skip
    start = struct.pack("<QQL", len(body), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<L", zlib.crc32(start)) + start + body + header


@pytest.fixture
def evil(op) -> bytes:
    return b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."


@pytest.mark.parametrize("encode", [False, True])
@pytest.mark.parametrize("name", PACKINGS)
def test_members_of_every_packing_are_read(scan_bytes, evil: bytes, name: str, encode: bool) -> None:
    coder, pack = PACKINGS[name]
    members = {"a.txt": b"hello", "archive/data.pkl": evil, "b.txt": b"x" * 3000}
    result = scan_bytes("m.7z", archive(members, coder, pack(b"".join(members.values())), encode=encode))
    assert [finding.location.part for finding in result.of(CALL)] == ["archive/data.pkl"]
    assert not result.of(ODD)
    assert not result.skipped


def test_nullifai_a_model_file_that_is_a_7z(scan_bytes, evil: bytes) -> None:
    packed = archive({"data.pkl": evil[:-1]}, b"\x01\x00", evil[:-1])
    result = scan_bytes("pytorch_model.bin", packed)
    assert result.severities(CALL) == {"critical"}
    assert result.of("model.malformed_pickle")


def test_a_plain_archive_is_quiet(scan_bytes) -> None:
    assert scan_bytes("a.7z", archive({"a.txt": b"hello", "b.txt": b"you"}, b"\x01\x00", b"helloyou")).loud == []


@pytest.mark.parametrize(
    ("coder", "word"),
    [(b"\x24\x06\xf1\x07\x01\x02\x13\x00", "encrypted"), (b"\x23\x03\x04\x01\x05" + b"\x06" * 5, "030401")],
)
def test_what_cannot_be_unpacked_is_named(scan_bytes, coder: bytes, word: str) -> None:
    result = scan_bytes("a.7z", archive({"m.pkl": b"0123456789"}, coder, b"0123456789"))
    assert any(word in item.reason and item.kind == "limit" for item in result.skipped)


def test_names_and_links_that_lead_out(scan_bytes) -> None:
    rule = "model.archive_escape"
    assert scan_bytes("a.7z", archive({"../x": b"y"}, b"\x01\x00", b"y")).severities(rule) == {"high"}
    members = {"out": b"/etc", "out/passwd": b"y"}
    result = scan_bytes("a.7z", archive(members, b"\x01\x00", b"/etcy", links=("out",)))
    assert len(result.of(rule)) == 2
    assert not scan_bytes("a.7z", archive({"a": b"b.so.1"}, b"\x01\x00", b"b.so.1", links=("a",))).of(rule)


def test_cut_or_changed_anywhere_is_never_silent_and_ends(scan_bytes, evil: bytes) -> None:
    packed = archive(
        {"data.pkl": evil, "b": b"x" * 50}, b"\x21\x21\x01\x10", raw(evil + b"x" * 50, _LZMA2), encode=True
    )
    for size in range(6, len(packed), 5):
        result = scan_bytes("a.7z", packed[:size])
        assert result.of(ODD) or result.skipped, size
    begun = time.monotonic()
    for place in range(12, len(packed)):
        broken = bytearray(packed)
        broken[place] ^= 0xFF
        scan_bytes("a.7z", bytes(broken))
    assert time.monotonic() - begun < 60


def test_huge_counts_and_sizes_are_refused(scan_bytes) -> None:
    header = b"\x01\x05" + number(1 << 60) + b"\x00"
    start = struct.pack("<QQL", 0, len(header), zlib.crc32(header))
    data = b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<L", zlib.crc32(start)) + start + header
    assert scan_bytes("a.7z", data).of(ODD)
    start = struct.pack("<QQL", 1 << 62, 1 << 62, 0)
    data = b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<L", zlib.crc32(start)) + start
    assert scan_bytes("a.7z", data).of(ODD)


def test_bomb_is_named_and_its_beginning_read(scan_bytes, evil: bytes) -> None:
    data = evil[:-1] + b"0" + b"N0" * 100 + b"\x00" * (4 << 20)
    result = scan_bytes(
        "a.7z", archive({"m.pkl": data}, b"\x21\x21\x01\x10", raw(data, _LZMA2)), Limits(member_bytes=1 << 20)
    )
    assert result.severities(CALL) == {"critical"}
    assert any("unpacks" in item.reason for item in result.skipped)
