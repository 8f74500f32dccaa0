"""GGUF files written by hand: what they promise held against their bytes."""

from __future__ import annotations

import struct
import time

import pytest

RULE = "model.gguf_structure"
TEMPLATE = "model.template_injection"


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf(
    pairs: list[bytes] = [],  # noqa: B006 - never changed
    tensors: list[bytes] = [],  # noqa: B006
    data: bytes = b"",
    *,
    counts: tuple[int, int] | None = None,
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    many, kept = counts or (len(tensors), len(pairs))
    head = b"GGUF" + struct.pack("<IQQ", version, many, kept) + b"".join(pairs) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + data if tensors else head


NAME = pair("general.name", 8, text("tiny"))
WHOLE = gguf([NAME], [tensor("a", (8,), 0, 0), tensor("b", (32,), 8, 32)], bytes(32 + 34))


def test_whole_file_is_silent(scan_bytes) -> None:
    assert scan_bytes("m.gguf", WHOLE).loud == []


@pytest.mark.parametrize("kind", range(13))
def test_every_type_of_value(scan_bytes, kind: int) -> None:
    widths = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    value = text("x") if kind == 8 else bytes(widths.get(kind, 0))
    if kind == 9:
        value = struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 4, 2) + bytes(8)
    assert scan_bytes("m.gguf", gguf([pair("k", kind, value), NAME])).loud == []


def test_first_version_has_short_lengths(scan_bytes) -> None:
    short = struct.pack("<I", 1) + b"k" + struct.pack("<I", 8) + struct.pack("<I", 1) + b"v"
    assert scan_bytes("m.gguf", b"GGUF" + struct.pack("<III", 1, 0, 1) + short).loud == []


def test_big_endian(scan_bytes) -> None:
    value = struct.pack(">Q", 1) + b"k" + struct.pack(">I", 8) + struct.pack(">Q", 1) + b"v"
    assert scan_bytes("m.gguf", b"GGUF" + struct.pack(">IQQ", 3, 0, 1) + value).loud == []


@pytest.mark.parametrize("stop", range(4, len(WHOLE), 7))
def test_truncated_anywhere(scan_bytes, stop: int) -> None:
    assert scan_bytes("m.gguf", WHOLE[:stop]).of(RULE)


HOSTILE = {
    "CVE-2024-21802 dimensions": gguf([NAME], [text("a") + struct.pack("<I", 5) + bytes(52)]),
    "CVE-2024-21825 nested array": gguf([pair("a", 9, struct.pack("<IQ", 9, 1) * 6)]),
    "CVE-2024-21836 tensor count": gguf([NAME], counts=(1 << 61, 1)),
    "CVE-2024-23496 string length": gguf([text("k") + struct.pack("<IQ", 8, (1 << 64) - 1)]),
    "CVE-2024-23605 pair count": gguf([NAME], counts=(0, (1 << 64) // 48)),
    "array length": gguf([pair("a", 9, struct.pack("<IQ", 5, 1 << 62))]),
    "array of texts": gguf([pair("a", 9, struct.pack("<IQ", 8, 1 << 62))]),
    "CVE-2026-7482 beyond the end": gguf([NAME], [tensor("a", (1 << 20,), 0, 0)], bytes(64)),
    "offset beyond": gguf([NAME], [tensor("a", (8,), 0, 1 << 40)], bytes(64)),
    "shape overflows": gguf([NAME], [tensor("a", (1 << 40, 1 << 40), 0, 0)], bytes(64)),
    "overlap": gguf([NAME], [tensor("a", (16,), 0, 0), tensor("b", (16,), 0, 32)], bytes(96)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_published_attacks_are_flagged(scan_bytes, name: str) -> None:
    begun = time.monotonic()
    assert "high" in scan_bytes("m.gguf", HOSTILE[name]).severities(RULE)
    assert time.monotonic() - begun < 5


ODD = {
    "key twice": gguf([NAME, NAME]),
    "tensor twice": gguf([NAME], [tensor("a", (8,), 0, 0), tensor("a", (8,), 0, 32)], bytes(64)),
    "unknown value type": gguf([pair("a", 77, b"")]),
    "alignment of 3": gguf([pair("general.alignment", 4, struct.pack("<I", 3))]),
    "alignment of 0": gguf([pair("general.alignment", 4, struct.pack("<I", 0))]),
    "truth of 7": gguf([pair("a", 7, b"\x07")]),
    "version 9": b"GGUF" + struct.pack("<IQQ", 9, 0, 0),
    "no magic": b"nothing of the kind",
    "surplus": WHOLE + b"x" * 9000,
    "gap": gguf([NAME], [tensor("a", (8,), 0, 4096)], bytes(4096 + 32)),
    "offset not aligned": gguf([NAME], [tensor("a", (8,), 0, 4)], bytes(64)),
    "long name": gguf([NAME], [tensor("a" * 64, (8,), 0, 0)], bytes(32)),
}


@pytest.mark.parametrize("name", ODD)
def test_what_no_writer_writes(scan_bytes, name: str) -> None:
    assert scan_bytes("m.gguf", ODD[name]).of(RULE)


def test_unknown_tensor_type_is_incomplete(scan_bytes) -> None:
    result = scan_bytes("m.gguf", gguf([NAME], [tensor("a", (8,), 60, 0)], bytes(64)))
    assert result.skipped


@pytest.mark.parametrize("key", ["tokenizer.chat_template", "tokenizer.chat_template.tool_use", "general.description"])
def test_templates_anywhere_in_the_metadata(scan_bytes, key: str) -> None:
    evil = pair(key, 8, text("{{ cycler.__init__.__globals__.os.popen('id').read() }}"))
    assert "critical" in scan_bytes("m.gguf", gguf([NAME, evil])).severities(TEMPLATE)


def test_good_template(scan_bytes) -> None:
    good = pair("tokenizer.chat_template", 8, text("{% for m in messages %}{{ m['content'] | trim }}{% endfor %}"))
    assert scan_bytes("m.gguf", gguf([NAME, good])).loud == []


def test_text_longer_than_is_judged_is_incomplete(scan_bytes) -> None:
    evil = pair("tokenizer.chat_template", 8, text("{{ messages }}" + "x" * (2 << 20)))
    assert scan_bytes("m.gguf", gguf([NAME, evil])).skipped
