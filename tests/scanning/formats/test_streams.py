"""LZ4 and Zstandard: frames of the real tools, frames of every kind made here, bombs, lies and cuts."""

from __future__ import annotations

import base64
import struct
import time
import zlib

import pytest

from hauberk.core.limits import Limits
from hauberk.scanning.lz4_frames import Lz4, unpack_block
from hauberk.scanning.unpacking import Decompressor
from hauberk.scanning.zstd_frames import Zstandard

CALL = "model.pickle_call"
TEXT = "".join(f"line {i * i % 97} of {chr(97 + i % 26) * (i % 5)}\n" for i in range(60)).encode()
FROM_ZSTD = base64.b64decode(
    "KLUv/WQ/Am0IAEIKIBhwbwMg1V+f/Ez10/L/P4qIMjMjcP1bTwTA8c34omhC4b9huFhFMZsmZ5JjDrl3WrOt5//yTVFUE2d96Y5d"
    "w+iiNbbRH7b3BB/acVvqqqrqpqif2FcjgUEQxPw87px9ZXbOuWxZmNLLiDYpZf9xOIN9iY8xOgj7KRAUTCAExJRKa6gwYK9n8EbE"
    "VB0wkiiTps1ueblNwFIRTKm46G7yA1AWISVNvM2WUltC41EI6Ky/INpyuMyHXg0IxxOKM/nWrdxoQbajSvIR4MxtSpBrA77XgSwG"
    "e+JCID4BPUMAiD2hRv1A2j/aAAhrQo3gHik1QwDfIsdgYXiA+dkGmBkCQFil5gM29VvF2ZwUwxNSJA=="
)
"""TEXT as the reference compressor packs it at level 19: Huffman literals, described tables, a checksum."""


def frame_lz4(*blocks: bytes, flags: int = 0x40, plain: bool = True) -> bytes:
    """One LZ4 frame of 64 KiB blocks; the header's checksum byte is left wrong, as no loader here asks for it."""
    body = b"".join(struct.pack("<I", len(one) | (plain << 31)) + one for one in blocks)
    return b"\x04\x22\x4d\x18" + bytes([flags, 0x40, 0]) + body + bytes(4)


def frame_zstd(*blocks: tuple[int, int, bytes]) -> bytes:
    """One Zstandard frame with a window of 128 KiB; blocks: kind, size, bytes."""
    body = b""
    for index, (kind, size, data) in enumerate(blocks):
        body += ((size << 3) | (kind << 1) | (index == len(blocks) - 1)).to_bytes(3, "little") + data
    return b"\x28\xb5\x2f\xfd\x00\x38" + body


def whole(worker: Decompressor, data: bytes, step: int = 7, most: int = 100) -> bytes:
    out, place = b"", 0
    while not worker.eof:
        chunk = data[place : place + step] if worker.needs_input else b""
        place += len(chunk)
        piece = worker.decompress(chunk, most)
        out += piece
        if not chunk and not piece and worker.needs_input:
            raise EOFError
    return out


@pytest.fixture
def evil(op) -> bytes:
    return b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_frame_of_the_real_compressor(step: int) -> None:
    assert whole(Zstandard(), FROM_ZSTD, step) == TEXT


def test_raw_and_run_blocks() -> None:
    data = frame_zstd((0, 3, b"abc"), (1, 1000, b"x"), (0, 0, b""))
    assert whole(Zstandard(), data) == b"abc" + b"x" * 1000


def test_lz4_matches_may_overlap_what_they_write() -> None:
    out = bytearray(b"ab")
    unpack_block(b"\x1fc\x01\x00\xff\x01\x00", out, 1000)
    assert out == b"abc" + b"c" * (15 + 255 + 1 + 4)


