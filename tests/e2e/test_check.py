"""The main job, by the real command line: verdict, files, evidence, and every row of bad input."""

from __future__ import annotations

import json
import os
import signal
import stat
import time

import pytest


def test_a_check_from_nothing_to_proof(small):
    done = small.run("check")
    assert done.returncode == 0, done.stderr
    assert "Robust accuracy under pixels" in done.stdout
    folder = small.folder / "hauberk-report"
    assert {"report.html", "report.json", "report.sarif"} <= {path.name for path in folder.iterdir()}
    report = small.report()
    rows = [row for row in report.measurements if row.name == "robust_accuracy" and row.role == "headline"]
    assert {row.threat for row in rows} == {"pixels", "more"}
    for row in rows:
        assert 0 <= row.low <= row.value <= row.high <= 1
        assert row.n == 40
        assert row.indicators
        assert row.provenance.seed == 0
        assert {digest.name for digest in row.provenance.digests} >= {"model", "data"}
    assert json.loads((folder / "report.sarif").read_text())["version"] == "2.1.0"
    assert small.run("evidence", "verify").returncode == 0
    shown = small.run("evidence", "show", "--kind", "measurement").stdout
    assert "robust_accuracy under pixels" in shown
    index = shown.split()[0]
    proof = json.loads(small.run("evidence", "prove", index).stdout)
    assert proof["type"] == "inclusion"


def test_the_same_check_twice_measures_the_same(small):
    first, second = (small.run("check") and small.report() for _ in range(2))
    figures = [[(m.name, m.threat, m.role, m.value, m.low, m.high) for m in r.measurements] for r in (first, second)]
    assert figures[0] == figures[1]
    assert len(small.run("evidence", "log").stdout.splitlines()) == 2
    done = small.run(
        "report", "--diff", *[line.split()[0] for line in small.run("evidence", "log").stdout.splitlines()]
    )
    assert done.returncode == 0


def test_a_past_report_is_the_report(small):
    small.run("check")
    again = small.run("report", "--format", "json")
    assert json.loads(again.stdout) == json.loads((small.folder / "hauberk-report" / "report.json").read_text())


def test_a_policy_that_is_not_met_exits_with_1(small):
    need = '[[policy.require]]\nmeasurement = "robust_accuracy"\nthreat = "pixels"\nmin = 1.0\n'
    small.write("hauberk.toml", (small.folder / "hauberk.toml").read_text() + need)
    done = small.run("check", "--only", "pixels")
    assert done.returncode == 1
    assert "not met" in done.stdout.lower()


def test_a_measurement_that_is_missing_exits_with_3(small):
    need = '[[policy.require]]\nmeasurement = "membership_auc"\nmax = 0.6\n'
    small.write("hauberk.toml", (small.folder / "hauberk.toml").read_text() + need)
    assert small.run("check", "--only", "pixels").returncode == 3


def _wait_for(path, word, process, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.05)
        if path.exists() and word(path):
            return
    raise AssertionError(f"the run ended before it could be stopped: {process.communicate()}")


SLOW = """
import numpy as np, time

def predict(x):
    time.sleep(0.05)
    p = 1 / (1 + np.exp(-20 * (np.asarray(x)[:, 0] - 0.5)))
    return np.stack([1 - p, p], axis=1).astype(np.float32)
"""


