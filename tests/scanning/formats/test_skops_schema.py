"""skops schemas: what they name, the nodes that confuse a loader, and those skops itself writes."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact
from hauberk.scanning.blobs import MemberBlob
from hauberk.scanning.formats.skops_schema import SkopsSchema

NODE = "model.skops_node"


def node(loader: str, module: str, kind: str, **more: object) -> dict[str, object]:
    return {"__class__": kind, "__module__": module, "__loader__": loader, "__id__": 1, **more}


def skops(tree: object) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("schema.json", json.dumps(tree))
    return stream.getvalue()


def listed(*nodes: object) -> dict[str, object]:
    return node("ListNode", "builtins", "list", content=list(nodes))


def parsed(data: bytes) -> Artifact:
    blob = MemberBlob("m.skops", "schema.json", data, Limits())
    return SkopsSchema().parse(blob, Limits(), lambda name, data: ())


def test_names_are_stated_once() -> None:
    svc = node("ObjectNode", "sklearn.svm._classes", "SVC")
    found = parsed(json.dumps(listed(svc, svc, node("FunctionNode", "numpy", "log1p"))).encode())
    assert [(call.callable, call.effect) for call in found.calls] == [("sklearn.svm._classes.SVC", "new")]
    assert [(fact.module, fact.name) for fact in found.imports] == [("numpy", "log1p")]
    assert found.problems == ()


def test_what_skops_writes_is_not_loud(scan_bytes) -> None:
    sio = pytest.importorskip("skops.io")
    np = pytest.importorskip("numpy")
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    table, labels = np.arange(60.0).reshape(20, 3), np.arange(20) % 2
    models = [GradientBoostingClassifier(n_estimators=2), HistGradientBoostingClassifier(max_iter=2), SGDClassifier()]
    fitted = [make_pipeline(FunctionTransformer(np.log1p), model).fit(table, labels) for model in models]
    things = [*fitted, np.random.default_rng(0), np.array([1, "a", None], dtype=object), b"x", slice(1), {"a": 1.5}]
    assert scan_bytes("m.skops", sio.dumps(things)).loud == []


def test_a_bunch_of_named_estimators_fits_its_node_and_another_class_does_not(scan_bytes) -> None:
    def judged(kind: str) -> set[str]:
        tree = node("DictNode", "sklearn.utils._bunch", kind, content={}, key_types=listed())
        return scan_bytes("m.skops", skops(tree)).severities(NODE)

    assert judged("Bunch") == set()
    assert "high" in judged("Bunches")


def test_cve_2025_54412_an_operator_node_that_makes_something_else(scan_bytes) -> None:
    attrs = node("TupleNode", "builtins", "tuple", content=[node("JsonNode", "builtins", "str", content='"x"')])
    result = scan_bytes("m.skops", skops(listed(node("OperatorFuncNode", "builtins", "eval", attrs=attrs))))
    assert result.severities(NODE) == {"critical", "high"}
    assert any("CVE-2025-54412" in finding.message for finding in result.of(NODE))


@pytest.mark.parametrize("name", ["methodcaller", "attrgetter"])
def test_an_operator_that_reaches_further(scan_bytes, name: str) -> None:
    assert scan_bytes("m.skops", skops(listed(node("OperatorFuncNode", "operator", name)))).of(NODE)


def test_cve_2025_54413_a_method_read_off_another_object(scan_bytes) -> None:
    content = {"func": "__globals__", "obj": node("FunctionNode", "sklearn.utils", "resample")}
    tree = node("MethodNode", "sklearn.svm._classes", "SVC", content=content)
    result = scan_bytes("m.skops", skops(tree))
    assert "high" in result.severities(NODE)
    assert any("CVE-2025-54413" in finding.message for finding in result.of(NODE))


def test_cve_2025_54886_a_pickle_called_skops(scan_bytes, op) -> None:
    evil = op.call("os", "system", op.text("id")) + b"."
    assert "critical" in scan_bytes("m.skops", evil).severities("model.pickle_call")


@pytest.mark.parametrize(
    ("module", "kind", "severity"),
    [("os", "system", "critical"), ("wsgiref.simple_server", "WSGIServer", "high"), ("my.project", "Net", "medium")],
)
def test_an_object_nobody_vouches_for(scan_bytes, module: str, kind: str, severity: str) -> None:
    result = scan_bytes("m.skops", skops(listed(node("ObjectNode", module, kind))))
    assert result.severities(NODE) == {severity}


def test_a_dangerous_function_kept_for_later(scan_bytes) -> None:
    assert scan_bytes("m.skops", skops(listed(node("FunctionNode", "os", "system")))).severities(NODE) == {"high"}


def test_an_unknown_loader(scan_bytes) -> None:
    assert scan_bytes("m.skops", skops(node("PickleNode", "builtins", "bytes"))).severities(NODE) == {"medium"}


@pytest.mark.parametrize("raw", [b"{", b"[" * 200_000, b"\xff\xfe", b'{"a": 1}'])
def test_a_broken_schema_is_never_silent(scan_bytes, raw: bytes) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("schema.json", raw)
    assert scan_bytes("m.skops", stream.getvalue()).loud


def test_truncations_raise_nothing() -> None:
    whole = json.dumps(listed(node("ObjectNode", "sklearn.svm._classes", "SVC"))).encode()
    for end in range(len(whole)):
        assert parsed(whole[:end]).problems


def test_another_schema_json_is_left_alone(scan_bytes) -> None:
    assert scan_bytes("schema.json", b'{"type": "object", // a comment\n}').of(NODE) == []
    assert scan_bytes("schema.json", b'{"type": "object"}').loud == []