@pytest.mark.parametrize("kind", ["lz4", "zstd"])
def test_a_pickle_inside_is_found(scan_bytes, evil: bytes, kind: str) -> None:
    packed = (
        frame_lz4(evil[:5], evil[5:]) if kind == "lz4" else frame_zstd((0, 5, evil[:5]), (0, len(evil) - 5, evil[5:]))
    )
    result = scan_bytes("m.joblib", packed)
    assert result.severities(CALL) == {"critical"}
    assert not result.of("model.archive_disagreement")


def test_frames_in_a_row_and_skippable_ones(scan_bytes, evil: bytes) -> None:
    skipped = struct.pack("<II", 0x184D2A53, 5) + b"hello"
    packed = skipped + frame_lz4(evil[:9]) + skipped + frame_lz4(evil[9:])
    assert scan_bytes("m.lz4", packed).severities(CALL) == {"critical"}


@pytest.mark.parametrize(
    "packed", [frame_lz4(b"a" * 50, b"b" * 50), frame_zstd((0, 50, b"a" * 50), (1, 9, b"c")), FROM_ZSTD]
)
def test_cut_anywhere_is_said(scan_bytes, packed: bytes) -> None:
    for size in range(8, len(packed), 11):
        result = scan_bytes("m.zst", packed[:size])
        assert result.of("model.archive_disagreement") or result.skipped, size


@pytest.mark.parametrize("packed", [frame_lz4(b"a" * 50), FROM_ZSTD])
def test_any_changed_byte_ends(packed: bytes) -> None:
    for place in range(4, len(packed)):
        for change in (1, 0x80, 0xFF):
            broken = bytearray(packed)
            broken[place] ^= change
            worker = Lz4() if packed[0] == 4 else Zstandard()
            try:
                out = whole(worker, bytes(broken), 64, 1 << 20)
            except (ValueError, EOFError):
                continue
            assert len(out) <= 1 << 20


def test_bombs_are_bounded_and_said(scan_bytes) -> None:
    run = frame_zstd(*[(1, 1 << 17, b"\x00")] * 4000)
    begun = time.monotonic()
    result = scan_bytes("m.zst", run, Limits(member_bytes=64 << 20))
    assert time.monotonic() - begun < 10
    assert any("unpacks to more" in item.reason for item in result.skipped)


def test_a_frame_that_wants_memory_is_refused(scan_bytes) -> None:
    huge = b"\x28\xb5\x2f\xfd\x00\xff" + bytes([1, 0, 0])
    assert scan_bytes("m.zst", huge).of("model.archive_disagreement")


def test_dictionaries_are_said() -> None:
    with pytest.raises(ValueError, match="dictionary"):
        whole(Lz4(), frame_lz4(b"a", flags=0x41))
    with pytest.raises(ValueError, match="dictionary"):
        whole(Zstandard(), b"\x28\xb5\x2f\xfd\x01\x38\x07" + bytes([1, 0, 0]))


def test_zstandard_inside_a_zip(scan_bytes, evil: bytes) -> None:
    packed = frame_zstd((0, len(evil), evil))
    name = b"archive/data.pkl"
    fixed = struct.pack("<HHHHLLLHH", 0, 93, 0, 0, 0, len(packed), len(evil), len(name), 0)
    local = b"PK\x03\x04" + struct.pack("<H", 63) + fixed + name + packed
    central = b"PK\x01\x02" + struct.pack("<HH", 63, 63) + fixed + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), len(local), 0)
    assert scan_bytes("m.pt", local + central + end).severities(CALL) == {"critical"}


@pytest.mark.parametrize("wide", [False, True])
def test_the_old_frame_of_joblib(scan_bytes, evil: bytes, wide: bool) -> None:
    head = b"ZF" + hex(len(evil)).encode().ljust(19) + b" " * wide
    assert scan_bytes("m.joblib", head + zlib.compress(evil)).severities(CALL) == {"critical"}
    assert scan_bytes("m.gz", b"ZF" + b"2".ljust(19) + b" " * wide + zlib.compress(b"N.")).loud == []
    assert scan_bytes("ZF.txt", b"ZFS is a file system, 0x10 of them").loud == []
