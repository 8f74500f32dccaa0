"""Every rule about model files: one bad sample it reports and one good sample it does not."""

from __future__ import annotations

import base64
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

from hauberk.core.plugins import catalog, load
from hauberk.scanning.artifact import Artifact, Call, Import, Note, Operator, Place, Problem, Reference
from hauberk.scanning.kit import tools

EVIL = b"cos\nsystem\n(S'id'\ntR."
GOOD = pickle.dumps({"weights": [1.0, 2.0]})


def zipped(name: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, data)
    return stream.getvalue()


def tensors(start: int) -> bytes:
    raw = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [start, start + 4]}}).encode()
    return struct.pack("<Q", len(raw)) + raw + b"\x00" * (start + 4)


def artifact(format_name: str, **facts) -> Artifact:
    return Artifact(path="m", part="", format=format_name, size=1, **facts)


FILES = {
    "model.pickle_call": (("m.pkl", EVIL), ("m.pkl", GOOD)),
    "model.unsafe_global_imported": (("m.pkl", b"cos\nsystem\n."), ("m.pkl", b"ccollections\nOrderedDict\n.")),
    "model.malformed_pickle": (("m.pkl", GOOD[:-1]), ("m.pkl", GOOD)),
    "model.content_mismatch": (("cat.png", EVIL), ("cat.pkl", EVIL)),
    "model.archive_disagreement": (("a.zip", zipped("a", b"x")[:-30]), ("a.zip", zipped("a", b"x"))),
    "model.archive_escape": (("a.zip", zipped("../a", b"x")), ("a.zip", zipped("a/..b", b"x"))),
    "model.embedded_code": (("m.pt", zipped("m/lib.so", b"\x7fELF")), ("m.pt", zipped("m/readme", b"text"))),
    "model.safetensors_header": (("m.safetensors", tensors(4)), ("m.safetensors", tensors(0))),
    "model.malformed_model": (("m.npy", b"\x93NUMPY\x01\x00\x02\x00{}"), ("m.npy", b"")),
}
FACTS = {
    "model.graph_operator": (
        artifact("tensorflow_graph", operators=(Operator(domain="tensorflow", type="WriteFile"),)),
        artifact("tensorflow_graph", operators=(Operator(domain="tensorflow", type="SaveV2"),)),
    ),
    "model.keras_in_graph": (
        artifact("tensorflow_graph", operators=(Operator(domain="keras", type="Lambda"),)),
        artifact("tensorflow_graph", operators=(Operator(domain="keras", type="Dense"),)),
    ),
    "model.malformed_graph": (
        artifact("tflite_model", problems=(Problem(kind="malformed", message="an offset leads out"),)),
        artifact("tflite_model", problems=(Problem(kind="limit", message="too much"),)),
    ),
    "model.xml_entity": (
        artifact("pmml_model", references=(Reference(kind="xml-entity", value="x: file:///etc/passwd"),)),
        artifact("pmml_model", references=(Reference(kind="external-data", value="table.csv"),)),
    ),
    "model.embedded_payload": (
        artifact("safetensors", references=(Reference(kind="payload", value="an ELF program"),)),
        artifact("safetensors", references=(Reference(kind="external-data", value="weights.bin"),)),
    ),
    "model.model_metadata": (
        artifact("onnx_graph", notes=(Note(name="metadata:k", text="__import__('os').system('id')"),)),
        artifact("onnx_graph", notes=(Note(name="metadata:k", text="a model of the operating system os"),)),
    ),
    "model.skops_node": (
        artifact("skops_schema", calls=(Call(callable="os.system", effect="new"),)),
        artifact("skops_schema", calls=(Call(callable="sklearn.svm._classes.SVC", effect="new"),)),
    ),
    "model.external_data": (
        artifact("onnx_graph", references=(Reference(kind="external-data", value="../secret"),)),
        artifact("onnx_graph", references=(Reference(kind="external-data", value="weights.bin"),)),
    ),
    "model.custom_operator": (
        artifact("onnx_graph", operators=(Operator(domain="evil", type="Op"),)),
        artifact("onnx_graph", operators=(Operator(domain="com.microsoft", type="Gelu"),)),
    ),
    "model.embedded_code": (
        artifact("zip_archive", notes=(Note(name="code:m/code/a.py", text="x = torch.from_file('/etc/passwd')"),)),
        artifact("zip_archive", notes=(Note(name="code:m/code/a.py", text="x = torch.relu(y)"),)),
    ),
}
RULES = dict(tools().rules)


