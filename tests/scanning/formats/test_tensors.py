"""npy, safetensors and ONNX: what they promise held against the bytes."""

from __future__ import annotations

import io
import json
import struct

import pytest

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")

CALL = "model.pickle_call"


def saved(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    raw = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw + data


@pytest.mark.parametrize(
    "array", [np.zeros((3, 4)), np.zeros(0), np.array("x"), np.zeros(3, dtype=[("a", "f4"), ("b", "U3")])]
)
def test_arrays_are_quiet(scan_bytes, array) -> None:
    assert scan_bytes("a.npy", saved(array)).loud == []


def test_arrays_in_a_row(scan_bytes) -> None:
    assert scan_bytes("a.npy", saved(np.zeros(3)) + saved(np.ones(2))).loud == []
    assert scan_bytes("a.npy", saved(np.zeros(3)) + b"surplus").of("model.malformed_model")


@pytest.mark.parametrize("descr", ["'|O'", "[('a', '<f8'), ('b', '|O')]", "[('a', [('b', 'O')])]", "'O8'"])
def test_object_arrays_hold_pickles(scan_bytes, op, descr: str) -> None:
    evil = op.call("os", "system", op.text("id")) + b"."
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n"
    result = scan_bytes("a.npy", npy(header, evil))
    assert result.severities(CALL) == {"critical"}
    assert result.of(CALL)[0].location.part == "objects.pkl"


def test_benign_object_array(scan_bytes) -> None:
    assert scan_bytes("a.npy", saved(np.array([1, "a", None], dtype=object))).loud == []


@pytest.mark.parametrize(
    "header", ["(" * 3000, "-" * 60_000 + "1", "{'a': " * 3000, "not " * 9000 + "1", "{}", "[1]", "\x00"]
)
def test_hostile_headers(scan_bytes, header: str) -> None:
    assert scan_bytes("a.npy", npy(header)).of("model.malformed_model")


def test_header_of_python_2(scan_bytes) -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 3L), }\n"
    assert scan_bytes("a.npy", npy(header, b"\x00" * 48)).loud == []


def test_array_that_breaks_off(scan_bytes) -> None:
    assert scan_bytes("a.npy", saved(np.zeros(100))[:-8]).of("model.malformed_model")


# --- safetensors


def tensors(header: object, data: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def entry(start: int, stop: int, kind: str = "F32", shape: list[int] | None = None) -> dict[str, object]:
    return {"dtype": kind, "shape": [(stop - start) // 4] if shape is None else shape, "data_offsets": [start, stop]}


def test_reference_writer_is_quiet(scan_bytes) -> None:
    save = pytest.importorskip("safetensors.numpy").save
    data = save({"a": np.zeros((2, 3), np.float32), "b": np.ones(5), "c": np.zeros(0)}, metadata={"by": "me"})
    assert scan_bytes("a.safetensors", data).loud == []


BAD_TENSORS = {
    "overlaps": tensors({"a": entry(0, 8), "b": entry(4, 12)}, b"x" * 12),
    "belong to none": tensors({"a": entry(0, 8), "b": entry(12, 16)}, b"x" * 16),
    "outside": tensors({"a": entry(0, 400)}, b"x" * 8),
    "after the last": tensors({"a": entry(0, 8)}, b"x" * 50),
    "another number": tensors({"a": entry(0, 8, shape=[3])}, b"x" * 8),
    "twice": tensors(
        b'{"a": {"dtype":"F32","shape":[1],"data_offsets":[0,4]}, '
        b'"a": {"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b"x" * 4,
    ),
    "no JSON": tensors(b"{nonsense"),
    "no object": tensors(b"[1, 2]"),
    "unknown type": tensors({"a": entry(0, 8, kind="PICKLE")}, b"x" * 8),
    "a header of": struct.pack("<Q", 1 << 60) + b"{}",
    "shape and offsets": tensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"x" * 4),
    "is no JSON": tensors(b"[" * 200_000),
    "metadata": tensors({"__metadata__": {"a": 1}}),
}


@pytest.mark.parametrize("words", BAD_TENSORS)
def test_broken_safetensors(scan_bytes, words: str) -> None:
    found = scan_bytes("a.safetensors", BAD_TENSORS[words]).of("model.safetensors_header")
    assert any(words in finding.message for finding in found), [finding.message for finding in found]


def test_huge_shapes_are_multiplied_without_harm(scan_bytes) -> None:
    data = tensors({"a": {"dtype": "F32", "shape": [2**62] * 60, "data_offsets": [0, 4]}}, b"x" * 4)
    assert scan_bytes("a.safetensors", data).of("model.safetensors_header")


def test_safetensors_under_another_name(scan_bytes) -> None:
    result = scan_bytes("weights.dat", tensors({"a": entry(0, 8), "b": entry(4, 12)}, b"x" * 12))
    assert result.of("model.safetensors_header")


# --- ONNX


def model(nodes, initializers=(), functions=(), metadata=None) -> bytes:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [1])], initializers
    )
    made = helper.make_model(graph, functions=list(functions))
    helper.set_model_props(made, metadata or {})
    return made.SerializeToString()


