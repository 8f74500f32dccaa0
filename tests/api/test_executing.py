"""The same numbers wherever chunks are attacked, whatever dies on the way, and in whatever order answers come."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import pytest

from hauberk.api.attacking import attack_project, described
from hauberk.api.executing import asked, chunk_of, executor_for, threads_of
from hauberk.api.executing_processes import TRIES, Processes
from hauberk.api.executing_ray import QUIET, Ray
from hauberk.api.executing_work import EvasionRecipe, carry_out, evasion_job
from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import MissingExtra, ProjectError, TargetError, UsageError
from hauberk.core.executing import Done, Fault, Job, Order
from hauberk.core.project import RunSection, ThreatSection, parse

PROJECT = """
[model]
source = "net:score"
kind = "python_callable"
bounds = [0, 1]

[data]
source = "bundled:digits"

[threats.near]
knowledge = "score"
norm = "linf"
radius = 0.2
queries = 40
attacks = ["evasion.square"]
samples = 64

[run]
chunk = 16
"""
NET = """
import os
import time
from pathlib import Path

import torch

HERE = Path(__file__).parent


def score(x):
    if (HERE / "kill").is_file() and len(x) > 1 and os.getpid() != int((HERE / "kill").read_text()):
        try:
            (HERE / "kill").rename(HERE / "killed")
        except FileNotFoundError:
            pass
        else:
            os.kill(os.getpid(), 9)
    if (HERE / "deadly").is_file() and os.getpid() != int((HERE / "deadly").read_text()):
        os.kill(os.getpid(), 9)
    return x.flatten(1) @ torch.linspace(-1, 1, 640).sin().reshape(64, 10)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hauberk.toml").write_text(PROJECT)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def opened(folder, **changes):
    project, where = described(str(folder), data=None, factory=None, label=None, bounds=None, seed=0, trust=False)
    return asked(project, **changes), where


def figures(report):
    """All that was measured, but for when."""
    rows = [msgspec.to_builtins(row) for row in report.evidence]
    for row in rows:
        row["provenance"].pop("time", None)
    return json.dumps(rows, sort_keys=True, default=str)


def attacked(folder, **changes):
    return attack_project(*opened(folder, **changes))


def test_processes_measure_what_one_measures(folder):
    alone = figures(attacked(folder, executor="serial"))
    assert '"robust_accuracy"' in alone
    assert figures(attacked(folder, executor="processes", workers=2)) == alone


def test_another_seed_measures_something_else(folder):
    project, where = opened(folder, executor="serial")
    other = msgspec.structs.replace(project, run=msgspec.structs.replace(project.run, seed=1))
    assert figures(attack_project(other, where)) != figures(attack_project(project, where))


def test_stopping_early_stops_at_the_same_chunk(folder):
    text = PROJECT.replace("samples = 64", "samples = 400\nprecision = 0.12")
    (folder / "hauberk.toml").write_text(text)
    alone = attacked(folder, executor="serial")
    (headline,) = [row for row in alone.measurements if row.role == "headline" and row.name == "robust_accuracy"]
    assert headline.n < 400
    assert figures(attacked(folder, executor="processes", workers=3)) == figures(alone)


def test_a_part_whose_worker_is_killed_is_begun_again(folder):
    alone = figures(attacked(folder, executor="serial"))
    (folder / "kill").write_text(str(os.getpid()))
    assert figures(attacked(folder, executor="processes", workers=2)) == alone
    assert (folder / "killed").is_file()


def test_a_part_that_kills_every_worker_is_a_gap_not_a_hang(folder):
    (folder / "deadly").write_text(str(os.getpid()))
    report = attacked(folder, executor="processes", workers=1)
    (gap,) = [row for row in report.skipped if "workers died" in row.reason]
    assert gap.kind == "error"
    assert f"{TRIES} workers died of part 0" in gap.reason


def test_a_fault_comes_back_as_it_was_raised():
    error = TargetError("it raised", where="predict", fix="mend it")
    again = decode(canonical(Fault.of(error)), Fault).error()
    assert (type(again), again.what, again.where, again.fix) == (TargetError, "it raised", "predict", "mend it")


@pytest.mark.parametrize("kind", ["Exception", "annotations", "MissingExtra", "os", ""])
def test_a_fault_of_no_known_kind_is_an_error_of_measurement(kind):
    assert type(Fault(kind, "what").error()).__name__ == "MeasurementError"


def job(place, **changes):
    project, where = opened(place)
    made = evasion_job(project, where, "near", 0, "", "")
    recipe = msgspec.structs.replace(decode(made.recipe, EvasionRecipe), **changes)
    return Job("evasion", canonical(recipe))


def answer(job, part=0):
    return decode(carry_out(canonical(Order(job, part))), Done)


def test_a_worker_refuses_another_version(folder):
    assert "hauberk" in answer(job(folder, version="0.0.0-other")).fault.what


def test_a_worker_refuses_other_files(folder):
    assert "another model" in answer(job(folder, data="sha256:00")).fault.what


def test_a_worker_without_the_folder_says_so(folder):
    assert "no folder" in answer(job(folder, folder=str(folder / "not-here"))).fault.what


def test_what_no_order_is_is_refused():
    with pytest.raises(msgspec.DecodeError):
        carry_out(b"\x80\x04]")


