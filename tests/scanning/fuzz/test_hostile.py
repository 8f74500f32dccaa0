"""Broken bytes of every kind: the scan ends with findings or skips, never with an exception of a reader."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hauberk.core.encoding import canonical, decode_entry
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact
from hauberk.scanning.blobs import MemberBlob
from hauberk.scanning.kit import tools

SMALL = Limits(nodes=20_000, seconds=5.0, member_bytes=1 << 20, total_bytes=4 << 20, members=200, depth=4)
FORMATS = [
    "pickle_stream", "zip_archive", "tar_archive", "compressed", "numpy_array", "safetensors", "onnx_graph",
    "unread_container",
]  # fmt: skip
READERS = dict(tools().formats)
RULES = [(name, rule) for name, rule in tools().rules if name.startswith("model.")]
EVIL = b"\x80\x02cos\nsystem\n(S'id'\ntR."


def read(name: str, data: bytes, reader: str) -> Artifact:
    """Sniff and parse with no net underneath: an exception fails the test. Then let every rule read the result."""
    parser = READERS[reader]
    blob = MemberBlob(name, "", data, SMALL)
    parser.sniff(blob)
    artifact = parser.parse(blob, SMALL, lambda name, data: ())
    for _, rule in RULES:
        list(rule.check(artifact))
    return artifact


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", EVIL)
        archive.writestr("archive/version", b"3")
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("pickle")
        info.size = len(EVIL)
        archive.addfile(info, io.BytesIO(EVIL))
    return stream.getvalue()[:1536]


def tensor_file() -> bytes:
    raw = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "__metadata__": {"k": "v"}}).encode()
    return struct.pack("<Q", len(raw)) + raw + b"\x00" * 4


def npy() -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + EVIL


ONNX = bytes.fromhex(
    "08083a160a0a0a017812017922045265 6c7512016762050a0178120062050a0179120042040a001012".replace(" ", "")
)
SAMPLES = {
    "pickle_stream": pickle.dumps([OrderedDict(a=date(2024, 1, 1)), b"x" * 20, "é", 2**70, 1.5, {1, 2}], 4) + EVIL,
    "zip_archive": zipped(),
    "tar_archive": tarred(),
    "compressed": gzip.compress(EVIL, mtime=0),
    "numpy_array": npy(),
    "safetensors": tensor_file(),
    "onnx_graph": ONNX,
    "unread_container": b"GGUF\x03\x00\x00\x00",
}


@pytest.mark.parametrize("reader", FORMATS)
def test_cut_at_every_byte(reader: str) -> None:
    sample = SAMPLES[reader]
    for size in range(len(sample)):
        read("m.bin", sample[:size], reader)


def test_a_cut_pickle_keeps_every_call_made_before_the_cut() -> None:
    data = b"\x80\x02" + b"".join(b"cm%d\nf\n)R0" % number for number in range(20)) + b"N."
    ends = [data.index(b"R0", data.index(b"cm%d\n" % number)) + 1 for number in range(20)]
    for size in range(len(data)):
        calls = read("m.pkl", data[:size], "pickle_stream").calls
        assert len(calls) == sum(end <= size for end in ends)


@pytest.mark.parametrize("reader", FORMATS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_changed_bytes(reader: str, data: st.DataObject) -> None:
    sample = bytearray(SAMPLES[reader])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(sample) - 1))
        sample[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(min_size=0, max_size=9))
    read("m.bin", bytes(sample), reader)


@pytest.mark.parametrize("reader", FORMATS)
@settings(max_examples=100, deadline=None)
@given(noise=st.binary(max_size=400))
def test_random_bytes(reader: str, noise: bytes) -> None:
    read("m.pkl", noise, reader)
    read("m.pkl", SAMPLES[reader][:8] + noise, reader)


OPCODE_SOUP = st.lists(
    st.sampled_from(
        [
            b"(",
            b"t",
            b"l",
            b"d",
            b"R",
            b"o",
            b"b",
            b"0",
            b"1",
            b"2",
            b"]",
            b")",
            b"}",
            b"a",
            b"e",
            b"s",
            b"u",
            b"\x93",
            b"\x81",
            b"\x92",
            b"\x94",
            b"h\x00",
            b"h\x01",
            b"cos\nsystem\n",
            b"\x8c\x02os",
            b"\x8c\x06system",
            b"K\x05",
            b"N",
            b"Q",
            b"\x85",
            b"\x86",
            b"\x87",
            b"\x90",
            b"\x91",
            b"\x8f",
            b".",
            b"cfunctools\npartial\n",
            b"cbuiltins\ngetattr\n",
            b"cbuiltins\nmap\n",
            b"\x82\x01",
            b"I010\n",
            b"cpickle\nloads\n",
            b"C\x03abc",
            b"coperator\nmethodcaller\n",
            b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n",
        ]
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(OPCODE_SOUP)
def test_any_order_of_opcodes(soup: list[bytes]) -> None:
    read("m.pkl", b"".join(soup), "pickle_stream")


def test_partials_of_partials_end() -> None:
    data = b"cos\nsystem\n" + b"q\x00" + b"cfunctools\npartial\nh\x00\x85R" * 1
    chain = (
        b"cfunctools\npartial\nq\x01"
        + b"cos\nsystem\n"
        + b"\x85R"
        + b"".join(b"q\x02h\x01h\x02\x85R" for _ in range(3000))
    )
    read("m.pkl", data + b"0" + chain + b")R.", "pickle_stream")


def test_findings_survive_the_evidence_format_whatever_the_names(scan_bytes) -> None:
    data = b"\x80\x04X\x06\x00\x00\x00\xed\xa0\x80os\x1bX\x05\x00\x00\x00\xe2\x80\xae\x00x\x93)R."
    found = scan_bytes("m.pkl", data).findings
    assert found
    for finding in found:
        assert decode_entry(canonical(finding)) == finding
        assert finding.message.isprintable()


def test_five_thousand_gadgets_are_shortened(scan_bytes) -> None:
    data = b"".join(b"cm%d\nf\n)R0" % number for number in range(4000)) + b"cos\nsystem\n)R."
    result = scan_bytes("m.pkl", data)
    assert "critical" in result.severities("model.pickle_call")
    assert len(result.of("model.pickle_call")) <= 101
    assert any("more findings" in item.reason for item in result.skipped)
