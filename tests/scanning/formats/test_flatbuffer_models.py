"""TensorFlow Lite, ExecuTorch, ONNX Runtime and CatBoost files built by the FlatBuffers library, then broken."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import pytest

flatbuffers = pytest.importorskip("flatbuffers")

CUSTOM, BROKEN = "model.custom_operator", "model.malformed_graph"


class Builder:
    """Builds tables from {field number: writer}; what a table points to is made before it."""

    def __init__(self) -> None:
        self.inner = flatbuffers.Builder(256)

    def offsets(self, items: Sequence[int]) -> Callable[[int], None]:
        return self._vector(items, self.inner.PrependUOffsetTRelative)

    def ints(self, items: Sequence[int]) -> Callable[[int], None]:
        return self._vector(items, self.inner.PrependInt32)

    def data(self, raw: bytes) -> Callable[[int], None]:
        return self.ref(self.inner.CreateByteVector(raw))

    def text(self, value: str) -> Callable[[int], None]:
        return self.ref(self.inner.CreateString(value))

    def ref(self, place: int) -> Callable[[int], None]:
        return lambda slot: self.inner.PrependUOffsetTRelativeSlot(slot, place, 0)

    def u32(self, value: int) -> Callable[[int], None]:
        return lambda slot: self.inner.PrependUint32Slot(slot, value, 0)

    def i32(self, value: int) -> Callable[[int], None]:
        return lambda slot: self.inner.PrependInt32Slot(slot, value, 0)

    def i8(self, value: int) -> Callable[[int], None]:
        return lambda slot: self.inner.PrependInt8Slot(slot, value, 0)

    def u64(self, value: int) -> Callable[[int], None]:
        return lambda slot: self.inner.PrependUint64Slot(slot, value, 0)

    def table(self, fields: dict[int, Callable[[int], None]]) -> int:
        self.inner.StartObject(max(fields, default=0) + 1)
        for slot, write in fields.items():
            write(slot)
        return self.inner.EndObject()

    def finish(self, root: int, identifier: bytes | None) -> bytes:
        self.inner.Finish(root, identifier)
        return bytes(self.inner.Output())

    def _vector(self, items: Sequence[int], prepend: Callable[[int], None]) -> Callable[[int], None]:
        self.inner.StartVector(4, len(items), 4)
        for item in reversed(items):
            prepend(item)
        return self.ref(self.inner.EndVector())


def tflite(
    code: int = 0,
    custom: str = "",
    *,
    index: int = 0,
    tensor: int = 0,
    buffer: bytes = b"\1" * 16,
    far: tuple[int, int] = (0, 0),
) -> bytes:
    b = Builder()
    name = {1: b.text(custom)} if custom else {}
    codes = b.offsets([b.table({0: b.i8(min(code, 127)), 3: b.i32(code), **name})])
    tensors = b.offsets([b.table({0: b.ints([4]), 2: b.u32(1), 3: b.text("x")})])
    operators = b.offsets([b.table({0: b.u32(index), 1: b.ints([tensor]), 2: b.ints([-1])})])
    graphs = b.offsets([b.table({0: tensors, 3: operators})])
    content = {1: b.u64(far[0]), 2: b.u64(far[1])} if far[1] else {0: b.data(buffer)}
    buffers = b.offsets([b.table({}), b.table(content)])
    root = b.table({0: b.u32(3), 1: codes, 2: graphs, 3: b.text("made by a test"), 4: buffers})
    return b.finish(root, b"TFL3")


def test_plain_tflite(scan_bytes) -> None:
    result = scan_bytes("m.tflite", tflite())
    assert result.findings == []
    assert "tflite_model 1" in result.measurements["files_scanned"].note


@pytest.mark.parametrize(
    ("custom", "severity"),
    [
        ("TFLite_Detection_PostProcess", None), ("FlexErf", None), ("FlexTensorListReserve", None), ("Evil", "medium"),
        ("FlexWriteFile", "high"), ("FlexEagerPyFunc", "high"), ("FlexReadFile", "high"), ("FlexNoSuchOp", "medium"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["m.tflite", "m.bin"])
def test_tflite_custom_operators(scan_bytes, name: str, custom: str, severity: str | None) -> None:
    assert scan_bytes(name, tflite(32, custom)).severities(CUSTOM) == ({severity} if severity else set())


@pytest.mark.parametrize(
    "settings",
    [{"index": 7}, {"tensor": 9}, {"tensor": -2}, {"code": 99_999}, {"far": (1 << 40, 64)}, {"far": (64, 1 << 62)}],
)
def test_tflite_numbers_that_lie(scan_bytes, settings) -> None:
    assert scan_bytes("m.tflite", tflite(**settings)).of(BROKEN)


def test_tflite_payload(scan_bytes, elf: bytes) -> None:
    assert scan_bytes("m.tflite", tflite(buffer=elf)).severities("model.embedded_payload") == {"high"}


def pte(operator: str = "aten::add", segment: tuple[int, int] = (0, 16)) -> bytes:
    b = Builder()
    operators = b.offsets([b.table({0: b.text(operator), 1: b.text("out")})])
    plans = b.offsets([b.table({0: b.text("forward"), 6: operators})])
    segments = b.offsets([b.table({0: b.u64(segment[0]), 1: b.u64(segment[1])})])
    return b.finish(b.table({0: b.u32(0), 1: plans, 4: segments}), b"ET12")


@pytest.mark.parametrize(
    ("operator", "severity"), [("aten::add", None), ("evil::run", "medium"), ("aten::from_file", "high")]
)
def test_executorch_operators(scan_bytes, operator: str, severity: str | None) -> None:
    assert scan_bytes("m.pte", pte(operator)).severities(CUSTOM) == ({severity} if severity else set())


def test_executorch_segment_out_of_the_file(scan_bytes) -> None:
    assert scan_bytes("m.pte", pte()).loud == []
    assert scan_bytes("m.pte", pte(segment=(1 << 40, 5))).of(BROKEN)


def ort(kind: str = "Relu", domain: str = "", nested: bool = False) -> bytes:
    b = Builder()
    node = b.table({2: b.text(domain), 5: b.text(kind)})
    if nested:
        inner = b.table({2: b.offsets([node])})
        attribute = b.table({0: b.text("then_branch"), 7: b.ref(inner)})
        node = b.table({2: b.text(""), 5: b.text("If"), 10: b.offsets([attribute])})
    graph = b.table({2: b.offsets([node])})
    entry = b.table({0: b.text("author"), 1: b.text("me")})
    model = b.table({7: b.ref(graph), 9: b.offsets([entry])})
    return b.finish(b.table({0: b.text("6"), 1: b.ref(model)}), b"ORTM")


@pytest.mark.parametrize("nested", [False, True])
def test_ort_operators(scan_bytes, nested: bool) -> None:
    assert scan_bytes("m.ort", ort(nested=nested)).loud == []
    assert scan_bytes("m.ort", ort("Evil", "evil", nested)).severities(CUSTOM) == {"medium"}
    assert scan_bytes("m.ort", ort("PyOp", "ai.onnx.contrib", nested)).severities(CUSTOM) == {"high"}


def cbm(metadata: str = "1.2", size: int | None = None, after: bytes = b"") -> bytes:
    b = Builder()
    entry = b.table({0: b.text("model_guid"), 1: b.text(metadata)})
    core = b.finish(b.table({0: b.text("FlabuffersModel_v1"), 2: b.offsets([entry])}), None)
    return b"CBM1" + struct.pack("<I", len(core) if size is None else size) + core + after


def test_catboost(scan_bytes) -> None:
    assert scan_bytes("m.cbm", cbm()).findings == []
    assert scan_bytes("m.cbm", cbm(size=1 << 31)).of(BROKEN)
    assert scan_bytes("m.cbm", cbm(after=b"surplus")).of(BROKEN)
    assert scan_bytes("m.cbm", cbm("__import__('os').system('id')")).severities("model.model_metadata") == {"high"}


WHOLE = {"m.tflite": tflite(), "m.pte": pte(), "m.ort": ort(), "m.cbm": cbm()}


@pytest.mark.parametrize("name", WHOLE)
def test_broken_files_are_said_to_be(scan_bytes, name: str) -> None:
    """A cut FlatBuffer may lose only padding and what nothing points to; what is read must lie within the file."""
    data = WHOLE[name]
    for cut in range(4, len(data) // 2, 3):
        assert scan_bytes(name, data[:cut]).findings, cut
    for place in range(0, len(data) - 4, 5):
        scan_bytes(name, data[:place] + b"\xff\xff\xff\x7f" + data[place + 4 :])


@pytest.mark.parametrize("name", WHOLE)
def test_no_such_file_at_all(scan_bytes, name: str) -> None:
    assert scan_bytes(name, b"nothing of the kind" * 4).of(BROKEN)
