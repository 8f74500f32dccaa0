"""PMML and OpenVINO: entities refused, extensions and paths judged, benign files quiet."""

from __future__ import annotations

import pytest

from hauberk.core.limits import Limits

ENTITY, CUSTOM, METADATA = "model.xml_entity", "model.custom_operator", "model.model_metadata"
EXTERNAL = "model.external_data"


def pmml(body: str = "", before: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">'
        f'<Header copyright="me"><Application name="test"/></Header><DataDictionary><DataField name="x" '
        f'optype="continuous" dataType="double"/></DataDictionary>{body}</PMML>'
    ).encode()


def openvino(layer: str = "", before: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>{before}<net name="m" version="11"><layers><layer id="0" name="x" type="Parameter" '
        f'version="opset1"><data shape="1,3" element_type="f32"/></layer>{layer}</layers><edges/>'
        f'<rt_info><Runtime_version value="2026.4.1-20000-abcdef"/></rt_info></net>'
    ).encode()


def layer(kind: str, version: str = "opset1", data: str = "") -> str:
    return f'<layer id="1" name="e" type="{kind}" version="{version}"><data {data}/></layer>'


def test_plain_files_are_quiet(scan_bytes) -> None:
    apply = '<DefineFunction name="f"/><Apply function="f"/><Apply function="sqrt"/>'
    assert scan_bytes("m.pmml", pmml(apply + '<Extension name="n" value="4"/>')).findings == []
    assert scan_bytes("m.xml", openvino()).findings == []


XXE = {
    "file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "address": '<!DOCTYPE a [<!ENTITY x PUBLIC "p" "http://x.y/z">]>',
    "parameter": '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://x.y/z"> %x;]>',
    "laughs": '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]>',
}


@pytest.mark.parametrize("kind", XXE)
@pytest.mark.parametrize(("name", "make"), [("m.pmml", pmml), ("m.xml", openvino), ("n.xml", pmml)])
def test_entities(scan_bytes, name: str, make, kind: str) -> None:
    assert scan_bytes(name, make("", XXE[kind])).severities(ENTITY) == {"high"}


def test_a_document_type_elsewhere(scan_bytes) -> None:
    data = pmml("", '<!DOCTYPE PMML SYSTEM "http://x.y/pmml.dtd">')
    assert scan_bytes("m.pmml", data).severities(ENTITY) == {"medium"}


def test_include_and_instruction_and_script(scan_bytes) -> None:
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'
    assert scan_bytes("m.pmml", pmml(include)).severities(ENTITY) == {"high"}
    style = '<?xml-stylesheet href="http://x/y.xsl"?>'
    assert scan_bytes("m.pmml", pmml("", style)).severities(ENTITY) == {"medium"}
    assert scan_bytes("m.pmml", pmml("<script>x</script>")).severities(ENTITY) == {"high"}


@pytest.mark.parametrize(
    "body",
    [
        "<Extension name=\"s\" value=\"__import__('os').system('id')\"/>",
        "<Extension><code>import os; os.system('id')</code></Extension>",
        '<Extension name="j">Runtime.getRuntime().exec("id")</Extension>',
        "<Annotation>eval(open('/x').read())</Annotation>",
    ],
)
def test_code_in_extensions(scan_bytes, body: str) -> None:
    assert scan_bytes("m.pmml", pmml(body)).severities(METADATA) == {"high"}


@pytest.mark.parametrize("function", ["java.lang.Runtime.exec", "com.example.Evil", "eval"])
def test_functions_of_the_host_program(scan_bytes, function: str) -> None:
    assert scan_bytes("m.pmml", pmml(f'<Apply function="{function}"/>')).severities(CUSTOM) == {"high"}


@pytest.mark.parametrize(
    ("extra", "rule"),
    [
        (layer("Evil", "extension"), CUSTOM), (layer("Evil", "my_ops"), CUSTOM),
        (layer("Const", data='weights_path="../../x.bin"'), EXTERNAL),
        (layer("C", data='library="/tmp/evil.so"'), EXTERNAL),
    ],
)  # fmt: skip
def test_openvino_extensions_and_paths(scan_bytes, extra: str, rule: str) -> None:
    assert scan_bytes("m.xml", openvino(extra)).of(rule)


@pytest.mark.parametrize(("name", "data"), [("m.pmml", pmml()), ("m.xml", openvino())])
def test_truncated(scan_bytes, name: str, data: bytes) -> None:
    for cut in range(data.index(b"version", 40), len(data), 7):
        assert scan_bytes(name, data[:cut]).of("model.malformed_graph"), cut


def test_nesting_and_length_end(scan_bytes) -> None:
    assert scan_bytes("m.pmml", pmml("<a>" * 50_000)).of("model.malformed_graph")
    many = scan_bytes("m.pmml", pmml("<a/>" * 50_000), Limits(nodes=1_000))
    assert many.skipped


def test_other_xml_is_not_judged(scan_bytes) -> None:
    result = scan_bytes("pom.xml", b'<?xml version="1.0"?><project><name>x</name></project>')
    assert result.findings == []