@pytest.mark.parametrize("rule", FILES)
def test_bad_file_is_reported_and_good_file_is_not(scan_bytes, rule: str) -> None:
    bad, good = FILES[rule]
    assert scan_bytes(*bad).of(rule)
    assert not scan_bytes(*good).of(rule)


@pytest.mark.parametrize("rule", FACTS)
def test_bad_facts_are_reported_and_good_facts_are_not(rule: str) -> None:
    bad, good = FACTS[rule]
    assert list(RULES[rule].check(bad))
    assert not list(RULES[rule].check(good))


def test_every_rule_has_samples() -> None:
    """Here, or in a file of its own that names it."""
    listed = {entry.name for entry in catalog("rules") if entry.name.startswith("model.")}
    here = set(FILES) | set(FACTS)
    assert here <= listed
    others = [path.read_text(encoding="utf-8") for path in Path(__file__).parents[2].rglob("test_*.py")]
    others = [text for text in others if "FILES = {" not in text]
    assert [name for name in sorted(listed - here) if not any(f'"{name}"' in text for text in others)] == []


@pytest.mark.parametrize("entry", [e for e in catalog("rules") if e.name.startswith("model.")], ids=lambda e: e.name)
def test_cards_and_docstrings_are_whole(entry) -> None:
    documentation = load("rules", entry.name).__doc__ or ""
    assert entry.card.severity in ("info", "low", "medium", "high", "critical")
    assert any(threat.startswith(("CWE-", "OWASP-")) for threat in entry.card.threats)
    assert all(section in documentation for section in ("What:", "Why:", "Fix:"))


def test_one_finding_for_each_callable_however_often_it_is_called(scan_bytes) -> None:
    result = scan_bytes("m.pkl", (EVIL[:-1] + b"0") * 50 + b"N.")
    found = result.of("model.pickle_call")
    assert len(found) == 1
    assert found[0].trace[-1].startswith("and ")


def test_wrapped_text_is_shown_plain(scan_bytes) -> None:
    code = base64.b64encode(b"import os; os.system('id')").decode()
    evil = f"cbuiltins\nexec\n(V__import__('base64').b64decode('{code}')\ntR.".encode()
    assert any("import os; os.system" in line for line in scan_bytes("m.pkl", evil).of("model.pickle_call")[0].trace)


def test_state_of_an_unknown_class_belongs_to_its_construction() -> None:
    calls = tuple(
        Call(callable=name, effect=effect, place=Place(offset=offset))
        for offset, (name, effect) in enumerate([("my.Net", "call"), ("my.Net.__setstate__", "state")])
    )
    assert len(list(RULES["model.pickle_call"].check(artifact("pickle_stream", calls=calls)))) == 1


def test_unknown_import_is_low_and_dangerous_import_is_high() -> None:
    facts = artifact("pickle_stream", imports=(Import(module="my", name="Net"), Import(module="os", name="system")))
    drafts = list(RULES["model.unsafe_global_imported"].check(facts))
    assert [draft.severity for draft in drafts] == ["low", None]


def test_limits_are_no_malformations() -> None:
    for format_name in ("pickle_stream", "zip_archive", "safetensors", "onnx_graph"):
        facts = artifact(format_name, problems=(Problem(kind="limit", message="too much"),))
        assert not [draft for rule in RULES.values() for draft in rule.check(facts)]
