"""Weights of programs without Python: held against the bytes, opaque ones said, code among them found."""

from __future__ import annotations

import json
import random
import struct

import pytest

PAYLOAD, BROKEN, INFO = "model.embedded_payload", "model.malformed_graph", "model.unread_layout"
BROUGHT, CUSTOM = "model.brought_code", "model.custom_operator"
NOISE = random.Random(0).randbytes(4096)


def ggml(kind: str = "ggjt", data: bytes = NOISE[:128], words: int = 2) -> bytes:
    magic = {"ggml": b"lmgg", "ggmf": b"fmgg", "ggjt": b"tjgg"}[kind]
    made = magic + (b"" if kind == "ggml" else struct.pack("<I", 3 if kind == "ggjt" else 1))
    made += struct.pack("<7i", words, 8, 8, 2, 1, 4, 0)
    for word in (b"a", b"bc")[:words]:
        made += struct.pack("<I", len(word)) + word + (b"" if kind == "ggml" else struct.pack("<f", 0.5))
    made += struct.pack("<3I", 2, 1, 0) + struct.pack("<2I", 8, 4) + b"w"
    return made + (bytes(-len(made) % 32) if kind == "ggjt" else b"") + data


@pytest.mark.parametrize("kind", ["ggml", "ggmf", "ggjt"])
def test_old_ggml_files(scan_bytes, elf: bytes, kind: str) -> None:
    result = scan_bytes("ggml-model.bin", ggml(kind))
    assert result.findings == []
    assert "ggml_legacy 1" in result.measurements["files_scanned"].note
    assert scan_bytes("m.bin", ggml(kind)[:-5]).severities(BROKEN) == {"medium"}
    assert scan_bytes("m.bin", ggml(kind, elf + bytes(128 - len(elf)))).severities(PAYLOAD) == {"high"}


def test_ggml_of_another_program_is_said_and_searched(scan_bytes, elf: bytes) -> None:
    whisper = b"lmgg" + struct.pack("<11i", 51864, 1500, 512, 8, 6, 448, 512, 8, 6, 80, 1) + NOISE
    assert {finding.rule for finding in scan_bytes("ggml-base.bin", whisper).findings} == {INFO}
    assert scan_bytes("ggml-base.bin", whisper + elf).severities(PAYLOAD) == {"high"}


def test_ggml_that_announces_too_much(scan_bytes) -> None:
    assert scan_bytes("m.bin", ggml("ggjt", words=2).replace(b"\x02\0\0\0\x08", b"\xff\xff\x3f\0\x08", 1)).of(BROKEN)
    made = ggml()
    place = made.index(b"w\0") - 8
    assert scan_bytes("m.bin", made[:place] + b"\xff" * 8 + made[place + 8 :]).of(BROKEN)


def piece(pb, text: str, kind: int = 1) -> bytes:
    raw = pb.field(1, text) + b"\x15" + struct.pack("<f", -1.0) + pb.field(3, kind)
    return pb.field(1, raw)


def test_sentencepiece(scan_bytes, pb, elf: bytes) -> None:
    made = piece(pb, "<unk>", 2) + piece(pb, "<s>", 3) + piece(pb, "\u2581the")
    made += pb.field(2, pb.field(1, "corpus.txt")) + pb.field(3, pb.field(2, NOISE))
    result = scan_bytes("tokenizer.model", made)
    assert result.loud == []
    assert "sentencepiece_model 1" in result.measurements["files_scanned"].note
    assert scan_bytes("tokenizer.model", made + pb.field(3, pb.field(2, elf + NOISE))).of(PAYLOAD)
    assert scan_bytes("tokenizer.model", made[:-3]).severities(BROKEN) == {"medium"}
    assert scan_bytes("tokenizer.model", made + pb.field(90, "x")).of(BROKEN)


def program(pb, *kinds: str) -> bytes:
    ops = b"".join(pb.field(4, pb.field(3, kind)) for kind in kinds)
    return pb.field(1, pb.field(1, 0) + pb.field(2, 0) + pb.field(3, pb.field(1, "x")) + ops)


@pytest.mark.parametrize("name", ["inference.pdmodel", "__model__", "m.bin"])
def test_paddle_programs(scan_bytes, pb, name: str) -> None:
    assert scan_bytes(name, program(pb, "conv2d", "relu")).findings == []
    assert scan_bytes(name, program(pb, "conv2d", "py_func")).severities(CUSTOM) == {"high"}
    assert scan_bytes(name, program(pb, "save_combine")).severities(CUSTOM) == {"medium"}


