"""Keras files of every version: what they look up, the code they carry, the files they read; each CVE by name."""

from __future__ import annotations

import base64
import io
import json
import marshal
import zipfile

import pytest

OBJECT, LAMBDA = "model.keras_object", "model.keras_lambda"
DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3, "activation": "relu"}}


def model(*layers: object, **more: object) -> dict[str, object]:
    config = {"name": "m", "layers": [DENSE, *layers]}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None, **more}


def archive(config: object) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("metadata.json", json.dumps({"keras_version": "3.8.0"}))
        made.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
    return stream.getvalue()


def function(module: str, name: str) -> dict[str, object]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def layer(module: str, kind: str, /, **config: object) -> dict[str, object]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def code(source: str) -> str:
    """Compile, never run, and marshal."""
    return base64.b64encode(marshal.dumps(compile(source, "<test>", "eval"))).decode()


def evil_lambda(source: str) -> dict[str, object]:
    marshalled = {"class_name": "__lambda__", "config": {"code": code(source), "defaults": None, "closure": None}}
    return layer("keras.layers", "Lambda", name="l", function=marshalled)


@pytest.mark.parametrize("name", ["m.keras", "m.json", "odd.txt"])
def test_plain_model_is_silent(scan_bytes, name: str) -> None:
    custom = {"module": "my.layers", "class_name": "Mine", "config": {}, "registered_name": "my>Mine"}
    config = model(custom, layer("keras.src.layers.core.dense", "Dense", kernel_initializer="he_normal"))
    data = archive(config) if name == "m.keras" else json.dumps(config).encode()
    assert scan_bytes(name, data).loud == []


CRITICAL = {
    "CVE-2025-1550 module": layer("os", "system", command="id"),
    "CVE-2025-1550 function": layer("keras.layers", "Activation", activation=function("builtins", "exec")),
    "CVE-2025-1550 in a wrapper": layer("keras.layers", "TimeDistributed", layer=layer("subprocess", "Popen")),
    "CVE-2025-8747 get_file": layer("keras.layers", "Activation", activation=function("keras.utils", "get_file")),
    "CVE-2025-9906 switch": layer(
        "keras.layers", "Activation", activation=function("keras.config", "enable_unsafe_deserialization")
    ),
    "loader": function("keras.models", "load_model"),
    "func_load": function("keras.src.utils.python_utils", "func_load"),
    "numpy": function("numpy", "load"),
    "tensorflow": layer("tensorflow.io", "read_file"),
    "py_function": function("tensorflow", "py_function"),
    "dotted": {"class_name": "os.system", "config": {}},
    "old operator": {"class_name": "TFOpLambda", "config": {"function": "io.write_file"}},
    "old node": {"class_name": "TensorFlowOpLayer", "config": {"node_def": '{"op": "WriteFile"}'}},
    "old function by name": {"class_name": "Lambda", "config": {"function": "system", "module": "os"}},
}


@pytest.mark.parametrize("name", CRITICAL)
def test_what_acts_is_critical(scan_bytes, name: str) -> None:
    config = model(CRITICAL[name])
    assert "critical" in scan_bytes("m.keras", archive(config)).severities(OBJECT)
    assert "critical" in scan_bytes("m.json", json.dumps(config).encode()).severities(OBJECT)


def test_compile_config_is_judged_too(scan_bytes) -> None:
    config = model(compile_config={"optimizer": function("os", "system")})
    assert "critical" in scan_bytes("m.keras", archive(config)).severities(OBJECT)


def test_cve_2025_49655_torch_module_wrapper(scan_bytes, op) -> None:
    payload = base64.b64encode(b"\x80\x02" + op.call("posix", "system", op.text("id" * 9)) + b".").decode()
    result = scan_bytes("m.keras", archive(model(layer("keras.layers", "TorchModuleWrapper", module=payload))))
    assert "high" in result.severities(OBJECT)
    assert result.severities("model.pickle_call") == {"critical"}


@pytest.mark.parametrize("value", ["/etc/passwd", "../../secret", "http://169.254.169.254/x", "gs://bucket/v", "C:\\v"])
def test_cve_2025_12058_vocabulary(scan_bytes, value: str) -> None:
    config = model(layer("keras.layers", "StringLookup", vocabulary=value))
    assert "high" in scan_bytes("m.keras", archive(config)).severities(OBJECT)


def test_vocabulary_of_words_is_silent(scan_bytes) -> None:
    config = model(layer("keras.layers", "StringLookup", vocabulary=["/etc", "b"]), layer("keras.layers", "Hashing"))
    assert scan_bytes("m.keras", archive(config)).loud == []


def test_names_split_over_repeated_keys(scan_bytes) -> None:
    text = json.dumps(model()).replace('"module": "keras.layers"', '"module": "os", "module": "keras.layers"')
    assert "critical" in scan_bytes("m.keras", archive(text.replace("Dense", "system"))).severities(OBJECT)


def test_names_in_escapes(scan_bytes) -> None:
    text = json.dumps(model(layer("os", "system"))).replace("class_name", "cl\\u0061ss_name").replace("os", "\\u006fs")
    assert "critical" in scan_bytes("m.json", text.encode()).severities(OBJECT)


