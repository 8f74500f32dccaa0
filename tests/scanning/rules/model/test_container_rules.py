"""Names that lie about their content, files that are two things, settings that bring code: bad, good, hard to tell."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile

import pytest

MISMATCH, MALFORMED, CODE = "model.content_mismatch", "model.malformed_model", "model.brought_code"
CALL, NATIVE = "model.pickle_call", "model.embedded_code"
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(400)


@pytest.fixture
def evil(op) -> bytes:
    return b"\x80\x02" + op.call("os", "system", op.text("id")) + b"."


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tensor_file() -> bytes:
    raw = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(4)


@pytest.mark.parametrize(
    "name", ["labels.txt", "cat.png", "w.safetensors", "m.gguf", "m.onnx", "c.json", "m.h5", "a.csv"]
)
def test_cve_2025_1889_and_10155_a_pickle_by_another_name(scan_bytes, evil: bytes, name: str) -> None:
    result = scan_bytes(name, evil)
    assert result.severities(CALL) == {"critical"}
    assert result.severities(MISMATCH) == {"high"}


@pytest.mark.parametrize(
    "front", [tensor_file(), b"\x89PNG\r\n\x1a\n" + bytes(60), b"GGUF\x03\x00\x00\x00" + bytes(16)]
)
def test_an_archive_behind_another_file(scan_bytes, evil: bytes, front: bytes) -> None:
    name = {0x89: "a.png", 0x47: "m.gguf"}.get(front[0], "m.safetensors")
    result = scan_bytes(name, front + zipped({"m/data.pkl": evil}))
    assert result.severities(CALL) == {"critical"}
    assert "high" in result.severities(MISMATCH)


def test_tars_and_streams_by_other_names(scan_bytes) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    assert scan_bytes("a.yaml", stream.getvalue()).severities(MISMATCH) == {"high"}
    assert scan_bytes("a.csv", gzip.compress(b"a,b\n")).severities(MISMATCH) == {"medium"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.bin", pickle.dumps([1])),
        ("a.npz", zipped({"a.txt": b"x"})),
        ("a.csv.gz", gzip.compress(b"a,b\n", mtime=0)),
        ("a.txt", b"PK is short"),
    ],
    ids=["pickle", "zip", "gzip", "text"],
)
def test_names_that_fit(scan_bytes, name: str, data: bytes) -> None:
    assert not scan_bytes(name, data).of(MISMATCH)


def test_a_tar_that_holds_a_torch_file_last_is_no_polyglot(scan_bytes) -> None:
    stream = io.BytesIO()
    inner = zipped({"m/data.pkl": b"\x80\x02N.", "m/data/0": bytes(100)})
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in (("model_config.yaml", b"a: 1\n"), ("model_weights.ckpt", inner)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    assert scan_bytes("m.nemo", stream.getvalue()).loud == []


def test_a_zip_appended_to_a_tar_is_read(scan_bytes, evil: bytes) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    assert scan_bytes("m.nemo", stream.getvalue() + zipped({"m.pkl": evil})).severities(CALL) == {"critical"}


@pytest.mark.parametrize("name", ["m.pt", "m.ckpt", "a.npz", "a.npy", "a.7z", "m.nemo", "a.tar.gz", "m.mar"])
def test_a_models_name_on_bytes_that_are_none(scan_bytes, name: str) -> None:
    assert scan_bytes(name, b"\x11\x22\x00\x33" * 100).severities(MALFORMED) == {"medium"}


def test_names_that_other_things_have_too(scan_bytes) -> None:
    assert not scan_bytes("site.pth", b"/usr/lib/python3/dist-packages\n").of(MALFORMED)
    assert not scan_bytes("page.pt", b"<html tal:content='x'></html>").of(MALFORMED)
    table = bytes([0, 0, 5, 7]) * 100 + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
    assert not scan_bytes("model.ckpt", table).of(MALFORMED)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 5\n"
    assert scan_bytes("m.pt", pointer).severities(MALFORMED) == {"info"}


@pytest.mark.parametrize("name", ["pytorch_model.bin", "m.safetensors", "cat.jpg", "data.csv"])
def test_a_program_by_a_models_name(scan_bytes, name: str) -> None:
    assert scan_bytes(name, ELF).severities(NATIVE) == {"high"}


def test_native_code_in_a_wheel_is_what_wheels_are_for(scan_bytes) -> None:
    members = {"a/b.cpython-311.so": ELF, "a-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n"}
    assert not scan_bytes("a-1.0-py3-none-any.whl", zipped(members)).of(NATIVE)
    assert scan_bytes("m.pt", zipped({**members, "m/data.pkl": b"\x80\x02N."})).severities(NATIVE) == {"high"}


@pytest.mark.parametrize(
    ("name", "content", "severity"),
    [
        ("config.json", {"auto_map": {"AutoModel": "someone/else--modeling.Net"}}, "high"),
        ("config.json", {"auto_map": {"AutoModel": "modeling.Net"}}, "medium"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["../../x.Tok", None]}}, "high"),
        ("config.json", {"custom_pipelines": {"p": {"impl": "pipe.Pipe"}}}, "medium"),
        ("config.json", {"trust_remote_code": True}, "medium"),
        ("config.json", {"attn_implementation": "someone/kernel"}, "medium"),
        ("model_index.json", {"_class_name": "P", "unet": ["my_code", "Net"]}, "medium"),
        ("modules.json", [{"idx": 0, "path": "", "type": "os.system"}], "high"),
        ("modules.json", [{"idx": 0, "path": "", "type": "custom.Module"}], "medium"),
        ("adapter_config.json", {"auto_mapping": {"parent_library": "subprocess"}}, "high"),
        ("adapter_config.json", {"base_model_name_or_path": "../../../etc"}, "high"),
    ],
)
def test_settings_that_bring_code(scan_bytes, name: str, content: object, severity: str) -> None:
    assert scan_bytes(name, json.dumps(content).encode()).severities(CODE) == {severity}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", {"model_type": "bert", "attn_implementation": "flash_attention_2", "auto_map": None}),
        ("model_index.json", {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}),
        ("modules.json", [{"idx": 0, "path": "0_T", "type": "sentence_transformers.models.Transformer"}]),
        (
            "adapter_config.json",
            {
                "base_model_name_or_path": "/home/me/llama",
                "auto_mapping": {"parent_library": "transformers.models.llama"},
            },
        ),
        ("config.json", [1, 2]),
    ],
)
def test_settings_that_bring_none(scan_bytes, name: str, content: object) -> None:
    assert scan_bytes(name, json.dumps(content).encode()).loud == []


MLMODEL = """artifact_path: model
flavors:
  python_function:
    loader_module: {loader}
    model_path: {path}
    env: {{conda: conda.yaml, virtualenv: python_env.yaml}}
{more}  sklearn:
    pickled_model: model.pkl
    serialization_format: cloudpickle
