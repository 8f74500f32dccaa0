"""Zips that readers read differently: two directories, lies of every record, bytes outside all members, odd names."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib

import pytest

CALL, ODD, ESCAPE = "model.pickle_call", "model.archive_disagreement", "model.archive_escape"
GOOD = b"\x80\x02N."


@pytest.fixture
def evil(op) -> bytes:
    return b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."


def local(
    name: bytes, data: bytes, *, flags: int = 0, extra: bytes = b"", sizes: tuple[int, int] | None = None
) -> bytes:
    packed, size = sizes or (len(data), len(data))
    crc = zlib.crc32(data) if sizes is None else 0
    head = struct.pack("<5H3L2H", 20, flags, 0, 0, 0, crc, packed, size, len(name), len(extra))
    return b"PK\x03\x04" + head + name + extra + data


def central(name: bytes, data: bytes, offset: int, *, flags: int = 0, extra: bytes = b"", mode: int = 0) -> bytes:
    head = struct.pack(
        "<6H3L5H2L", 20 | 3 << 8, 20, flags, 0, 0, 0, zlib.crc32(data), len(data), len(data), len(name), len(extra),
        0, 0, 0, mode << 16, offset,
    )  # fmt: skip
    return b"PK\x01\x02" + head + name + extra


def end(count: int, size: int, offset: int, comment: bytes = b"") -> bytes:
    return b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, count, count, size, offset, len(comment)) + comment


def simple(name: bytes, data: bytes, *, comment: bytes = b"", local_extra: bytes = b"", **fields: int) -> bytes:
    one = local(name, data, extra=local_extra)
    directory = central(name, data, 0, **fields)
    return one + directory + end(1, len(directory), len(one), comment)


def says(result, text: str) -> bool:
    return any(text in finding.message for finding in result.of(ODD))


def test_built_by_hand_is_what_zipfile_reads(scan_bytes) -> None:
    data = simple(b"a.txt", b"hello")
    assert zipfile.ZipFile(io.BytesIO(data)).read("a.txt") == b"hello"
    assert scan_bytes("a.zip", data).loud == []


def test_offsets_from_the_file_and_from_the_archive_find_two_directories(scan_bytes, evil: bytes) -> None:
    """miniz, and so torch, takes the offset as it is; zipfile moves it by what stands before the archive."""
    hidden = local(b"m/data.pkl", evil)
    hidden_directory = central(b"m/data.pkl", evil, 0)
    shown = local(b"m/data.pkl", GOOD)
    place = len(hidden) + len(hidden_directory) + len(shown)
    shift = place - len(hidden)
    directory = central(b"m/data.pkl", GOOD, len(hidden) + len(hidden_directory) - shift)
    assert len(directory) == len(hidden_directory)
    data = hidden + hidden_directory + shown + directory + end(1, len(directory), len(hidden))
    assert zipfile.ZipFile(io.BytesIO(data)).read("m/data.pkl") == GOOD
    result = scan_bytes("m.pt", data)
    assert result.severities(CALL) == {"critical"}
    assert says(result, "different central directories")
    assert "high" in result.severities(ODD)


def test_an_earlier_end_record_whose_comment_hides_the_last_one(scan_bytes, evil: bytes) -> None:
    inner = simple(b"a.txt", b"hello")
    outer = simple(b"m/data.pkl", evil, comment=inner)
    result = scan_bytes("m.pt", outer)
    assert result.severities(CALL) == {"critical"}
    assert result.of(ODD)


def test_a_zip_in_the_comment_is_read(scan_bytes, evil: bytes) -> None:
    hidden = local(b"data.pkl", evil)
    result = scan_bytes("a.zip", simple(b"a.txt", b"hello", comment=hidden))
    assert result.severities(CALL) == {"critical"}
    assert says(result, "not in the central directory")


def test_a_plain_comment_is_quiet(scan_bytes) -> None:
    assert scan_bytes("a.zip", simple(b"a.txt", b"hello", comment=b"made by me")).loud == []


def test_a_stored_archive_at_the_end_is_no_second_directory(scan_bytes) -> None:
    inner = simple(b"b.txt", b"you")
    assert scan_bytes("a.zip", simple(b"inner.zip", inner)).loud == []


def test_zip64_record_and_plain_record_disagree(scan_bytes, evil: bytes) -> None:
    one, two = local(b"m/data.pkl", evil), local(b"m/data.txt", GOOD)
    first = central(b"m/data.pkl", evil, 0)
    second = central(b"m/data.txt", GOOD, len(one))
    body = one + two + first + second
    record = b"PK\x06\x06" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, 1, 1, len(first), len(one) + len(two))
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, len(body), 1)
    data = body + record + locator + end(1, len(second), len(one) + len(two) + len(first))
    result = scan_bytes("m.pt", data)
    assert result.severities(CALL) == {"critical"}
    assert says(result, "different central directories")


def test_a_count_that_is_not_the_number_of_records(scan_bytes, evil: bytes) -> None:
    """miniz stops after the announced number; zipfile goes on to the end of the directory."""
    one, two = local(b"a", b"x"), local(b"data.pkl", evil)
    directory = central(b"a", b"x", 0) + central(b"data.pkl", evil, len(one))
    result = scan_bytes("a.zip", one + two + directory + end(1, len(directory), len(one) + len(two)))
    assert says(result, "announces")
    assert result.severities(CALL) == {"critical"}


@pytest.mark.parametrize("before", [b"\x89PNG\r\n\x1a\n" + b"x" * 60, b"\x00" * 8 + b"{}" + b"y" * 99])
def test_bytes_before_between_and_behind_belong_to_none(scan_bytes, before: bytes) -> None:
    assert says(scan_bytes("a.zip", before + simple(b"a.txt", b"hello")), "belong to no member")
    assert says(scan_bytes("a.zip", simple(b"a.txt", b"hello") + before), "belong to no member")


def test_zeros_between_and_a_script_in_front_are_no_matter(scan_bytes) -> None:
    assert scan_bytes("a.zip", simple(b"a.txt", b"hello") + bytes(100)).loud == []
    assert scan_bytes("a.pyz", b"#!/usr/bin/env python3\n" + simple(b"a.txt", b"hello")).of(ODD) == []


def test_descriptor_that_lies(scan_bytes) -> None:
    data = b"hello"
    one = local(b"a.txt", data, flags=8, sizes=(0, 0))
    directory = central(b"a.txt", data, 0, flags=8)
    right = struct.pack("<4sLLL", b"PK\x07\x08", zlib.crc32(data), 5, 5)
    wrong = struct.pack("<4sLLL", b"PK\x07\x08", zlib.crc32(data), 4, 4)
    for descriptor, lies in ((right, False), (right[4:], False), (wrong, True), (b"", True)):
        body = one + descriptor
        result = scan_bytes("a.zip", body + directory + end(1, len(directory), len(body)))
        assert says(result, "descriptor") == lies


@pytest.mark.parametrize("flag", [1 << 5, 1 << 6, 1 << 13])
def test_cve_2025_1945_flags_that_make_zipfile_refuse(scan_bytes, evil: bytes, flag: int) -> None:
    one = local(b"m/data.pkl", evil, flags=flag)
    directory = central(b"m/data.pkl", evil, 0, flags=flag)
    result = scan_bytes("m.pt", one + directory + end(1, len(directory), len(one)))
    assert result.severities(CALL) == {"critical"}
    assert says(result, "flags")


def test_second_name_in_a_unicode_field(scan_bytes, evil: bytes) -> None:
    extra = struct.pack("<HHBL", 0x7075, 5 + 8, 1, 0) + b"data.pkl"
    one = local(b"info.txt", evil)
    directory = central(b"info.txt", evil, 0, extra=extra)
    result = scan_bytes("a.zip", one + directory + end(1, len(directory), len(one)))
    assert says(result, "second field")
    assert "data.pkl" in {finding.location.part for finding in result.of(CALL)}


def test_names_that_differ_only_in_case_as_miniz_takes_them(scan_bytes) -> None:
    one, two = local(b"m/data.pkl", GOOD), local(b"m/DATA.pkl", GOOD)
    directory = central(b"m/data.pkl", GOOD, 0) + central(b"m/DATA.pkl", GOOD, len(one))
    result = scan_bytes("m.pt", one + two + directory + end(2, len(directory), len(one) + len(two)))
    assert says(result, "ignore case")


def test_a_folder_with_bytes_is_read(scan_bytes, evil: bytes) -> None:
    result = scan_bytes("m.pt", simple(b"m/data.pkl/", evil))
    assert result.severities(CALL) == {"critical"}
    assert says(result, "folder")


def test_links_that_stay_inside_are_quiet_and_others_are_not(scan_bytes) -> None:
    assert scan_bytes("a.zip", simple(b"lib/a.so", b"a.so.1", mode=0o120777)).loud == []
    assert scan_bytes("a.zip", simple(b"lib/a.so", b"../../x", mode=0o120777)).severities(ESCAPE) == {"high"}


@pytest.mark.parametrize("name", ["a\u202egpj.exe", "a\nb.txt", "a\x1b[31m.txt"])
def test_names_that_deceive(scan_bytes, name: str) -> None:
    assert scan_bytes("a.zip", simple(name.encode(), b"x")).severities(ESCAPE) == {"medium"}


def test_a_name_cut_by_a_nul(scan_bytes, evil: bytes) -> None:
    result = scan_bytes("m.pt", simple(b"m/data.pkl\x00.txt", evil))
    assert result.severities(ESCAPE) == {"high"}
    assert result.severities(CALL) == {"critical"}


def test_a_stored_member_longer_than_the_file_is_said(scan_bytes) -> None:
    one = local(b"a.bin", b"x" * 50)
    directory = central(b"a.bin", b"x" * 5000, 0)
    assert says(scan_bytes("a.zip", one + directory + end(1, len(directory), len(one))), "broken")


def test_a_program_at_the_head_of_raw_weights(scan_bytes) -> None:
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(40)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("m/data.pkl", GOOD)
        archive.writestr("m/data/0", elf)
    assert scan_bytes("m.pt", stream.getvalue()).severities("model.embedded_payload") == {"high"}


def test_ten_thousand_false_headers_end_quickly(scan_bytes) -> None:
    import time

    begun = time.monotonic()
    scan_bytes("a.zip", local(b"x", b"") * 10_000)
    scan_bytes("a.zip", b"PK\x03\x04" * 200_000)
    scan_bytes("a.zip", b"PK\x05\x06" * 20_000 + end(0, 0, 0))
    assert time.monotonic() - begun < 15


def test_a_zip_of_zips_of_zeros_is_bounded(scan_bytes) -> None:
    import time

    data = b"\x00" * (32 << 20)
    for _ in range(4):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for index in range(8):
                archive.writestr(f"{index}.zip", data)
        data = stream.getvalue()
    begun = time.monotonic()
    result = scan_bytes("a.zip", data)
    assert time.monotonic() - begun < 20
    assert any("unpacks" in item.reason for item in result.skipped)


def test_two_archives_in_one_pickle_are_two_archives(scan_bytes, evil: bytes) -> None:
    made = []
    for content in (b"{}", b"[]"):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("config.json", content)
        made.append(stream.getvalue())
    assert scan_bytes("m.pkl", pickle.dumps(made)).loud == []
    behind = pickle.dumps(made)[:-1] + b"0" + evil
    assert scan_bytes("m.pkl", behind).of("model.pickle_call")


def test_a_program_deep_inside_raw_weights(scan_bytes) -> None:
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(40)
    noise = b"\x11\x91\x3c\xbd" * 20_000

    def torch_zip(weights: bytes) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("a/data.pkl", b"\x80\x02N.")
            archive.writestr("a/version", b"3\n")
            archive.writestr("a/data/0", noise)
            archive.writestr("a/data/1", weights)
        return stream.getvalue()

    assert scan_bytes("m.pt", torch_zip(noise)).findings == []
    (found,) = scan_bytes("m.pt", torch_zip(noise + elf + noise)).of("model.embedded_payload")
    assert found.location.offset == torch_zip(noise + elf + noise).index(elf)


def test_what_torch_writes_of_itself_is_read_where_it_is_something_else(scan_bytes, evil: bytes) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02N.")
        archive.writestr("a/version", evil)
    assert scan_bytes("m.pt", stream.getvalue()).severities("model.pickle_call") == {"critical"}