def test_ctrl_c_keeps_what_was_measured_and_resume_goes_on(box):
    threats = "".join(
        f'[threats.t{n}]\nknowledge = "score"\nnorm = "linf"\nradius = 0.1\nqueries = 20\nsamples = 20\n'
        for n in range(3)
    )
    box.write("box.py", SLOW)
    box.write("hauberk.toml", (box.folder / "hauberk.toml").read_text() + threats)
    process = box.start("check")
    process_err = []
    for line in process.stderr:
        process_err.append(line)
        if line.startswith("t0"):
            break
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    assert process.returncode == 3
    report = box.report()
    assert report.interrupted
    assert any(row.kind == "interrupted" for row in report.skipped)
    measured = {row.threat for row in report.measurements if row.role == "headline" and row.threat}
    assert "pixels" in measured
    assert box.run("evidence", "verify").returncode == 0
    done = box.run("check", "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    whole = box.report()
    assert not [row for row in whole.skipped if row.kind == "interrupted"]
    names = [row.threat for row in whole.measurements if row.name == "robust_accuracy" and row.role == "headline"]
    assert sorted(names) == ["pixels", "t0", "t1", "t2"]
    assert whole.run == report.run
    before = next(row for row in report.measurements if row.threat == "pixels" and row.role == "headline")
    assert before in whole.measurements, "what was measured before was not measured again"


def test_kill_9_loses_nothing_acknowledged(box):
    box.write("box.py", SLOW)
    threats = '[threats.next]\nknowledge = "score"\nnorm = "l2"\nradius = 0.1\nqueries = 20\nsamples = 20\n'
    box.write("hauberk.toml", (box.folder / "hauberk.toml").read_text() + threats)
    process = box.start("check")
    for line in process.stderr:
        if line.startswith("next"):
            break
    process.kill()
    process.communicate()
    assert box.run("evidence", "verify").returncode == 0
    shown = box.run("evidence", "show", "--kind", "measurement").stdout
    assert "robust_accuracy under pixels" in shown
    done = box.run("check", "--resume")
    assert done.returncode == 0, done.stderr
    assert {row.threat for row in box.report().measurements if row.role == "headline"} >= {"pixels", "next"}


def test_nothing_to_resume_says_so(small):
    done = small.run("check", "--resume")
    assert done.returncode == 2
    assert "broken off" in done.stderr


def test_two_checks_at_once_on_one_store(small):
    first, second = small.start("check", "--only", "pixels"), small.start("check", "--only", "more")
    assert [process.wait(timeout=300) for process in (first, second)] == [0, 0]
    assert small.run("evidence", "verify").returncode == 0
    assert len(small.run("evidence", "log").stdout.splitlines()) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere: run as another user")
def test_a_read_only_folder_says_what_to_do(small):
    small.folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        done = small.run("check")
    finally:
        small.folder.chmod(stat.S_IRWXU)
    assert done.returncode == 3
    assert "--store" in done.stderr or "writable" in done.stderr


FAULTS = {
    "raises": ("def predict(x):\n    raise RuntimeError('out of cheese')\n", 3, "out of cheese"),
    "nan": ("import numpy as np\ndef predict(x):\n    return np.full((len(x), 2), np.nan)\n", 3, "NaN"),
    "shape": ("import numpy as np\ndef predict(x):\n    return np.zeros((len(x) + 1, 2))\n", 3, "shape"),
    "not a tensor": ("def predict(x):\n    return 'good'\n", 3, "str"),
    "hangs": ("import time\ndef predict(x):\n    time.sleep(3600)\n", 3, "2"),
    "missing": ("def other(x):\n    return x\n", 2, "predict"),
    "syntax": ("def predict(x:\n", 2, "box"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_misbehaves(box, fault):
    text, status, says = FAULTS[fault]
    box.write("box.py", text)
    done = box.run("check", timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    assert says in done.stdout + done.stderr
    if status == 3:
        assert any(row.kind == "error" and row.subject == "pixels" for row in box.report().skipped)
        assert box.run("evidence", "verify").returncode == 0


def _data(box, x=None, y=None):
    import numpy as np

    rng = np.random.default_rng(0)
    base = rng.random((60, 8), dtype=np.float32)
    labels = (base[:, 0] > 0.5).astype(np.int64)
    np.savez(box.folder / "data.npz", x=base if x is None else x(base), y=labels if y is None else y(labels))


DATA = {
    "out of bounds": ({"x": lambda x: x * 3}, "bounds"),
    "NaN": ({"x": lambda x: x * float("nan")}, "nan"),
    "label out of range": ({"y": lambda y: y + 5}, "class"),
    "one class": ({"y": lambda y: y * 0}, "class"),
    "no samples": ({"x": lambda x: x[:0], "y": lambda y: y[:0]}, "no "),
    "length mismatch": ({"y": lambda y: y[:10]}, "10"),
}


@pytest.mark.parametrize("fault", DATA)
def test_data_that_cannot_be_used(box, fault):
    change, says = DATA[fault]
    _data(box, **change)
    done = box.run("check")
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "→" in done.stderr, "it says what to do"


def test_a_model_that_is_always_wrong_has_robust_accuracy_0_and_a_note(box):
    box.write("box.py", GOOD_INVERTED)
    done = box.run("check")
    assert done.returncode == 0, done.stdout + done.stderr
    row = next(row for row in box.report().measurements if row.name == "robust_accuracy" and row.role == "headline")
    assert row.value == 0.0
    assert row.note


GOOD_INVERTED = """\
import numpy as np

def predict(x):
    p = 1 / (1 + np.exp(-20 * (np.asarray(x)[:, 0] - 0.5)))
    return np.stack([p, 1 - p], axis=1).astype(np.float32)
"""


def test_an_unknown_key_names_line_and_nearest(small):
    small.write("hauberk.toml", '[model]\nsource = "a"\nbonds = [0, 1]\n')
    done = small.run("check")
    assert done.returncode == 2
    assert "hauberk.toml:3" in done.stderr
    assert '"bounds"' in done.stderr


def test_a_missing_weights_file(small):
    (small.folder / "model.safetensors").unlink()
    done = small.run("check")
    assert done.returncode == 2
    assert "model.safetensors" in done.stderr


def test_without_a_model_only_the_scan_runs_and_the_report_says_so(small):
    small.write("hauberk.toml", 'name = "code only"\n')
    done = small.run("check")
    assert done.returncode in (0, 1)
    assert any("[model]" in row.reason for row in small.report().skipped)


def test_precision_stops_early(small):
    text = (small.folder / "hauberk.toml").read_text().replace("samples = 40", "samples = 400")
    small.write("hauberk.toml", text)
    assert small.run("check", "--only", "pixels", "--precision", "0.2").returncode == 0
    row = next(row for row in small.report().measurements if row.name == "robust_accuracy" and row.role == "headline")
    assert row.n < 400
    assert row.method == "beta-mixture-sequence"
    assert (row.high - row.low) / 2 <= 0.2


def test_quiet_prints_nothing(small):
    done = small.run("check", "--quiet", "--only", "pixels")
    assert (done.stdout, done.stderr) == ("", "")


def test_a_closed_pipe_costs_no_file(small):
    process = small.start("check", "--only", "scan")
    process.stdout.close()
    process.wait(timeout=120)
    assert "Traceback" not in process.stderr.read()
    assert (small.folder / "hauberk-report" / "report.html").exists()


def test_a_wrong_setting_is_a_usage_fault_and_begins_no_run(small):
    text = (small.folder / "hauberk.toml").read_text() + '[threats.pixels.settings."evasion.fgsm"]\npaces = 3\n'
    small.write("hauberk.toml", text)
    done = small.run("check")
    assert done.returncode == 2
    assert '"pace"' in done.stderr
    assert not (small.folder / ".hauberk").exists()


def test_attack_alone_judges_only_what_it_attacked(small):
    need = '[[policy.require]]\nmeasurement = "robust_accuracy"\nthreat = "{}"\nmin = 0.01\n'
    small.write(
        "hauberk.toml", (small.folder / "hauberk.toml").read_text() + need.format("pixels") + need.format("more")
    )
    done = small.run("attack", "--threat", "pixels", "--samples", "30")
    assert done.returncode == 0, done.stdout
    assert "hauberk attack --threat pixels --samples 30" in done.stdout
    wrong = small.run("attack", "--threat", "pixels", "--attack", "evasion.pgd", "--set", "step=3")
    assert (wrong.returncode, '"steps"' in wrong.stderr) == (2, True)
    assert small.run("attack", "--threat", "pixel").returncode == 2
