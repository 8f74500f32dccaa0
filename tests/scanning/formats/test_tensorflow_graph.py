"""TensorFlow graphs written by hand: what leaves the graph is found wherever it stands; what only computes is quiet."""

from __future__ import annotations

import json

import pytest

RULE = "model.graph_operator"


def saved(pb, *nodes, **more) -> bytes:
    return pb.saved_model(pb.graph(*nodes, **more))


def test_a_computing_model_is_quiet(scan_bytes, pb) -> None:
    nodes = [
        pb.node("x", "Placeholder"),
        pb.node("y", "MatMul", "x", "x"),
        pb.node("z", "StatefulPartitionedCall", "y"),
        pb.constant("save/prefix", "model"),
        pb.node("save", "SaveV2", "save/prefix"),
        pb.node("log", "PrintV2", "y", output_stream=pb.field(2, "stderr")),
    ]
    result = scan_bytes("saved_model.pb", saved(pb, *nodes))
    assert result.loud == []
    assert "tensorflow_graph 1" in result.measurements["files_scanned"].note


@pytest.mark.parametrize("name", ["saved_model.pb", "weights.dat", "model.bin", "a"])
def test_the_name_does_not_hide_a_saved_model(scan_bytes, pb, name: str) -> None:
    assert scan_bytes(name, saved(pb, pb.node("f", "PyFunc", "x"))).severities(RULE) == {"critical"}


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        ("PyFunc", "critical"), ("PyFuncStateless", "critical"), ("EagerPyFunc", "critical"), ("NumpyFunc", "critical"),
        ("ShellExecute", "critical"), ("LoadLibrary", "critical"), ("WriteFile", "high"), ("RemoteCall", "high"),
        ("ImmutableConst", "high"), ("SaveDatasetV2", "high"), ("ReadFile", "medium"), ("TextLineDataset", "medium"),
        ("MatchingFiles", "medium"), ("MyCompanysOp", "medium"),
    ],
)  # fmt: skip
def test_operators_that_leave_the_graph(scan_bytes, pb, kind: str, severity: str) -> None:
    assert scan_bytes("g.pb", pb.graph(pb.node("x", "Placeholder"), pb.node("f", kind, "x"))).severities(RULE) == {
        severity
    }


def test_inside_a_function_of_the_library(scan_bytes, pb) -> None:
    inner = pb.function("__inference_f_1", pb.node("p", "PyFunc", "x"))
    call = pb.node("c", "PartitionedCall", "x", f=pb.field(10, pb.field(1, "__inference_f_1")))
    assert scan_bytes("saved_model.pb", saved(pb, call, functions=(inner,))).severities(RULE) == {"critical"}


def test_a_function_of_the_model_is_no_unknown_operator(scan_bytes, pb) -> None:
    inner = pb.function("my_layer", pb.node("r", "Relu", "x"))
    assert scan_bytes("saved_model.pb", saved(pb, pb.node("c", "my_layer", "x"), functions=(inner,))).loud == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../../secret", "C:\\secret", "file:///etc/passwd", "~/.ssh/id_rsa"])
@pytest.mark.parametrize("kind", ["RestoreV2", "SaveV2", "MergeV2Checkpoints", "InitializeTableFromTextFileV2"])
def test_a_normal_operator_with_a_path_that_leads_out(scan_bytes, pb, kind: str, path: str) -> None:
    nodes = [pb.constant("p", path), pb.node("i", "Identity", "p:0"), pb.node("r", kind, "i")]
    assert scan_bytes("saved_model.pb", saved(pb, *nodes)).severities(RULE) == {"high"}


def test_a_read_with_a_path_of_its_own_is_high(scan_bytes, pb) -> None:
    nodes = [pb.constant("p", "/etc/passwd"), pb.node("r", "ReadFile", "p")]
    found = scan_bytes("saved_model.pb", saved(pb, *nodes)).of(RULE)
    assert [item.severity for item in found] == ["high"]
    assert "/etc/passwd" in found[0].trace[0]


def test_print_to_a_file(scan_bytes, pb) -> None:
    node = pb.node("p", "PrintV2", "x", output_stream=pb.field(2, "file:///tmp/out"))
    assert scan_bytes("saved_model.pb", saved(pb, node)).severities(RULE) == {"high"}


def test_debug_tensors_sent_away(scan_bytes, pb) -> None:
    urls = pb.field(1, pb.field(2, "grpc://10.0.0.1:9"))
    node = pb.node("d", "DebugIdentityV2", "x", debug_urls=urls)
    assert scan_bytes("saved_model.pb", saved(pb, node)).severities(RULE) == {"high"}


def test_a_compiled_function_that_comes_back_to_python(scan_bytes, pb) -> None:
    node = pb.node("x", "XlaCallModule", "a", module=pb.field(2, b"ML\xefR xla_ffi_python_cpu_callback"))
    assert scan_bytes("saved_model.pb", saved(pb, node)).severities(RULE) == {"critical"}
    node = pb.node("x", "XlaCallModule", "a", module=pb.field(2, b"ML\xefR stablehlo.add"))
    assert scan_bytes("saved_model.pb", saved(pb, node)).loud == []


def test_an_asset_that_leads_out(scan_bytes, pb) -> None:
    graph = pb.graph(pb.node("x", "Placeholder"))
    bad = pb.saved_model(graph, (6, pb.field(2, "../../etc/passwd")))
    assert scan_bytes("saved_model.pb", bad).severities("model.external_data") == {"high"}
    assert scan_bytes("saved_model.pb", pb.saved_model(graph, (6, pb.field(2, "vocab.txt")))).loud == []