def node(kind: str = "Relu", domain: str = "", **attributes):
    return onnx.helper.make_node(kind, ["x"], ["y"], domain=domain, **attributes)


def external(location: str):
    tensor = onnx.helper.make_tensor("w", 1, [2], [1.0, 2.0])
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def test_standard_model_is_quiet(scan_bytes) -> None:
    data = model([node()], [onnx.helper.make_tensor("w", 1, [2], [1.0, 2.0])], metadata={"author": "me"})
    result = scan_bytes("a.onnx", data)
    assert result.loud == []
    assert "onnx_graph 1" in result.measurements["files_scanned"].note


def test_model_is_known_by_its_content(scan_bytes) -> None:
    data = model([node("Evil", "evil.ops")], [onnx.helper.make_tensor("w", 1, [5000], [0.0] * 5000)])
    assert scan_bytes("weights.dat", data).of("model.custom_operator")


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/passwd", "a/../../b", "C:\\x", "file:///etc/passwd", "a\x00b", "\\\\host\\x"]
)
def test_external_data_that_leads_out(scan_bytes, location: str) -> None:
    assert scan_bytes("a.onnx", model([node()], [external(location)])).severities("model.external_data") == {"high"}


@pytest.mark.parametrize("location", ["weights.bin", "data/weights..bin", "..weights"])
def test_external_data_beside_the_model(scan_bytes, location: str) -> None:
    assert scan_bytes("a.onnx", model([node()], [external(location)])).of("model.external_data") == []


def test_subgraphs_and_attribute_tensors_are_walked(scan_bytes) -> None:
    from onnx import helper

    inner = helper.make_graph([node("Evil", "evil.ops"), node("Constant", value=external("../k"))], "inner", [], [])
    for _ in range(5):
        inner = helper.make_graph([node("If", then_branch=inner, else_branch=inner)], "inner", [], [])
    result = scan_bytes("a.onnx", model([node("If", then_branch=inner, else_branch=inner)]))
    assert result.of("model.external_data")
    assert result.of("model.custom_operator")


def test_functions_of_the_model_are_no_custom_operators_and_are_walked(scan_bytes) -> None:
    from onnx import helper

    opset = [helper.make_opsetid("", 18)]
    own = helper.make_function("my.domain", "Own", ["x"], ["y"], [node("Evil", "evil.ops")], opset)
    found = scan_bytes("a.onnx", model([node("Own", "my.domain")], functions=[own])).of("model.custom_operator")
    assert ["evil.ops::Evil" in finding.message for finding in found] == [True]


def test_operator_that_calls_python(scan_bytes) -> None:
    assert scan_bytes("a.onnx", model([node("PyOp", "ai.onnx.contrib")])).severities("model.custom_operator") == {
        "high"
    }


def test_nesting_without_end(scan_bytes) -> None:
    def wrap(field: int, data: bytes) -> bytes:
        size = len(data)
        count = b""
        while size > 0x7F:
            count += bytes([size & 0x7F | 0x80])
            size >>= 7
        return bytes([field << 3 | 2]) + count + bytes([size]) + data

    graph = b""
    for _ in range(2_000):
        graph = wrap(1, wrap(5, wrap(6, graph)))
    result = scan_bytes("a.onnx", b"\x08\x08" + wrap(7, graph))
    assert any("nested" in finding.message for finding in result.of("model.malformed_model"))


def test_model_that_breaks_off(scan_bytes) -> None:
    assert scan_bytes("a.onnx", model([node()])[:-3]).of("model.malformed_model")
