"""Zips whose records disagree, lie or are missing; members are read whatever flags and sums say."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from hauberk.core.limits import Limits

CALL, ODD = "model.pickle_call", "model.archive_disagreement"


@pytest.fixture
def evil(op) -> bytes:
    return b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytearray:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return bytearray(stream.getvalue())


def test_a_plain_archive_is_read_and_quiet(scan_bytes) -> None:
    assert scan_bytes("a.zip", bytes(packed({"a.txt": b"hello", "b/c.txt": b"x" * 100}))).loud == []


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_of_every_method_are_read(scan_bytes, evil: bytes, method: int) -> None:
    result = scan_bytes("model.pt", bytes(packed({"archive/data.pkl": evil}, method)))
    assert result.severities(CALL) == {"critical"}
    assert result.of(CALL)[0].location.part == "archive/data.pkl"


def test_names_that_differ_between_the_records(scan_bytes, evil: bytes) -> None:
    data = packed({"archive/data.pkl": evil})
    data[30 : 30 + 16] = b"archive/data.txt"
    result = scan_bytes("m.pt", bytes(data))
    assert result.severities(CALL) == {"critical"}
    assert any("named" in finding.message for finding in result.of(ODD))


def test_weights_name_in_one_record_does_not_hide_the_member(scan_bytes, evil: bytes) -> None:
    data = packed({"archive/data.pkl": b"\x80\x02N.", "archive/aaaa/0": evil})
    place = data.index(b"archive/aaaa/0")
    data[place : place + 14] = b"archive/data/0"
    assert scan_bytes("m.pt", bytes(data)).severities(CALL) == {"critical"}


@pytest.mark.parametrize("offset", [6, None])
def test_encryption_flag_on_plain_bytes(scan_bytes, evil: bytes, offset: int | None) -> None:
    data = packed({"archive/data.pkl": evil})
    data[data.index(b"PK\x01\x02") + 8] |= 1
    if offset:
        data[offset] |= 1
    result = scan_bytes("m.pt", bytes(data))
    assert result.severities(CALL) == {"critical"}
    assert "high" in result.severities(ODD)


def test_wrong_checksum(scan_bytes, evil: bytes) -> None:
    data = packed({"archive/data.pkl": evil})
    for place in (14, data.index(b"PK\x01\x02") + 16):
        data[place] ^= 0xFF
    result = scan_bytes("m.pt", bytes(data))
    assert result.severities(CALL) == {"critical"}
    assert any("checksum" in finding.message for finding in result.of(ODD))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_no_central_directory(scan_bytes, evil: bytes, method: int) -> None:
    data = packed({"archive/version": b"3", "archive/data.pkl": evil}, method)
    result = scan_bytes("m.pt", bytes(data[: data.index(b"PK\x01\x02")]))
    assert result.severities(CALL) == {"critical"}
    assert result.of(ODD)


def test_member_that_the_central_directory_leaves_out(scan_bytes, evil: bytes) -> None:
    hidden = packed({"archive/data.pkl": evil})
    hidden = hidden[: hidden.index(b"PK\x01\x02")]
    result = scan_bytes("m.pt", bytes(hidden + packed({"archive/version": b"3"})))
    assert result.severities(CALL) == {"critical"}
    assert any("not in the central directory" in finding.message for finding in result.of(ODD))


def test_descriptor_without_sizes_in_the_local_header(scan_bytes, evil: bytes) -> None:
    class Unseekable(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.data += bytes(data)
            return len(data)

    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", evil)
    result = scan_bytes("m.pt", stream.data)
    assert result.severities(CALL) == {"critical"}
    assert not result.of(ODD)
    assert scan_bytes("m.pt", stream.data[: stream.data.index(b"PK\x01\x02")]).severities(CALL) == {"critical"}


def test_same_name_twice(scan_bytes, evil: bytes) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", evil)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("archive/data.pkl", b"\x80\x02N.")
    result = scan_bytes("m.pt", stream.getvalue())
    assert result.severities(CALL) == {"critical"}
    assert any("2 members" in finding.message for finding in result.of(ODD))


def test_bytes_before_the_archive(scan_bytes, evil: bytes) -> None:
    result = scan_bytes("m.bin", b"GIF89a" + b"\x00" * 100 + bytes(packed({"archive/data.pkl": evil})))
    assert result.severities(CALL) == {"critical"}


def test_pickle_in_front_of_an_archive_is_read_too(scan_bytes, evil: bytes) -> None:
    result = scan_bytes("m.pt", evil + bytes(packed({"a.txt": b"x"})))
    assert [finding.location.part for finding in result.of(CALL)] == [""]


def test_archive_in_an_archive(scan_bytes, evil: bytes) -> None:
    inner = bytes(packed({"archive/data.pkl": evil}))
    result = scan_bytes("bundle.zip", bytes(packed({"models/m.pt": inner}, zipfile.ZIP_DEFLATED)))
    assert result.of(CALL)[0].location.part == "models/m.pt!archive/data.pkl"


def test_nesting_beyond_the_limit_is_named(scan_bytes) -> None:
    data = b"hello"
    for _ in range(12):
        data = bytes(packed({"a.zip": data}))
    assert any("deeper" in item.reason for item in scan_bytes("a.zip", data).skipped)


def test_bomb_is_named_and_its_beginning_read(scan_bytes, op) -> None:
    payload = op.call("os", "system", op.text("id")) + b"0" + b"N0" * 100 + b"\x00" * (3 << 20)
    data = bytes(packed({"archive/data.pkl": payload}, zipfile.ZIP_DEFLATED))
    result = scan_bytes("m.pt", data, Limits(member_bytes=1 << 20))
    assert result.severities(CALL) == {"critical"}
    assert any("unpacks" in item.reason and item.kind == "limit" for item in result.skipped)


def test_total_of_all_members_is_bounded(scan_bytes) -> None:
    data = bytes(packed({f"{n}.bin": b"\x00" * (1 << 20) for n in range(8)}, zipfile.ZIP_DEFLATED))
    assert scan_bytes("a.zip", data, Limits(total_bytes=3 << 20)).skipped


def test_overlapping_members(scan_bytes) -> None:
    data = packed({"a": b"\x00" * 1000, "b": b"\x00" * 1000})
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    assert any("overlap" in finding.message for finding in scan_bytes("a.zip", bytes(data)).of(ODD))


@pytest.mark.parametrize("name", ["../x.txt", "/etc/passwd", "a/../../b", "C:/x", "..\\x"])
def test_members_that_lead_out(scan_bytes, name: str) -> None:
    data = bytes(packed({"placeholder".ljust(len(name), "_")[: len(name)]: b"x"}))
    data = data.replace("placeholder".ljust(len(name), "_")[: len(name)].encode(), name.encode())
    assert scan_bytes("a.zip", data).severities("model.archive_escape") == {"high"}


def test_link_members(scan_bytes) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    info.create_system = 3
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert scan_bytes("a.zip", stream.getvalue()).of("model.archive_escape")


def test_unknown_method_is_named(scan_bytes) -> None:
    data = packed({"a.bin": b"xyz"})
    for place in (8, data.index(b"PK\x01\x02") + 10):
        data[place : place + 2] = struct.pack("<H", 97)
    assert any("method 97" in item.reason for item in scan_bytes("a.zip", bytes(data)).skipped)


def test_really_encrypted_members_are_named(scan_bytes) -> None:
    data = packed({"a.bin": zlib.compress(b"x" * 50)}, zipfile.ZIP_DEFLATED)
    start = 30 + len("a.bin")
    data[start : start + 4] = b"\xff\xff\xff\xff"
    for place in (6, data.index(b"PK\x01\x02") + 8):
        data[place] |= 1
    assert any("encrypted" in item.reason for item in scan_bytes("a.zip", bytes(data)).skipped)


def test_zip64_sizes_are_followed(scan_bytes, evil: bytes) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, archive.open("archive/data.pkl", "w", force_zip64=True) as member:
        member.write(evil)
    result = scan_bytes("m.pt", stream.getvalue())
    assert result.severities(CALL) == {"critical"}
    assert not result.of(ODD)


@pytest.mark.parametrize(("comment", "found"), [(b"cos\nsystem\n(S'x'\ntR.", {"critical"}), (b"made by us", set())])
def test_a_pickle_in_the_archive_comment(scan_bytes, comment: bytes, found: set[str]) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "x")
        archive.comment = comment
    assert scan_bytes("m.zip", out.getvalue()).severities("model.pickle_call") == found


def test_many_names_of_the_same_bytes_are_read_a_few_times(scan_bytes) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.pkl", b"cos\nsystem\n(S'x'\ntR.")
        first = archive.infolist()[0]
        for index in range(40):
            twin = zipfile.ZipInfo(f"f{index}.pkl")
            twin.CRC, twin.file_size, twin.compress_size = first.CRC, first.file_size, first.compress_size
            twin.header_offset = first.header_offset
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
    scanned = scan_bytes("m.zip", out.getvalue())
    assert 0 < len(scanned.of("model.pickle_call")) <= 32
    assert any("same bytes" in one.message for one in scanned.of("model.archive_disagreement"))