def test_no_store_and_no_other_threat_is_sent(folder):
    project = parse(PROJECT + '\n[store]\nurl = "postgresql://u:secret@h/d"\n\n[threats.far]\npreset = "linf-8/255"\n')
    assert b"secret" not in evasion_job(project, folder, "near", 0, "", "").recipe
    assert b"far" not in evasion_job(project, folder, "near", 0, "", "").recipe


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (RunSection(executor="processes", workers=-1), "workers"),
        (RunSection(chunk=-1), "chunk"),
        (RunSection(executor="processes", address="h:1"), "address"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(run, words):
    with pytest.raises(UsageError, match=words), executor_for(run):
        pass


def test_an_unknown_executor_is_refused():
    with pytest.raises(ProjectError, match="executor"):
        parse('[run]\nexecutor = "threads"\n')


def test_chunks_and_threads_depend_on_no_number_of_workers():
    few, many = (RunSection(executor="processes", workers=workers) for workers in (1, 9))
    assert chunk_of(few, ThreatSection()) == chunk_of(many, ThreatSection()) == 128
    assert chunk_of(RunSection(), ThreatSection()) is None
    assert chunk_of(few, ThreatSection(precision=0.1)) is None
    assert threads_of(few) == 1
    assert threads_of(RunSection()) is None


def test_an_iterator_that_is_closed_leaves_no_process_behind(folder):
    project, where = opened(folder)
    from hauberk.api.subject import open_subject

    digests = [row.spec.digest for row in open_subject(project, where)]
    with Processes(2) as places:
        answers = places.map(evasion_job(project, where, "near", 0, *digests), range(4))
        assert next(answers).fault is None
        answers.close()
        again = list(places.map(evasion_job(project, where, "near", 0, *digests), range(2)))
        assert sorted(row.part for row in again) == [0, 1]
    assert not places._idle


KEPT = """
import sys
from hauberk.cli.main import main
if __name__ == "__main__":
    main()
"""


def test_ctrl_c_keeps_what_was_acknowledged(folder):
    slow = NET + "\nfast = score\n\n\ndef score(x):\n    time.sleep(0.02)\n    return fast(x)\n"
    (folder / "net.py").write_text(slow)
    command = [sys.executable, "-c", textwrap.dedent(KEPT), "check", str(folder), "--only", "near"]
    command += ["--executor", "processes", "--workers", "2", "--quiet", "--formats", "none"]
    begun = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    kept = _wait_for_a_checkpoint(folder)
    os.killpg(begun.pid, signal.SIGINT)
    begun.communicate(timeout=60)
    assert begun.returncode == 3
    assert kept >= 1
    from hauberk.api.checking import check

    (folder / "net.py").write_text(NET)
    whole = check(folder, only=("near",), resume=True, executor="serial")
    assert not [row for row in whole.skipped if row.kind == "interrupted"]
    headline = [row for row in whole.measurements if row.name == "robust_accuracy" and row.role == "headline"]
    assert [row.n for row in headline] == [64]


def _wait_for_a_checkpoint(folder: Path) -> int:
    from hauberk.stores.evidence import open_store

    for _ in range(600):
        time.sleep(0.05)
        if (folder / ".hauberk" / "evidence.db").is_file():
            with open_store("sqlite:///.hauberk/evidence.db", folder) as store:
                runs = list(store.runs())
                parts = [row for run in runs for row in store.entries(run.run) if getattr(row, "part", -9) >= 0]
            if parts:
                return len(parts)
    return 0


RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not RAY and not os.environ.get("HAUBERK_CI"), reason="ray is not installed")


@needs_ray
def test_a_cluster_measures_what_one_measures_though_a_worker_is_killed(folder):
    alone = figures(attacked(folder, executor="serial"))
    (folder / "kill").write_text(str(os.getpid()))
    assert figures(attacked(folder, executor="ray", workers=2)) == alone
    assert (folder / "killed").is_file()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999999", "nowhere", "h:x"])
def test_a_cluster_that_is_not_there_is_a_fault_of_usage(address):
    with pytest.raises(UsageError, match="Ray cluster"), Ray(2, address):
        pass


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"hauberk\[cluster\]"), Ray(2):
        pass


def test_nothing_is_sent_home():
    assert QUIET["RAY_USAGE_STATS_ENABLED"] == "0"


class Backwards:
    """Carries out everything here, the last part first; parts named in `broken` end with a fault."""

    def __init__(self, broken=()):
        self.broken = broken

    def map(self, job, parts):
        for part in reversed(parts):
            fault = Fault("TargetError", "it raised") if part in self.broken else None
            yield Done(part, fault=fault) if fault else answer(job, part)


def attacked_by(executor, folder, monkeypatch):
    monkeypatch.setattr("hauberk.api.attacking.executor_for", lambda run: contextlib.nullcontext(executor))
    return attacked(folder, executor="serial")


@pytest.mark.parametrize("stop", ["", "precision = 0.2", "samples = 400\nprecision = 0.12"])
def test_the_order_answers_come_in_changes_nothing(folder, monkeypatch, stop):
    text = PROJECT.replace("samples = 64", stop or "samples = 64")
    (folder / "hauberk.toml").write_text(text)
    alone = figures(attacked(folder, executor="serial"))
    assert figures(attacked_by(Backwards(), folder, monkeypatch)) == alone


def test_a_fault_elsewhere_counts_the_chunks_before_it(folder, monkeypatch):
    report = attacked_by(Backwards(broken=(2,)), folder, monkeypatch)
    (headline,) = [row for row in report.measurements if row.role == "headline" and row.name == "robust_accuracy"]
    assert headline.n == 32
    assert [row.reason for row in report.skipped if "it raised" in row.reason] == [
        "32 of 64 samples were not attacked: it raised"
    ]
