"""Reference models trained elsewhere: the digits of a serial run, whoever dies, and nothing lost that came back."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

import hauberk
from hauberk.api.executing_references import ReferenceRecipe, schools_for
from hauberk.api.executing_work import carry_out
from hauberk.api.privacy_audit import audit
from hauberk.api.privacy_references import TOGETHER, lender_for
from hauberk.api.subject import open_subject
from hauberk.attacks.examining_privacy import pool_of
from hauberk.attacks.sending_models import Taught, packed, unpacked
from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import MeasurementError, TargetError, UsageError
from hauberk.core.executing import Done, Fault, Job, Order
from hauberk.core.progress import Silent
from hauberk.core.project import read

PROJECT = """\
name = "p"
[model]
source = "model:build"
bounds = [0, 1]
[data]
source = "data.npz"
test_share = 0.5
[privacy]
references = 10
epochs = 8
[threats.membership]
preset = "membership"
"""
MODEL = """\
import os
from pathlib import Path
import torch
HERE = Path(__file__).parent
def build():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(16, 3))
class Net(torch.nn.Sequential):
    def train(self, mode=True):
        kill = HERE / "kill"
        if mode and kill.is_file() and os.getpid() != int(kill.read_text()):
            try:
                kill.rename(HERE / "killed")
            except FileNotFoundError:
                pass
            else:
                os.kill(os.getpid(), 9)
        return super().train(mode)
