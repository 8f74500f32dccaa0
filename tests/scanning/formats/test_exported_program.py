"""torch.export archives and TorchScript programs: targets, evaluated expressions, names that reach out."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

CUSTOM, CODE = "model.custom_operator", "model.embedded_code"


def archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        for name, data in members.items():
            zipped.writestr(name, data)
    return stream.getvalue()


def program(target: str = "torch.ops.aten.relu.default", expression: str = "s0 + 1") -> bytes:
    graph = {
        "nodes": [{"target": target, "inputs": [], "outputs": [], "metadata": {"stack_trace": "import os"}}],
        "sym_int_values": {"s0": {"as_expr": {"expr_str": expression, "hint": {"as_int": 2}}}},
    }
    return json.dumps({"graph_module": {"graph": graph, "signature": {}}, "opset_version": {"aten": 10}}).encode()


def pt2(data: bytes, **more: bytes) -> bytes:
    members = {"m/models/model.json": data, "m/archive_format": b"pt2", "m/byteorder": b"little"}
    return archive({**members, **more})


TARGETS = {
    "torch.ops.aten.conv2d.default": None,
    "torch.ops.higher_order.cond": None,
    "_operator.getitem": None,
    "torch.sym_int": None,
    "math.ceil": None,
    "torch.ops.mylib.op.default": "medium",
    "torch.ops.aten.from_file.default": "high",
    "torch.serialization.os.system": "high",
    "torch.hub.load": "high",
    "os.system": "high",
    "torch.ops.load_library": "high",
    "_operator.__class__.x": "high",
    "math.__loader__.load_module": "high",
}


@pytest.mark.parametrize("target", TARGETS)
def test_targets(scan_bytes, target: str) -> None:
    severity = TARGETS[target]
    result = scan_bytes("m.pt2", pt2(program(target)))
    assert result.severities(CUSTOM) == ({severity} if severity else set())


def test_the_older_layout(scan_bytes) -> None:
    data = archive({"serialized_exported_program.json": program("os.system"), "version": b"8.2"})
    assert scan_bytes("m.pt2", data).severities(CUSTOM) == {"high"}


@pytest.mark.parametrize(
    ("expression", "evaluated"),
    [
        ("s0*s1 + Mod(s2, 8)", False), ("Max(1, s0//2)", False), ("(2**s0) <= 64", False),
        ("__import__('os').system('id')", True), ("().__class__.__bases__", True), ("exec('x')", True),
        ("open('/etc/passwd').read()", True),
    ],
)  # fmt: skip
def test_expressions_that_the_loader_evaluates(scan_bytes, expression: str, evaluated: bool) -> None:
    result = scan_bytes("m.pt2", pt2(program(expression=expression)))
    assert result.severities(CODE) == ({"high"} if evaluated else set())


def test_native_code_in_an_archive(scan_bytes) -> None:
    data = pt2(program(), **{"m/data/aotinductor/model/x.so": b"\x7fELF"})
    assert "high" in scan_bytes("m.pt2", data).severities(CODE)


def test_broken_json(scan_bytes) -> None:
    assert scan_bytes("m.pt2", pt2(program()[:-3])).of("model.malformed_graph")
    nested = b'{"graph_module": ' + b"[" * 100_000
    assert scan_bytes("m.pt2", pt2(nested)).of("model.malformed_graph")


REACHING = {
    'return torch.from_file("/etc/passwd", False, 4)': "high",
    'torch . from_file("/etc/passwd")': "high",
    "torch.\\\n    from_file(x)": "high",
    'torch.save(x, "/tmp/x")': "high",
    "ops.aten.from_file(x)": "high",
    "ops.inductor._reinterpret_tensor(x)": "high",
    "ops.prim.CallPython(x)": "high",
    "ops.evil.run(x)": "medium",
    "c = __torch__.torch.classes.evil.Runner(x)": "medium",
    'return torch.conv2d(x, w, None, [1, 1], [0, 0], "from_file torch.save(")': "",
    "return ops.quantized.linear(x, w)  # torch.from_file": "",
    "return torch.load_balance(x)": "",
}


@pytest.mark.parametrize("line", REACHING)
def test_cve_2025_32434_torchscript_that_reaches_out(scan_bytes, line: str) -> None:
    code = f"class Net(Module):\n  def forward(self, x: Tensor) -> Tensor:\n    {line}\n"
    members = {"m/data.pkl": b"\x80\x02}.", "m/constants.pkl": b"\x80\x02).", "m/code/__torch__.py": code.encode()}
    assert scan_bytes("m.pt", archive(members)).severities(CODE) == {"low", REACHING[line]} - {""}


def test_files_of_the_real_writer_are_quiet(scan_bytes) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval()
    stream = io.BytesIO()
    torch.export.save(torch.export.export(model, (torch.zeros(1, 1, 5, 5),)), stream)
    result = scan_bytes("m.pt2", stream.getvalue())
    assert result.loud == []
    assert "exported_program 1" in result.measurements["files_scanned"].note
