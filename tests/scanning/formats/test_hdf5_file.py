"""HDF5 files written record by record: old and new groups, attributes, everything that leads out of the file."""

from __future__ import annotations

import json
import struct

import pytest

OUT = "model.hdf5_external"
BROKEN = "model.malformed_settings"
UNDEFINED = b"\xff" * 8
NOWHERE = 0xFFFFFFFFFFFFFFFF


class Writer:
    """Lays records one after another behind a superblock of version 2 or 0."""

    def __init__(self, lead: int = 96) -> None:
        self.body = bytearray(lead)

    def put(self, raw: bytes) -> int:
        """Append a record and return its address."""
        self.body += bytes(-len(self.body) % 8)
        place = len(self.body)
        self.body += raw
        return place

    def header(self, *messages: tuple[int, bytes]) -> int:
        """A new object header (version 2) with four bytes of size."""
        raw = b"".join(struct.pack("<BHB", kind, len(data), 0) + data for kind, data in messages)
        return self.put(b"OHDR\x02\x02" + struct.pack("<I", len(raw)) + raw + bytes(4))

    def old_header(self, *messages: tuple[int, bytes]) -> int:
        padded = [(kind, data + bytes(-len(data) % 8)) for kind, data in messages]
        raw = b"".join(struct.pack("<HHB3x", kind, len(data), 0) + data for kind, data in padded)
        return self.put(struct.pack("<BxHII4x", 1, len(padded), 1, len(raw)) + raw)

    def heap(self, text: bytes) -> int:
        data = self.put(text)
        return self.put(b"HEAP" + struct.pack("<B3xQQQ", 0, len(text), NOWHERE, data))

    def global_heap(self, data: bytes) -> int:
        inner = struct.pack("<HH4xQ", 1, 1, len(data)) + data + bytes(-len(data) % 8)
        return self.put(b"GCOL" + struct.pack("<B3xQ", 1, 16 + len(inner) + 16) + inner + bytes(16))

    def file(self, root: int) -> bytes:
        lead = b"\x89HDF\r\n\x1a\n" + bytes([2, 8, 8, 0]) + struct.pack("<QQQQI", 0, NOWHERE, len(self.body), root, 0)
        return lead + bytes(self.body[len(lead) :])

    def old_file(self, root: int) -> bytes:
        lead = b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + struct.pack("<HHI", 4, 16, 0)
        lead += struct.pack("<QQQQ", 0, NOWHERE, len(self.body), NOWHERE) + struct.pack("<QQ", 0, root) + bytes(24)
        return lead + bytes(self.body[len(lead) :])


def hard(name: str, address: int) -> tuple[int, bytes]:
    return 6, bytes([1, 0, len(name)]) + name.encode() + struct.pack("<Q", address)


def special(name: str, kind: int, value: bytes) -> tuple[int, bytes]:
    return 6, bytes([1, 8, kind, len(name)]) + name.encode() + struct.pack("<H", len(value)) + value


def fixed(name: str, value: bytes) -> tuple[int, bytes]:
    """An attribute (version 3) of one text of fixed length."""
    label = name.encode() + b"\x00"
    datatype = bytes([0x13, 0, 0, 0]) + struct.pack("<I", len(value))
    space = bytes([2, 0, 0, 0])
    return 12, bytes([3, 0]) + struct.pack("<HHHB", len(label), 8, 4, 0) + label + datatype + space + value


def long(name: str, heap: int, size: int) -> tuple[int, bytes]:
    """An attribute of one text of any length, in the global heap."""
    label = name.encode() + b"\x00"
    inner = bytes([0x13, 0, 0, 0]) + struct.pack("<I", 1)
    datatype = bytes([0x19, 1, 0, 0]) + struct.pack("<I", 16) + inner
    where = struct.pack("<IQI", size, heap, 1)
    head = struct.pack("<HHHB", len(label), len(datatype), 4, 0)
    return 12, bytes([3, 0]) + head + label + datatype + bytes([2, 0, 0, 0]) + where


def with_root(*messages: tuple[int, bytes]) -> bytes:
    made = Writer()
    return made.file(made.header(*messages))


def test_whole_file_is_silent(scan_bytes) -> None:
    made = Writer()
    inner = made.header(fixed("weight_names", b"kernel"))
    assert scan_bytes("m.h5", made.file(made.header(hard("dense", inner), fixed("backend", b"x")))).loud == []


LINKED = special("data", 64, b"\x00/etc/passwd\x00/x\x00")


def test_external_link_out_of_the_folder(scan_bytes) -> None:
    found = scan_bytes("m.h5", with_root(LINKED)).of(OUT)
    assert [one.severity for one in found] == ["high"]
    assert "/etc/passwd" in found[0].message


def test_external_link_beside_other_data_is_low(scan_bytes) -> None:
    assert scan_bytes("data.h5", with_root(special("a", 64, b"\x00b.h5\x00/x\x00"))).severities(OUT) == {"low"}