def test_cve_2024_3660_lambda_in_a_saved_model(scan_bytes, pb) -> None:
    config = json.dumps({"class_name": "Lambda", "config": {"function": {"items": ["4wEA", None, None]}}})
    layer = pb.message((1, "_tf_keras_layer"), (3, config))
    objects = pb.field(1, pb.field(4, layer))
    data = pb.saved_model(pb.graph(pb.node("x", "Placeholder")), (7, objects))
    assert scan_bytes("saved_model.pb", data).severities("model.keras_in_graph") == {"high"}


def test_cve_2024_3660_lambda_in_keras_metadata(scan_bytes, pb) -> None:
    for kind, expected in (("Lambda", {"high"}), ("Dense", set())):
        node = pb.message((4, "_tf_keras_layer"), (5, json.dumps({"class_name": kind, "config": {}})))
        result = scan_bytes("keras_metadata.pb", pb.field(1, node))
        assert result.severities("model.keras_in_graph") == expected


def test_truncated_at_every_byte(scan_bytes, pb) -> None:
    data = saved(pb, pb.node("x", "Placeholder"), pb.node("y", "Relu", "x"), pb.constant("c", "text"))
    for cut in range(1, len(data)):
        assert scan_bytes("saved_model.pb", data[:cut]).findings, cut


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 40, b"\x08\x01\x12\xff\xff\xff\xff\x7f"])
def test_no_graph_at_all(scan_bytes, data: bytes) -> None:
    assert scan_bytes("saved_model.pb", data).findings or not data


def test_the_fingerprint_beside_a_saved_model_is_none(scan_bytes, pb) -> None:
    assert scan_bytes("fingerprint.pb", pb.message((1, 1 << 60), (2, 7))).findings == []


def test_another_protobuf_is_named_in_a_low_voice(scan_bytes, pb) -> None:
    result = scan_bytes("other.pb", pb.message((9, "text"), (12, 5)))
    assert result.severities("model.malformed_graph") == {"low"}


def test_a_loop_of_identities_ends(scan_bytes, pb) -> None:
    nodes = [pb.node("a", "Identity", "b"), pb.node("b", "Identity", "a"), pb.node("r", "RestoreV2", "a")]
    assert scan_bytes("saved_model.pb", saved(pb, *nodes)).loud == []


# --- as text


def test_text_graph(scan_bytes) -> None:
    good = 'node { name: "x" op: "Placeholder" }\nnode { name: "y" op: "Relu" input: "x" }\n'
    assert scan_bytes("g.pbtxt", good.encode()).loud == []
    assert scan_bytes("g.pbtxt", (good + 'node { op: "PyFunc" }').encode()).severities(RULE) == {"critical"}


@pytest.mark.parametrize(
    "written", ['"Py" "Func"', r'"\120yFunc"', r'"\x50yFunc"', "'PyFunc'", '"Py"\n  # between\n "Func"', '"PyFunc";']
)
def test_text_spelled_otherwise(scan_bytes, written: str) -> None:
    data = f'node {{ name: "x" op: {written} }}\n'.encode()
    assert scan_bytes("g.pbtxt", data).severities(RULE) == {"critical"}


def test_text_that_breaks_off(scan_bytes) -> None:
    assert scan_bytes("g.pbtxt", b'node { name: "x" op: "Relu"').of("model.malformed_graph")


def test_text_path(scan_bytes) -> None:
    data = b'node { op: "ReadFile" }\nnode { op: "Const" attr { value { tensor { string_val: "/etc/passwd" } } } }\n'
    assert scan_bytes("g.pbtxt", data).severities(RULE) == {"high"}


# --- checkpoints


MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")


def test_checkpoint_index(scan_bytes) -> None:
    whole = b"\x00\x00\x06\x08\x01" + bytes(60) + MAGIC
    assert scan_bytes("variables.index", whole).loud == []
    assert scan_bytes("variables.index", whole[:-4]).of("model.malformed_graph")


def test_checkpoint_shard(scan_bytes, elf: bytes) -> None:
    assert scan_bytes("variables.data-00000-of-00001", bytes(4096)).loud == []
    assert scan_bytes("variables.data-00000-of-00001", bytes(4096) + elf).severities("model.embedded_payload") == {
        "high"
    }


def test_fields_that_no_graph_has_do_not_hide_it(scan_bytes, pb) -> None:
    odd = pb.field(100, "x") + pb.field(2, 5)
    graph = pb.graph(pb.node("f", "PyFunc", "x"))
    assert scan_bytes("g.pb", odd + graph).severities(RULE) == {"critical"}
    turned = pb.field(7, "x") + saved(pb, pb.node("f", "PyFunc", "x"))
    assert scan_bytes("saved_model.pb", turned).severities(RULE) == {"critical"}


def test_a_lone_onnx_tensor_is_no_broken_graph(scan_bytes, pb) -> None:
    tensor = pb.message((1, 2), (2, 1), (8, "input"), (9, bytes(8)))
    result = scan_bytes("input_0.pb", tensor)
    assert result.findings == []
    assert "onnx_tensor 1" in result.measurements["files_scanned"].note
    short = pb.message((1, 3), (2, 1), (9, bytes(8)))
    assert scan_bytes("input_0.pb", short).severities("model.malformed_model") == {"medium"}
    outside = pb.message((1, 2), (2, 1), (13, pb.message((1, "location"), (2, "../../etc/passwd"))), (14, 1))
    assert scan_bytes("w.pb", outside).severities("model.external_data") == {"high"}
