"""Sources by name: the project's own modules are found, others' are left alone, and faults are named."""

import sys

import pytest

from hauberk.core.errors import ProjectError
from hauberk.core.sources import choose, imports_from, is_named, made, named


@pytest.mark.parametrize("text", ["model:build", "a.b:c.d", "_m:_f1"])
def test_names(text):
    assert is_named(text)


@pytest.mark.parametrize("text", ["model", "model:", ":f", "a b:c", "https://x/y", "C:\\m.onnx", "m:f()", "1m:f"])
def test_no_names(text):
    assert not is_named(text)


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def test_a_name_may_reach_into_an_object(tmp_path):
    write(tmp_path, src_one="class A:\n    b = 7\n")
    assert named("src_one:A.b", tmp_path, "model.source") == 7
    with pytest.raises(ProjectError, match=r'has no "c"'):
        named("src_one:A.c", tmp_path, "model.source")


def test_a_module_of_the_same_name_elsewhere_is_put_back(tmp_path):
    write(tmp_path / "a", src_two="import src_two_part\nvalue = src_two_part.value\n", src_two_part="value = 1\n")
    write(tmp_path / "b", src_two="import src_two_part\nvalue = src_two_part.value\n", src_two_part="value = 2\n")
    assert named("src_two:value", tmp_path / "a", "k") == 1
    first = sys.modules["src_two"]
    assert named("src_two:value", tmp_path / "b", "k") == 2
    assert sys.modules["src_two"] is first
    assert sys.modules["src_two_part"].value == 1


def test_a_file_named_like_the_standard_library_hides_nothing(tmp_path):
    write(tmp_path, random="raise RuntimeError('wrong random')\n", src_three="import random\nvalue = random.random\n")
    import random

    assert named("src_three:value", tmp_path, "k") is random.random
    assert sys.modules["random"] is random


def test_the_path_is_restored_after_a_fault(tmp_path):
    before = list(sys.path)
    with pytest.raises(ZeroDivisionError), imports_from(tmp_path):
        raise ZeroDivisionError
    assert sys.path == before


def test_what_takes_arguments_is_taken_as_it_is(tmp_path):
    text = "def give(x): return x\ndef make(x=3, *a, **k): return x\nvalue = {}\nclass K: pass\n"
    write(tmp_path, src_four=text)
    assert made("src_four:make", tmp_path, "k", "targets") == 3
    assert made("src_four:give", tmp_path, "k", "targets").__name__ == "give"
    assert made("src_four:value", tmp_path, "k", "targets") == {}
    assert type(made("src_four:K", tmp_path, "k", "targets")).__name__ == "K"


def test_a_plug_in_is_chosen_by_card(tmp_path):
    (tmp_path / "pictures").mkdir()
    cases = [
        ("targets", "m.SafeTensors", "pytorch"),
        ("targets", "https://h/m.skops", "remote"),
        ("targets", "m.skops", "scikit"),
        ("datasets", "bundled:digits", "bundled"),
        ("datasets", "pictures", "image_folder"),
        ("datasets", "rows.csv", "csv_file"),
    ]
    for family, source, name in cases:
        entry = choose(family, source, "", tmp_path, "k")
        assert entry is not None
        assert entry.name == name
    assert choose("targets", "model:build", "", tmp_path, "k") is None
    with pytest.raises(ProjectError, match=r'did you mean "\.safetensors"'):
        choose("targets", "m.safetensor", "", tmp_path, "model")