@pytest.mark.parametrize("name", ["m.weights.h5", "model.keras.h5"])
def test_any_external_link_of_a_model_is_high(scan_bytes, name: str) -> None:
    root = with_root(special("a", 64, b"\x00b.h5\x00/x\x00"), fixed("keras_version", b"3"))
    assert scan_bytes(name, root).severities(OUT) == {"high"}


def test_cve_2026_1669_external_storage(scan_bytes) -> None:
    made = Writer()
    names = made.heap(bytes(8) + b"/etc/passwd\x00")
    storage = struct.pack("<B3xHHQ", 1, 1, 1, names) + struct.pack("<QQQ", 8, 0, 10)
    data = made.header((7, storage))
    result = scan_bytes("m.weights.h5", made.file(made.header(hard("kernel", data))))
    assert result.severities(OUT) == {"high"}


def test_virtual_data_set(scan_bytes) -> None:
    made = Writer()
    listed = bytes([0]) + struct.pack("<Q", 1) + b"/secret/a.h5\x00data\x00" + bytes(16)
    data = made.header((8, bytes([4, 3]) + struct.pack("<QI", made.global_heap(listed), 1)))
    assert scan_bytes("m.h5", made.file(made.header(hard("v", data)))).severities(OUT) == {"high"}


def test_link_class_and_filter_of_someones_own(scan_bytes) -> None:
    made = Writer()
    own = made.header((11, bytes([2, 2]) + struct.pack("<HHHH", 61234, 0, 0, 0) + struct.pack("<HHH", 1, 0, 0)))
    result = scan_bytes("m.h5", made.file(made.header(hard("d", own), special("l", 99, b"x"))))
    assert [one.severity for one in result.of(OUT)] == ["medium", "medium"]


def test_registered_filter_is_low(scan_bytes) -> None:
    data = (11, bytes([2, 1]) + struct.pack("<HHHH", 32015, 0, 0, 0))
    made = Writer()
    assert scan_bytes("m.h5", made.file(made.header(hard("d", made.header(data))))).severities(OUT) == {"low"}


def old_group(made: Writer, members: list[tuple[str, int]]) -> tuple[int, bytes]:
    """A symbol table message: B-tree, node and heap of names."""
    names, places = bytearray(8), []
    for name, _ in members:
        places.append(len(names))
        names += name.encode() + bytes(8 - len(name) % 8)
    heap = made.heap(bytes(names))
    rows = b"".join(struct.pack("<QQI4x16x", at, to, 0) for at, (_, to) in zip(places, members, strict=True))
    node = made.put(b"SNOD\x01\x00" + struct.pack("<H", len(members)) + rows)
    tree = b"TREE" + struct.pack("<BBHQQ", 0, 0, 1, NOWHERE, NOWHERE) + struct.pack("<QQQ", 0, node, 8)
    return 17, struct.pack("<QQ", made.put(tree), heap)


@pytest.fixture
def evil_config() -> bytes:
    layer = {"class_name": "function", "module": "os", "config": "system"}
    return json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}).encode()


def test_cve_2025_9905_configuration_of_an_old_file(scan_bytes, evil_config: bytes) -> None:
    made = Writer()
    group = old_group(made, [("model_weights", made.old_header())])
    root = made.old_header(group, fixed("model_config", evil_config))
    result = scan_bytes("m.h5", made.old_file(root))
    assert result.severities("model.keras_object") == {"critical"}
    assert result.of("model.keras_object")[0].location.part == "model_config.json"


def test_configuration_in_the_global_heap(scan_bytes, evil_config: bytes) -> None:
    made = Writer()
    heap = made.global_heap(evil_config)
    result = scan_bytes("m.h5", made.file(made.header(long("model_config", heap, len(evil_config)))))
    assert result.severities("model.keras_object") == {"critical"}


def test_configuration_behind_a_user_block(scan_bytes, evil_config: bytes) -> None:
    made = bytes(512) + with_root(fixed("model_config", evil_config))
    assert scan_bytes("m.bin", made).severities("model.keras_object") == {"critical"}


def test_the_end_counts_from_the_beginning_of_the_file(scan_bytes) -> None:
    plain = with_root()
    shifted = plain[:28] + struct.pack("<Q", len(plain) + 512) + plain[36:]
    assert scan_bytes("m.mat", bytes(512) + shifted).findings == []
    assert scan_bytes("m.mat", bytes(512) + shifted[:-1]).of(BROKEN)


def test_configuration_that_no_group_leads_to(scan_bytes, evil_config: bytes) -> None:
    made = Writer()
    made.put(evil_config)
    result = scan_bytes("m.h5", made.file(10_000_000))
    assert result.of(BROKEN)
    assert result.severities("model.keras_object") == {"critical"}


def test_groups_that_lead_in_a_circle(scan_bytes) -> None:
    made = Writer()
    address = len(made.body)
    made.header(hard("again", address))
    assert scan_bytes("m.h5", made.file(address)).loud == []