@pytest.mark.parametrize("module", ["evil.payload", "sitecustomize"])
def test_module_of_others_is_medium(scan_bytes, module: str) -> None:
    assert "medium" in scan_bytes("m.keras", archive(model(layer(module, "Layer")))).severities(OBJECT)


def test_safe_mode_switched_off(scan_bytes) -> None:
    assert "high" in scan_bytes("m.keras", archive(model(safe_mode=False))).severities(OBJECT)


SOURCES = {
    "CVE-2024-3660 import": "lambda x: __import__('os').system('id') or x",
    "eval": "lambda x: eval('1') + x",
    "open": "lambda x: open('/etc/passwd').read()",
    "subclasses": "lambda x: ().__class__.__base__.__subclasses__()",
    "inner": "lambda x: [(lambda y: exec(y))(z) for z in x]",
}


@pytest.mark.parametrize("name", SOURCES)
def test_code_that_reaches_out(scan_bytes, name: str) -> None:
    config = model(evil_lambda(SOURCES[name]))
    found = scan_bytes("m.keras", archive(config)).of(LAMBDA)
    assert [one.severity for one in found] == ["critical"]
    assert found[0].trace


def test_code_of_the_second_keras(scan_bytes) -> None:
    old = {"function": [code("lambda x: __import__('os').system('id')"), None, None], "function_type": "lambda"}
    for config in (old, {**old, "function": "f", "output_shape": old["function"], "output_shape_type": "lambda"}):
        data = json.dumps(model({"class_name": "Lambda", "config": config})).encode()
        assert "critical" in scan_bytes("m.json", data).severities(LAMBDA)


def test_code_of_the_first_keras(scan_bytes) -> None:
    raw = marshal.dumps(compile("lambda x: __import__('os').system('id')", "<test>", "eval")).decode("latin-1")
    data = json.dumps(model({"class_name": "Lambda", "config": {"function": [raw, None, None]}})).encode()
    assert "critical" in scan_bytes("m.json", data).severities(LAMBDA)


def test_arithmetic_is_medium(scan_bytes) -> None:
    config = model(evil_lambda("lambda x: K.mean(x, axis=1) / 255"))
    assert scan_bytes("m.keras", archive(config)).severities(LAMBDA) == {"medium"}


def test_unreadable_code_is_high(scan_bytes) -> None:
    marshalled = {"class_name": "__lambda__", "config": {"code": base64.b64encode(b"\x01\x02" * 40).decode()}}
    config = model(layer("keras.layers", "Lambda", function=marshalled))
    assert scan_bytes("m.keras", archive(config)).severities(LAMBDA) == {"high"}


@pytest.mark.parametrize("stop", range(1, 160, 13))
def test_configuration_that_breaks_off(scan_bytes, stop: int) -> None:
    text = json.dumps(model())[:stop]
    assert scan_bytes("m.keras", archive(text)).of("model.malformed_settings")


def test_deep_nesting_ends(scan_bytes) -> None:
    text = '{"class_name":"A","config":' * 20_000 + "1" + "}" * 20_000
    result = scan_bytes("config.json", text.encode())
    assert result.skipped


def test_yaml_model(scan_bytes) -> None:
    text = "class_name: Sequential\nconfig:\n  layers:\n  - class_name: Lambda\n    config:\n      function: system\n"
    assert "critical" in scan_bytes("m.yaml", f"{text}      module: os\n".encode()).severities(OBJECT)


def test_cve_2021_37678_yaml_tag(scan_bytes) -> None:
    text = "class_name: Sequential\nconfig: !!python/object/apply:os.system ['id']\n"
    assert scan_bytes("m.yaml", text.encode()).severities("model.yaml_object") == {"critical"}


@pytest.mark.parametrize(
    "module",
    [
        "keras.src.backend.torch.optimizers.torch_adam", "keras.src.backend.tensorflow.optimizer", "keras.optimizers",
        "keras.optimizer_v2.adam", "keras.optimizers.optimizer_experimental.adam", "keras.src.backend.common.variables",
        "tensorflow.python.keras.optimizer_v2.adam", "keras.src.optimizers.adam",
    ],
)  # fmt: skip
def test_optimizers_of_every_backend_are_parts(scan_bytes, module: str) -> None:
    compiled = {"optimizer": {"module": module, "class_name": "Adam", "config": {"learning_rate": 0.1}}}
    assert scan_bytes("m.keras", archive(model(compile_config=compiled))).of(OBJECT) == []


@pytest.mark.parametrize("name", ["custom_gradient", "get_file", "os.system"])
def test_functions_of_a_backend_are_no_parts(scan_bytes, name: str) -> None:
    found = {"optimizer": {"module": "keras.src.backend.torch.core", "class_name": name, "config": {}}}
    assert scan_bytes("m.keras", archive(model(compile_config=found))).severities(OBJECT) == {"critical"}


@pytest.mark.parametrize("kind", ["lambda", "function", ""])
def test_code_in_a_tuple_or_without_its_kind(scan_bytes, kind: str) -> None:
    text = code("lambda x: __import__('os').system('id')")
    for function in (
        {"class_name": "__tuple__", "items": [text, None, None]},
        [text, None, None],
        text,
    ):
        made = layer("keras.layers", "Lambda", function=function, function_type=kind)
        assert "critical" in scan_bytes("m.keras", archive(model(made))).severities(LAMBDA), function