"""


def test_mlflow_models(scan_bytes) -> None:
    good = MLMODEL.format(loader="mlflow.sklearn", path="model.pkl", more="")
    assert scan_bytes("MLmodel", good.encode()).loud == []
    coded = MLMODEL.format(loader="mlflow.sklearn", path="model.pkl", more="    code: code\n")
    assert scan_bytes("MLmodel", coded.encode()).severities(CODE) == {"low"}
    assert scan_bytes("MLmodel", MLMODEL.format(loader="my_loader", path="m", more="").encode()).severities(CODE) == {
        "medium"
    }
    assert scan_bytes("MLmodel", MLMODEL.format(loader="os", path="m", more="").encode()).severities(CODE) == {"high"}
    climbing = MLMODEL.format(loader="mlflow.sklearn", path="../../x", more="")
    assert scan_bytes("MLmodel", climbing.encode()).severities(CODE) == {"high"}


def test_programs_that_carry_a_model_are_programs(scan_bytes, op) -> None:
    ape = b"MZqFpD='\n" + bytes(200) + b"GGUF\x03\0\0\0" + bytes(50)
    assert scan_bytes("m.llamafile", ape).severities("model.embedded_code") == {"high"}
    tracker = b"\x80\x02" + op.call("xgboost.tracker", "RabitTracker", b"K\x01") + b"."
    assert scan_bytes("m.pkl", tracker).severities("model.pickle_call") == {"critical"}


def test_a_program_as_an_array(scan_bytes) -> None:
    from hauberk.scanning.payloads import in_bytes

    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\x3e\0\x01\0\0\0" + bytes(200)
    assert list(in_bytes(elf))
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(elf)},), }}".ljust(117) + "\n"
    array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    assert scan_bytes("w.npy", array + elf).severities("model.embedded_payload") == {"high"}
    assert scan_bytes("w.npy", array + b"\x3d\xcc\xcc\xcd" * (len(elf) // 4)).findings == []
