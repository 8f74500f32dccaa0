"""`init` reads names and source text, runs nothing, and proposes a file that reads."""

from __future__ import annotations

import pytest

from hauberk.api.initialising import init, look, propose
from hauberk.core.errors import ProjectError
from hauberk.core.project import parse

NET = """\
import torch
raise SystemExit("imported!")
class Net(torch.nn.Module):
    pass
def build_net():
    return Net()
"""


def test_an_empty_folder_gives_a_file_that_only_scans(tmp_path):
    project = parse(propose(look(tmp_path)))
    assert project.model is None
    assert project.data is None
    assert project.threats == {}


def test_weights_get_their_factory_without_running_it(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "weights.safetensors").write_bytes(b"")
    (tmp_path / "data.npz").write_bytes(b"")
    project = parse(propose(look(tmp_path)))
    assert (project.model.source, project.model.factory) == ("weights.safetensors", "net:build_net")
    assert project.data.source == "data.npz"
    assert project.threats["pixels"].threat("pixels").ball.radius == pytest.approx(8 / 255)
    assert project.policy.require[0].threat == "pixels"


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl"])
def test_a_file_that_runs_code_is_not_trusted_by_itself(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    text = propose(look(tmp_path))
    assert parse(text).model.trust is False
    assert "only if you made it" in text


def test_a_checkpoint_is_named_but_not_opened(tmp_path):
    (tmp_path / "run.pt").write_bytes(b"")
    text = propose(look(tmp_path))
    assert "run.pt is a pickle" in text
    assert parse(text).model.source == "run.safetensors"


def test_a_label_is_guessed_by_name_or_marked_as_a_guess(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,target,b\n1,0,2\n")
    assert parse(propose(look(tmp_path))).data.label == "target"
    path.write_text("a,b,c\n1,0,2\n")
    text = propose(look(tmp_path))
    assert parse(text).data.label == "c"
    assert "a guess" in text


def test_an_image_folder_is_found(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        (tmp_path / "pets" / label / "1.png").write_bytes(b"")
    assert look(tmp_path).data == ("pets",)


def test_packages_and_hidden_folders_are_left_alone(tmp_path):
    for folder in (".venv/lib", "node_modules", "site-packages"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "other.onnx").write_bytes(b"")
    assert look(tmp_path).models == ()


@pytest.mark.parametrize("name", ['we"ird', "back\\slash", "new\nline", "ünïcode"])
def test_odd_names_are_quoted(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    assert parse(propose(look(folder))).name == name


def test_a_file_that_is_there_is_not_replaced_unless_asked(tmp_path):
    path = init(tmp_path)
    path.write_text('name = "mine"\n')
    with pytest.raises(ProjectError, match="--force"):
        init(tmp_path)
    assert path.read_text() == 'name = "mine"\n'
    init(tmp_path, force=True)
    assert path.read_text() != 'name = "mine"\n'


def test_sources_that_do_not_parse_are_passed_over(tmp_path):
    (tmp_path / "broken.py").write_text("def (:\n")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe")
    assert look(tmp_path).factories == ()


def test_a_table_gives_expectations_that_it_meets(tmp_path):
    rows = "".join(f"{i % 60 + 18},{'Ulm' if i % 2 else 'Bern'},{i % 2}\n" for i in range(200))
    (tmp_path / "a.csv").write_text("age,city,label\n" + rows)
    columns = parse(propose(look(tmp_path))).data.columns
    assert (columns["age"].low, columns["age"].high, columns["age"].missing) == (18, 77, 0)
    assert columns["city"].categories == ("Bern", "Ulm")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00broken")
    assert parse(propose(look(tmp_path))).data is not None


def test_classes_in_words_are_written_out_in_the_order_they_are_indexed(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,outcome\n1,healthy\n2,cancer\n3,\n4,healthy\n")
    text = propose(look(tmp_path))
    assert parse(text).data.classes == ("cancer", "healthy")
    assert "turn it round" in text


@pytest.mark.parametrize("labels", [["0", "1"], ["0.0", "1.0"], [f"word{row}" for row in range(21)]])
def test_numbers_and_too_many_words_are_not_written_out(tmp_path, labels):
    (tmp_path / "rows.csv").write_text("a,outcome\n" + "".join(f"1,{label}\n" for label in labels))
    assert parse(propose(look(tmp_path))).data.classes == ()
