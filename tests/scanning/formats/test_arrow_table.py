"""Tables of Arrow: what a column's type would unpickle is judged, plain tables are quiet."""

from __future__ import annotations

import io
import struct

import pytest

pa = pytest.importorskip("pyarrow")
CALL = "model.pickle_call"


def files(metadata: bytes, kind: str = "arrow.py_extension_type") -> dict[str, bytes]:
    import pyarrow.feather
    import pyarrow.parquet

    extension = {b"ARROW:extension:name": kind.encode(), b"ARROW:extension:metadata": metadata}
    table = pa.table({"x": [1, 2]}, schema=pa.schema([pa.field("x", pa.int64(), metadata=extension)]))
    made: dict[str, bytes] = {}
    for name, write in (("t.parquet", pyarrow.parquet.write_table), ("t.feather", pyarrow.feather.write_feather)):
        stream = io.BytesIO()
        write(table, stream)
        made[name] = stream.getvalue()
    return made


def test_cve_2023_47248(scan_bytes, op) -> None:
    evil = b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."
    for name, data in files(evil).items():
        assert scan_bytes(name, data).severities(CALL) == {"critical"}, name
        assert scan_bytes("data.bin", data).of(CALL), name


def test_other_types_are_quiet(scan_bytes) -> None:
    for name, data in files(b"x" * 40, "my.type").items():
        assert scan_bytes(name, data).findings == [], name


def test_a_type_whose_pickle_is_not_there_is_said(scan_bytes) -> None:
    for name, data in files(b"none").items():
        assert scan_bytes(name, data).of("model.malformed_graph"), name


def test_a_table_that_breaks_off(scan_bytes) -> None:
    data = b"PAR1" + b"arrow.py_extension_type" + struct.pack("<I", 1 << 31)
    assert scan_bytes("t.parquet", data).of("model.malformed_graph")
