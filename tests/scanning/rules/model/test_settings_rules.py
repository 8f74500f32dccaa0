"""Settings in YAML and JSON: tags and keys that make objects, targets that are called."""

from __future__ import annotations

import json

import pytest

YAML, TARGET = "model.yaml_object", "model.config_target"

CRITICAL = {
    "apply": "a: !!python/object/apply:os.system ['id']",
    "new": "a: !!python/object/new:subprocess.Popen [['id']]",
    "name": "a: !!python/name:os.system",
    "module": "a: !!python/module:pty",
    "object": "a: !!python/object:subprocess.Popen {}",
    "verbatim": "a: !<tag:yaml.org,2002:python/object/apply:os.system> ['id']",
    "own handle": "%TAG ! tag:yaml.org,2002:python/\n---\na: !object/apply:os.system ['id']",
    "escaped": "a: !!python/object%2Fapply:os.system ['id']",
    "CVE-2020-1747": "a: !!python/object/new:type\n  args: ['z', !!python/tuple [], {'extend': !!python/name:exec }]\n",
    "CVE-2020-14343": "!!python/object/new:tuple [!!python/object/new:map [!!python/name:eval , ['1']]]",
    "second document": "a: 1\n---\nb: !!python/object/apply:os.system ['id']",
    "before a fault": "a: !!python/object/apply:os.system ['id']\nb: [1,",
    "behind a fault": "b: {1,\n]\na: !!python/object/apply:os.system ['id']",
    "as a key": "? !!python/object/apply:os.system ['id']\n: 1",
    "HyperPyYAML": "a: !apply:os.system ['id']",
    "builtin": "a: !!python/object/apply:eval ['1']",
}


@pytest.mark.parametrize("name", CRITICAL)
def test_tags_that_run(scan_bytes, name: str) -> None:
    assert "critical" in scan_bytes("config.yaml", CRITICAL[name].encode()).severities(YAML)


@pytest.mark.parametrize("tag", ["ruby/object:Gem::Installer", "javax.script.ScriptEngineManager"])
def test_tags_of_other_languages(scan_bytes, tag: str) -> None:
    assert "high" in scan_bytes("config.yaml", f"a: !!{tag} {{}}".encode()).severities(YAML)


GOOD = {
    "tuple": "a: !!python/tuple [1, 2]\nb: !!python/unicode 'x'\nc: !!set {1, 2}\nd: !!binary aGk=",
    "namespace": "hparams: !!python/object:argparse.Namespace\n  lr: 0.1",
    "path": "a: !!python/object/apply:pathlib.PosixPath ['a', 'b']",
    "cloud": "a: !Ref b\nc: !Sub 'x-${d}'\ne: !GetAtt f.g",
    "HyperPyYAML": "a: !new:torch.nn.Linear\n  in: 3\nb: !name:my.module.f\nc: !ref <a>",
    "anchors": "a: &x [1, 2]\nb: *x\nc:\n  <<: {d: 1}",
    "hydra": "optim:\n  _target_: torch.optim.AdamW\n  lr: 0.1\nnet:\n  _target_: project.models.Net",
    "partial": "a:\n  _target_: functools.partial\n  _args_: [1]",
    "workflow": "jobs:\n  a:\n    if: ${{ ! github.event.head_commit.message }}",
    "no tag": "a: 'use !!python/object/apply:os.system never'\n# !!python/name:os.system",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_settings_are_for_is_silent(scan_bytes, name: str) -> None:
    result = scan_bytes("config.yaml", GOOD[name].encode())
    assert [line for line in result.loud if "model." in line] == []


def test_place_and_arguments_are_told(scan_bytes) -> None:
    found = scan_bytes("config.yaml", b"a: 1\nb: !!python/object/apply:os.system ['id -u']").of(YAML)[0]
    assert found.location.line == 2
    assert "id -u" in found.message


def test_aliases_of_aliases_cost_nothing(scan_bytes) -> None:
    lines = ["a0: &a0 ['x', 'x']", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40))]
    assert scan_bytes("config.yaml", "\n".join([*lines, "_target_: x"]).encode()).of(YAML) == []


def test_deep_yaml_ends(scan_bytes) -> None:
    assert scan_bytes("config.yaml", b"a: !x " + b"[" * 50_000).skipped


PICKLED = {
    "reduce": {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["id"]}]},
    "object": {"py/object": "subprocess.Popen", "args": ["id"]},
    "function": {"a": [{"py/function": "builtins.eval"}]},
    "repr": {"py/repr": "os/os.system('id')"},
    "own": {"__reduce__": ["os.system", ["id"]]},
}


@pytest.mark.parametrize("name", PICKLED)
def test_json_that_makes_objects(scan_bytes, name: str) -> None:
    assert "critical" in scan_bytes("state.json", json.dumps(PICKLED[name]).encode()).severities(YAML)


def test_json_of_plain_values_is_silent(scan_bytes) -> None:
    data = {"py": 1, "class": "a", "object": "os.system", "nested": [{"a": "py/object"}]}
    assert scan_bytes("state.json", json.dumps(data).encode()).loud == []


TARGETS = {
    "os": "_target_: os.system\ncommand: id",
    "subprocess": "a:\n  - b:\n      _target_: subprocess.run\n      args: [id]",
    "eval": "_target_: builtins.eval\n_args_: ['1']",
    "bare": "_target_: eval",
    "looked up": "_target_: hydra.utils.get_method\npath: os.system",
    "pydoc": "_target_: pydoc.locate\npath: os.system",
    "through an alias": "x: &t os.system\na:\n  _target_: *t",
    "module of another": "_target_: torch.serialization.os.system",
}


@pytest.mark.parametrize("name", TARGETS)
def test_cve_2025_23304_targets_that_run(scan_bytes, name: str) -> None:
    assert scan_bytes("config.yaml", TARGETS[name].encode()).severities(TARGET) == {"critical"}


def test_target_in_json(scan_bytes) -> None:
    assert scan_bytes("model.json", b'{"a": {"_target_": "os.system"}}').severities(TARGET) == {"critical"}


@pytest.mark.parametrize(
    ("target", "severity"), [("torch.hub.load", "medium"), ("torch.utils.cpp_extension.load_inline", "high")]
)
def test_targets_of_frameworks(scan_bytes, target: str, severity: str) -> None:
    assert scan_bytes("config.yaml", f"_target_: {target}".encode()).severities(TARGET) == {severity}


def test_computed_target_is_low(scan_bytes) -> None:
    assert scan_bytes("config.yaml", b"_target_: ${which}.Net").severities(TARGET) == {"low"}


def test_auto_map_is_a_reference(scan_bytes) -> None:
    text = json.dumps({"auto_map": {"AutoModel": "other/repo--modeling.Net", "AutoTokenizer": ["a.B", None]}})
    found = scan_bytes("config.json", text.encode())
    assert found.severities("model.brought_code") == {"high", "medium"}
    assert {finding.rule for finding in found.findings} == {"model.brought_code"}


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("text", ["", "{", '{"a": 1', '{"chat_template": "x"', "[1, 2", '{"a": NaN, }'])
def test_a_models_own_settings_that_do_not_parse(scan_bytes, name: str, text: str) -> None:
    assert scan_bytes(name, text.encode() or b" ").of("model.malformed_settings")