def fragile():
    torch.manual_seed(0)
    return Net(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
def train(x, y, seed):
    net = build()
    torch.manual_seed(seed)
    with torch.no_grad():
        net[0].weight.normal_()
    return net
"""
RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not RAY and not os.environ.get("HAUBERK_CI"), reason="ray is not installed")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=rng.random((120, 8), dtype=np.float32), y=rng.integers(3, size=120))
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "hauberk.toml").write_text(PROJECT)
    return tmp_path


def rewritten(folder: Path, old: str, new: str) -> None:
    path = folder / "hauberk.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def shelf(folder: Path) -> dict[str, bytes]:
    """All models kept, array by array; and forget them."""
    found = {}
    for path in sorted((folder / ".hauberk" / "references").glob("*.npz")):
        with np.load(path, allow_pickle=False) as held:
            found[path.name] = b"".join(held[name].tobytes() for name in held.files)
        path.unlink()
    return found


def figures(report) -> str:
    rows = [msgspec.to_builtins(row) for row in report.evidence]
    for row in rows:
        row["provenance"].pop("time", None)
    return json.dumps(rows, sort_keys=True, default=str)


def alone(folder: Path) -> tuple[str, dict[str, bytes]]:
    report = audit(folder, executor="serial")
    assert not [row for row in report.skipped if row.kind == "error"]
    return figures(report), shelf(folder)


@pytest.mark.parametrize("workers", [1, 3])
def test_processes_train_the_models_of_a_serial_run(folder, workers):
    serial = alone(folder)
    assert len(serial[1]) == 10
    assert (figures(audit(folder, executor="processes", workers=workers)), shelf(folder)) == serial


def test_epochs_found_here_hold_elsewhere(folder):
    rewritten(folder, "epochs = 8", "epochs = 0")
    serial = alone(folder)
    assert (figures(audit(folder, executor="processes", workers=2)), shelf(folder)) == serial


def test_a_worker_killed_while_it_trains_changes_nothing(folder):
    rewritten(folder, "model:build", "model:fragile")
    serial = alone(folder)
    (folder / "kill").write_text(str(os.getpid()))
    assert (figures(audit(folder, executor="processes", workers=2)), shelf(folder)) == serial
    assert (folder / "killed").is_file()


@needs_ray
@pytest.mark.slow
def test_a_cluster_trains_them_though_a_worker_is_killed(folder):
    rewritten(folder, "model:build", "model:fragile")
    serial = alone(folder)
    (folder / "kill").write_text(str(os.getpid()))
    assert (figures(audit(folder, executor="ray", workers=2)), shelf(folder)) == serial
    assert (folder / "killed").is_file()


def test_the_projects_own_trainer_is_called_elsewhere(folder):
    rewritten(folder, "epochs = 8", 'trainer = "model:train"')
    serial = alone(folder)
    assert (figures(audit(folder, executor="processes", workers=2)), shelf(folder)) == serial


def test_check_trains_them_elsewhere_too(folder):
    def checked(name):
        return figures(hauberk.check(folder, only=("membership",), executor=name, workers=2)), shelf(folder)

    assert checked("processes") == checked("serial")


class Here:
    """Carries out everything in this process, the last part first; parts named in `broken` end with a fault."""

    def __init__(self, broken=()):
        self.broken, self.asked = broken, []

    def map(self, job, parts):
        self.job = job
        for part in reversed(parts):
            self.asked.append(part)
            if part in self.broken:
                yield Done(part, fault=Fault("TargetError", "it diverged"))
            else:
                yield decode(carry_out(canonical(Order(job, part))), Done)


def lent(folder, executor, watch=None, **privacy):
    project = read(folder)
    project = msgspec.structs.replace(
        project,
        run=msgspec.structs.replace(project.run, executor="serial"),
        privacy=msgspec.structs.replace(project.privacy, **privacy),
    )
    subject = open_subject(project, folder)
    schools = schools_for(executor, project, folder, subject)
    lender = lender_for(project, folder, subject.target, 0, schools)
    return lender.lend(subject.target, *pool_of(subject.dataset), Silent())


def test_what_came_back_before_a_fault_is_not_trained_again(folder):
    whole = lent(folder, None)
    assert whole.trained == 10
    models = shelf(folder)
    with pytest.raises(TargetError, match="diverged"):
        lent(folder, Here(broken=(0,)))
    kept = len(list((folder / ".hauberk" / "references").glob("*.npz")))
    assert kept == 10 - TOGETHER
    again = Here()
    assert lent(folder, again).trained == TOGETHER
    assert again.asked == [0]
    assert shelf(folder) == models


def test_a_part_of_which_one_model_is_lost_is_trained_whole(folder):
    lent(folder, Here())
    path = sorted((folder / ".hauberk" / "references").glob("*.npz"))[0]
    lost = path.read_bytes()
    path.unlink()
    again = Here()
    assert lent(folder, again).trained == 1
    assert len(again.asked) == 1
    assert path.read_bytes() == lost


def test_time_that_is_over_ends_with_the_models_there_are(folder):
    found = lent(folder, Here(), seconds=1e-9)
    assert len(found.models) == 10 % TOGETHER  # the last part, which came first
    assert found.notes == ("2 of 10 reference models fitted into the time given",)


def test_a_worker_that_would_train_others_refuses(folder):
    executor = Here()
    lent(folder, executor)
    recipe = decode(executor.job.recipe, ReferenceRecipe)
    assert recipe.project.privacy.keep == ""
    other = Job("references", canonical(msgspec.structs.replace(recipe, root="00")))
    answer = decode(carry_out(canonical(Order(other, 0))), Done)
    assert "other reference models" in answer.fault.what
    none = msgspec.structs.replace(recipe.project.privacy, references=0)
    empty = msgspec.structs.replace(recipe, project=msgspec.structs.replace(recipe.project, privacy=none))
    answer = decode(carry_out(canonical(Order(Job("references", canonical(empty)), 0))), Done)
    assert "has none" in answer.fault.what


def test_models_come_back_as_they_were_sent():
    sent = Taught([{"a": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)}, {}], ("a note",))
    back = unpacked(packed(sent).decode())
    assert back.notes == sent.notes
    assert [sorted(row) for row in back.models] == [["a", "n"], []]
    assert all(np.array_equal(back.models[0][name], sent.models[0][name]) for name in ("a", "n"))


@pytest.mark.parametrize("text", ["", "{}", '{"models":["!"],"notes":[]}', '{"models":["aGVsbG8="],"notes":[]}'])
def test_what_is_no_parcel_of_models_is_refused(text):
    with pytest.raises(MeasurementError, match="sent no models"):
        unpacked(text)


def test_objects_of_python_are_not_read():
    with pytest.raises(MeasurementError, match="sent no models"):
        unpacked(packed(Taught([{"a": np.array([print], dtype=object)}], ())).decode())


def test_recorded_answers_are_not_audited_elsewhere(tmp_path):
    with pytest.raises(UsageError, match="nothing is trained"):
        audit(tmp_path / "answers.npz", executor="ray")
