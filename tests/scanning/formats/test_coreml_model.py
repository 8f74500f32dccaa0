"""Core ML models written by hand."""

from __future__ import annotations

import pytest

CUSTOM, EXTERNAL = "model.custom_operator", "model.external_data"


def network(pb, *layers: bytes) -> bytes:
    description = pb.message((100, pb.message((3, "me"))))
    return pb.message((1, 4), (2, description), (500, pb.message(*((1, one) for one in layers))))


def layer(pb, number: int = 140, inner: bytes = b"") -> bytes:
    return pb.message((1, "l"), (2, "x"), (3, "y"), (number, inner))


def program(pb, path: str) -> bytes:
    value = pb.message((5, pb.message((1, path), (2, 64))))
    operation = pb.message((1, "const"), (5, pb.message((1, "val"), (2, value))))
    block = pb.message((1, "CoreML5"), (2, pb.message((3, operation))))
    function = pb.message((2, "CoreML5"), (3, block))
    return pb.message((1, 6), (502, pb.message((1, 1), (2, pb.message((1, "main"), (2, function))))))


def test_plain_models_are_quiet(scan_bytes, pb) -> None:
    assert scan_bytes("m.mlmodel", network(pb, layer(pb))).findings == []
    assert scan_bytes("m.mlmodel", program(pb, "@model_path/weights/weight.bin")).findings == []


def test_custom_layer_and_custom_model(scan_bytes, pb) -> None:
    custom = layer(pb, 500, pb.message((10, "EvilLayer")))
    assert scan_bytes("m.mlmodel", network(pb, custom)).severities(CUSTOM) == {"medium"}
    model = pb.message((1, 3), (555, pb.message((10, "EvilModel"))))
    assert scan_bytes("m.mlmodel", model).severities(CUSTOM) == {"medium"}
    pipeline = pb.message((1, 3), (202, pb.message((1, model))))
    assert scan_bytes("m.mlmodel", pipeline).severities(CUSTOM) == {"medium"}


@pytest.mark.parametrize("path", ["../../x.bin", "/etc/passwd", "@model_path/../../x"])
def test_weights_that_lead_out(scan_bytes, pb, path: str) -> None:
    assert scan_bytes("m.mlmodel", program(pb, path)).severities(EXTERNAL) == {"high"}


def test_linked_model(scan_bytes, pb) -> None:
    linked = pb.message((1, pb.message((1, pb.message((1, "other"))), (2, pb.message((1, "/opt/x:.."))))))
    assert scan_bytes("m.mlmodel", pb.message((1, 4), (556, linked))).severities(EXTERNAL) == {"high"}


def test_metadata(scan_bytes, pb) -> None:
    user = pb.message((1, "note"), (2, "__import__('os').system('id')"))
    model = pb.message((1, 4), (2, pb.message((100, pb.message((100, user))))), (500, pb.message((1, layer(pb)))))
    assert scan_bytes("m.mlmodel", model).severities("model.model_metadata") == {"high"}


def test_broken_and_truncated(scan_bytes, pb) -> None:
    data = network(pb, layer(pb))
    for cut in range(1, len(data)):
        assert scan_bytes("m.mlmodel", data[:cut]).of("model.malformed_graph"), cut


def test_nested_without_end(scan_bytes, pb) -> None:
    model = pb.message((1, 3), (900, b""))
    for _ in range(300):
        model = pb.message((1, 3), (202, pb.message((1, model))))
    assert scan_bytes("m.mlmodel", model).of("model.malformed_graph")