def paddle(pb, data: bytes) -> bytes:
    description = pb.field(1, 5) + pb.field(2, 4) + pb.field(2, len(data) // 16)
    return struct.pack("<IQIi", 0, 0, 0, len(description)) + description + data


def test_paddle_parameters(scan_bytes, pb, elf: bytes) -> None:
    made = paddle(pb, NOISE) + paddle(pb, NOISE[:64])
    assert scan_bytes("m.pdiparams", made).findings == []
    assert scan_bytes("m.pdiparams", made[:-1]).severities(BROKEN) == {"medium"}
    assert scan_bytes("m.pdiparams", paddle(pb, elf + NOISE[len(elf) :])).of(PAYLOAD)


def test_paddle_state_is_a_pickle(scan_bytes, op) -> None:
    evil = b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."
    assert scan_bytes("m.pdparams", evil).severities("model.pickle_call") == {"critical"}
    assert scan_bytes("m.pdiparams", evil).severities("model.pickle_call") == {"critical"}


def mxnet(data: bytes) -> bytes:
    array = struct.pack("<Iii2q3i", 0xF993FAC9, 0, 2, 4, len(data) // 16, 1, 0, 0) + data
    return struct.pack("<3Q", 0x112, 0, 1) + array + struct.pack("<QQ", 1, 3) + b"arg"


def test_mxnet_parameters(scan_bytes, elf: bytes) -> None:
    assert scan_bytes("m-0000.params", mxnet(NOISE)).findings == []
    assert scan_bytes("m.params", mxnet(NOISE)[:-4]).severities(BROKEN) == {"medium"}
    assert scan_bytes("m.params", mxnet(elf + NOISE[len(elf) :])).of(PAYLOAD)
    old = struct.pack("<3Q", 0x112, 0, 1) + struct.pack("<Ii", 0xF993FAC8, 0) + NOISE
    assert {finding.rule for finding in scan_bytes("m.params", old).findings} == {INFO}


def test_mxnet_symbols(scan_bytes) -> None:
    def symbol(*kinds: str, inner: object = ()) -> bytes:
        nodes = [{"op": kind, "name": "a", "inputs": []} for kind in kinds]
        nodes.append({"op": "_foreach", "name": "b", "subgraphs": list(inner), "inputs": []})  # type: ignore[arg-type]
        return json.dumps({"nodes": nodes, "arg_nodes": [0], "heads": [[0, 0, 0]]}).encode()

    assert scan_bytes("m-symbol.json", symbol("null", "Convolution")).findings == []
    assert scan_bytes("m-symbol.json", symbol("null", "_Native")).severities(CUSTOM) == {"high"}
    inner = {"nodes": [{"op": "Custom", "name": "c"}]}
    assert scan_bytes("net.json", symbol("null", inner=[inner])).severities(CUSTOM) == {"medium"}
    assert scan_bytes("m-symbol.json", symbol("null")[:-3]).of(BROKEN)


PYTHON_LAYER = """
name: "net" # layer { type: "Python" }
layer { name: "a" type: "Convolution" bottom: "data" convolution_param { num_output: 3 kernel_size: 3 } }
layer {
  name: "b"
  type: "Pyt" 'h\\x6fn'
  python_param { module: 'os' layer: "system" param_str: "id" }
}
"""


def test_caffe_networks(scan_bytes, pb, elf: bytes) -> None:
    plain = PYTHON_LAYER.partition("layer {\n")[0]
    assert scan_bytes("deploy.prototxt", plain.encode()).findings == []
    result = scan_bytes("deploy.prototxt", PYTHON_LAYER.encode())
    assert result.severities(CUSTOM) == {"high"}
    assert result.severities(BROUGHT) == {"high"}
    assert result.of(BROUGHT)[0].location.line == 7
    old = b'layers { name: "a" type: CONVOLUTION } layers { name: "b" type: PYTHON python_param { module: "mine" } }'
    assert scan_bytes("old.prototxt", old).severities(BROUGHT) == {"medium"}
    blobs = pb.field(7, pb.field(5, elf + NOISE))
    weights = pb.field(1, "net") + pb.field(
        100, pb.field(1, "a") + pb.field(2, "Convolution") + pb.field(7, pb.field(5, NOISE))
    )
    assert scan_bytes("m.caffemodel", weights).findings == []
    evil = pb.field(100, pb.field(2, "Python") + pb.field(130, pb.field(1, "os") + pb.field(2, "system")) + blobs)
    result = scan_bytes("m.caffemodel", weights + evil)
    assert result.severities(CUSTOM) == result.severities(BROUGHT) == {"high"}
    assert result.of(PAYLOAD)


def test_darknet_weights_are_said_to_be_opaque(scan_bytes, elf: bytes) -> None:
    head = struct.pack("<3iQ", 0, 2, 5, 32013312)
    assert {finding.rule for finding in scan_bytes("yolov3.weights", head + NOISE).findings} == {INFO}
    assert scan_bytes("yolov3.weights", head + NOISE + elf).of(PAYLOAD)
    assert scan_bytes("yolov3.weights", head + NOISE[:-1]).of(BROKEN)


def test_a_tensorrt_plan_is_said_not_to_be_read(scan_bytes) -> None:
    (skipped,) = scan_bytes("m.plan", b"ptrt" + NOISE).skipped
    assert "TensorRT engine" in skipped.reason
    assert scan_bytes("m.engine", b"\x00" + NOISE).skipped


def test_lora_adapters(scan_bytes, op) -> None:
    plain = {"peft_type": "LORA", "base_model_name_or_path": "meta-llama/Llama-3", "r": 8, "target_modules": ["q_proj"]}
    assert scan_bytes("adapter_config.json", json.dumps(plain).encode()).loud == []
    evil = {**plain, "auto_mapping": {"base_model_class": "Net", "parent_library": "subprocess"}}
    assert scan_bytes("adapter_config.json", json.dumps(evil).encode()).severities(BROUGHT) == {"high"}
    stream = b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."
    assert scan_bytes("adapter_model.bin", stream).severities("model.pickle_call") == {"critical"}
