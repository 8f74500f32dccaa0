"""Tars that readers read differently: sizes, names and ends told twice, links, layers of images, special files."""

from __future__ import annotations

import io
import tarfile

import pytest

CALL, ODD, ESCAPE = "model.pickle_call", "model.archive_disagreement", "model.archive_escape"


@pytest.fixture
def evil(op) -> bytes:
    return b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."


def header(name: str, size: int, kind: bytes = b"0", target: str = "", size_field: bytes | None = None) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, target
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT)[-512:])
    if size_field is not None:
        block[124:136] = size_field
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: str, data: bytes, kind: bytes = b"0") -> bytes:
    return header(name, len(data), kind) + data + bytes(-len(data) % 512)


def pax(**fields: str) -> bytes:
    records = b""
    for key, value in fields.items():
        text = f" {key}={value}\n".encode()
        length = len(text) + 1
        length = len(text) + len(str(length))
        records += str(len(text) + len(str(length))).encode() + text
    return member("pax", records, b"x")


END = bytes(1024)


def says(result, text: str) -> bool:
    return any(text in finding.message for finding in result.of(ODD))


def test_built_by_hand_is_what_tarfile_reads(scan_bytes) -> None:
    data = pax(path="long/name.txt") + member("short", b"hello") + END
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["long/name.txt"]
    assert scan_bytes("a.tar", data).loud == []


def test_cve_2025_62518_two_sizes_of_one_member(scan_bytes, evil: bytes) -> None:
    """By its header the member has no bytes and the next header follows; by its pax record that header is data."""
    hidden = member("data.pkl", evil)
    data = pax(size=str(len(hidden))) + header("inner.txt", 4) + hidden + END
    result = scan_bytes("a.nemo", data)
    assert says(result, "by its extension")
    assert result.severities(CALL) == {"critical"}


def test_two_long_names_of_one_member(scan_bytes) -> None:
    long_name = member("././@LongLink", b"a.txt\0", b"L")
    assert says(scan_bytes("a.tar", long_name + pax(path="b.txt") + member("c", b"x") + END), "long names")


def test_members_after_the_end(scan_bytes, evil: bytes) -> None:
    for zeros in (512, 1024, 10_240):
        data = member("a.txt", b"x") + bytes(zeros) + member("data.pkl", evil) + END
        result = scan_bytes("a.nemo", data)
        assert result.severities(CALL) == {"critical"}
        assert says(result, "after the end")


def test_other_bytes_after_the_end(scan_bytes) -> None:
    assert says(scan_bytes("a.tar", member("a.txt", b"x") + END + b"MZ" * 600), "follow the end")


def test_a_folder_or_link_that_has_bytes(scan_bytes, evil: bytes) -> None:
    """tarfile goes on right after the header; others skip what is announced."""
    hidden = member("data.pkl", evil)
    for kind in (b"5", b"2"):
        result = scan_bytes("a.nemo", header("d", len(hidden), kind, "x" if kind == b"2" else "") + hidden + END)
        assert result.severities(CALL) == {"critical"}
        assert says(result, "is no file")


@pytest.mark.parametrize("field", [b"\xff" * 12, b"-0000000001\0", b"zzzzzzzzzzz\0"])
def test_sizes_that_are_no_sizes(scan_bytes, field: bytes) -> None:
    data = member("a.txt", b"x") + header("b", 0, size_field=field) + END
    assert says(scan_bytes("a.tar", data), "header is broken")


def test_a_size_beyond_everything(scan_bytes) -> None:
    data = header("a", 0, size_field=b"\x80" + b"\x7f" * 11) + b"x" * 512
    assert says(scan_bytes("a.tar", data), "announces")


def test_sparse_members_are_named(scan_bytes) -> None:
    assert any("sparse" in item.reason for item in scan_bytes("a.tar", header("a", 0, b"S") + END).skipped)


def test_links_that_lead_out_and_members_below_links(scan_bytes) -> None:
    quiet = header("lib/a.so", 0, b"2", "a.so.1") + header("b", 0, b"1", "a.txt") + END
    assert scan_bytes("a.tar", quiet).loud == []
    assert scan_bytes("a.tar", header("l", 0, b"2", "../x") + END).severities(ESCAPE) == {"high"}
    assert scan_bytes("a.tar", header("l", 0, b"1", "/etc/passwd") + END).severities(ESCAPE) == {"high"}
    through = header("l", 0, b"2", ".") + member("l/x", b"y") + END
    assert any("through a link" in finding.message for finding in scan_bytes("a.tar", through).of(ESCAPE))


def test_a_layer_of_an_image_is_full_of_absolute_links(scan_bytes, evil: bytes) -> None:
    system = [header(f"{name}/", 0, b"5") for name in ("etc", "usr", "var")]
    links = [header("usr/bin/vi", 0, b"2", "/etc/alternatives/vi"), header("dev/null", 0, b"3")]
    alike = [member("usr/include/xt_MARK.h", b"x"), member("usr/include/xt_mark.h", b"y")]
    layer = b"".join(system + links + alike)
    assert scan_bytes("layer.tar", layer + END).loud == []
    result = scan_bytes("layer.tar", layer + member("opt/m/model.pkl", evil) + END)
    assert result.severities(CALL) == {"critical"}


def test_an_oci_layout_in_a_tar(scan_bytes, evil: bytes) -> None:
    import gzip

    layer = gzip.compress(member("opt/model.pkl", evil) + END)
    data = member("oci-layout", b'{"imageLayoutVersion": "1.0.0"}') + member("blobs/sha256/" + "a" * 40, layer) + END
    part = scan_bytes("image.tar", data).of(CALL)[0].location.part
    assert part.endswith("opt/model.pkl")


def test_signed_checksums_of_old_writers(scan_bytes, evil: bytes) -> None:
    block = bytearray(header("data-\u00e9.pkl", len(evil)))
    total = sum(block[:148]) + sum(block[156:]) + 256
    total -= 256 * sum(byte > 127 for byte in block[:148] + block[156:])
    block[148:156] = b"%06o\0 " % total
    assert scan_bytes("a.tar", bytes(block) + evil + bytes(512) + END).severities(CALL) == {"critical"}


def test_cut_anywhere_is_never_silent(scan_bytes) -> None:
    data = member("a.txt", b"x" * 3000) + member("b.txt", b"y" * 3000)
    for size in range(600, len(data), 331):
        assert scan_bytes("a.tar", data[:size]).of(ODD), size


def test_cve_2025_32434_a_torch_tar_of_before_2017_is_named(scan_bytes) -> None:
    names = ("sys_info", "pickle", "storages", "tensors")
    data = b"".join(member(name, b"\x80\x02N.") for name in names) + END
    assert scan_bytes("m.pt", data).severities("model.legacy_torch") == {"medium"}
    assert not scan_bytes("m.pt", member("pickle", b"\x80\x02N.") + END).of("model.legacy_torch")


def test_a_program_in_a_models_archive(scan_bytes) -> None:
    data = member("lib.so", b"\x7fELF" + bytes(60)) + END
    assert scan_bytes("m.nemo", data).severities("model.embedded_code") == {"high"}
    assert not scan_bytes("backup.tar", data).of("model.embedded_code")