def test_tree_that_leads_back_to_itself(scan_bytes) -> None:
    made = Writer()
    heap = made.heap(bytes(16))
    tree = made.put(b"")
    made.put(b"TREE" + struct.pack("<BBHQQ", 0, 1, 1, NOWHERE, NOWHERE) + struct.pack("<QQQ", 0, tree, 8))
    root = made.old_header((17, struct.pack("<QQ", tree, heap)))
    assert scan_bytes("m.h5", made.old_file(root)).of(BROKEN)


def test_truncated_at_any_place(scan_bytes, evil_config: bytes) -> None:
    whole = with_root(LINKED, fixed("model_config", evil_config))
    for stop in range(1, len(whole) - 1, 23):
        result = scan_bytes("m.h5", whole[:stop])
        assert result.of(BROKEN) or result.skipped, stop


@pytest.mark.parametrize("place", range(8, 96, 5))
def test_huge_numbers_anywhere(scan_bytes, place: int) -> None:
    whole = bytearray(with_root(LINKED))
    whole[place : place + 8] = b"\xff" * 7 + b"\x7f"
    result = scan_bytes("m.h5", bytes(whole))
    assert result.of(OUT) or result.of(BROKEN) or result.skipped  # the link is seen, or the file is said to be broken


def test_no_hdf5_at_all(scan_bytes) -> None:
    assert scan_bytes("m.h5", b"nothing of the kind" * 9).of(BROKEN)


# --- pickles kept as values


CALL = "model.pickle_call"
HOSTILE = b"cos\nsystem\n(S'x'\ntR."
HARMLESS = b"(lp0\nI1\naI2\na."


def dataset(made: Writer, datatype: bytes, count: int, layout: bytes) -> int:
    """A data set of one axis."""
    space = bytes([2, 1, 0, 1]) + struct.pack("<Q", count)
    return made.header((1, space), (3, datatype), (8, layout))


def opaque(size: int) -> bytes:
    return bytes([0x15, 0, 0, 0]) + struct.pack("<I", size)


@pytest.mark.parametrize(("value", "found"), [(HOSTILE, {"critical"}), (HARMLESS, set())])
def test_pickle_as_opaque_data(scan_bytes, value: bytes, found: set[str]) -> None:
    made = Writer()
    where = made.put(value)
    held = dataset(made, opaque(len(value)), 1, bytes([3, 1]) + struct.pack("<QQ", where, len(value)))
    scanned = scan_bytes("m.h5", made.file(made.header(hard("obj", held))))
    assert scanned.severities(CALL) == found
    assert scanned.skipped == []


def test_pickle_in_compact_data(scan_bytes) -> None:
    made = Writer()
    layout = bytes([3, 0]) + struct.pack("<H", len(HOSTILE)) + HOSTILE
    held = dataset(made, opaque(len(HOSTILE)), 1, layout)
    assert scan_bytes("m.h5", made.file(made.header(hard("obj", held)))).severities(CALL) == {"critical"}


def test_opaque_data_in_chunks_is_said_to_be_unread(scan_bytes) -> None:
    made = Writer()
    held = dataset(made, opaque(8), 4, bytes([3, 2, 2]) + struct.pack("<QII", NOWHERE, 4, 8))
    (skipped,) = scan_bytes("m.h5", made.file(made.header(hard("obj", held)))).skipped
    assert "chunks" in skipped.reason


@pytest.mark.parametrize(("value", "found"), [(HOSTILE, {"critical"}), (HARMLESS, set())])
def test_pickle_in_rows_of_bytes_of_any_length(scan_bytes, value: bytes, found: set[str]) -> None:
    made = Writer()
    made.global_heap(value)
    inner = bytes([0x10, 8, 0, 0]) + struct.pack("<IHH", 1, 0, 8)
    datatype = bytes([0x19, 0, 0, 0]) + struct.pack("<I", 16) + inner
    held = dataset(made, datatype, 4, bytes([3, 2, 2]) + struct.pack("<QII", NOWHERE, 4, 16))
    assert scan_bytes("m.h5", made.file(made.header(hard("rows", held)))).severities(CALL) == found


@pytest.mark.parametrize(("value", "found"), [(HOSTILE, {"critical"}), (HARMLESS, set()), (b"cost model", set())])
def test_pickle_as_an_attribute(scan_bytes, value: bytes, found: set[str]) -> None:
    assert scan_bytes("m.h5", with_root(fixed("non_index_axes", value))).severities(CALL) == found


def test_pickle_behind_the_end(scan_bytes) -> None:
    whole = with_root(fixed("backend", b"x"))
    assert scan_bytes("m.h5", whole + HOSTILE).severities(CALL) == {"critical"}
    assert scan_bytes("m.h5", whole + b"surplus").severities(BROKEN) == {"medium"}
    assert scan_bytes("m.h5", whole + bytes(64)).loud == []
