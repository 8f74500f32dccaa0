"""Private training on the record: a project's model, its ledger and its statement; and a module in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import nn

import hauberk
from hauberk.api.accounting import cost, noise, plan_of
from hauberk.api.ledger import spends, total
from hauberk.api.private_training import spent, train, train_module
from hauberk.cli.privacy_command import command
from hauberk.core.errors import UnknownName, UsageError
from hauberk.core.privacy_events import GaussianRelease, Spend
from hauberk.defenses.private_plans import Plan
from hauberk.stores.evidence import open_store

pytest.importorskip("dp_accounting")

MODEL = """
from torch import nn


def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
"""
PROJECT = """
name = "letters"
[model]
source = "model.safetensors"
factory = "{module}:build"
bounds = [0, 1]
[data]
source = "bundled:digits"
[threats.membership]
preset = "membership"
[privacy]
unit = "writer"
{budget}
"""
FAST = {"steps": 30, "batch": 100}


@pytest.fixture
def project(tmp_path: Path, request):
    def make(budget: str = "", model: str = MODEL) -> Path:
        name = f"net_{abs(hash(request.node.name)) % 10**8}"
        (tmp_path / f"{name}.py").write_text(model)
        (tmp_path / "hauberk.toml").write_text(PROJECT.format(module=name, budget=budget))
        space: dict = {}
        exec(model, space)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            save_file(space["build"]().state_dict(), tmp_path / "model.safetensors")
        return tmp_path

    return make


def test_a_run_is_measured_kept_and_written(project) -> None:
    folder = project()
    made = train(folder, settings={**FAST, "epsilon": 2.0}, audit=200)
    figures = {entry.name: entry for entry in made.report.measurements}
    assert 1.98 < figures["privacy_epsilon"].value <= 2.0
    assert figures["privacy_epsilon_total"].value == figures["privacy_epsilon"].value
    assert 0 < figures["privacy_advantage_bound"].value < 1
    assert figures["privacy_epsilon_audited"].value <= 2.0
    assert all(row.passed for row in figures["privacy_epsilon_audited"].indicators)
    assert figures["accuracy_private"].low < figures["accuracy_private"].value
    assert set(load_file(made.weights)) == set(load_file(folder / "model.safetensors"))
    for word in ("writer", "Poisson", "Neighbours", "not covered", "noise multiplier"):
        assert word.lower() in made.text.lower()


def test_the_ledger_adds_up_and_stops_the_run_that_is_too_much(project) -> None:
    folder = project("epsilon = 2.5\ndelta = 1e-4")
    first = train(folder, settings={**FAST, "epsilon": 2.0, "delta": 1e-4})
    assert not first.account.why
    second = train(folder, settings={**FAST, "epsilon": 2.0, "delta": 1e-4})
    assert "budget" in second.account.why and second.weights is not None
    found = spent(folder)
    assert 2.0 < found.epsilon <= 2.5 and found.lines == 2 and not found.open
    with pytest.raises(UsageError, match="no step more"):
        train(folder, settings={**FAST, "noise": 0.01, "delta": 1e-4})
    assert spent(folder).epsilon == found.epsilon  # what was refused is not counted


def test_a_run_that_names_no_delta_keeps_the_projects(project) -> None:
    folder = project("delta = 1e-4")
    assert train(folder, settings={**FAST, "epsilon": 2.0}).account.delta == 1e-4
    assert train(folder, settings={**FAST, "epsilon": 2.0, "delta": 1e-3}).account.delta == 1e-3
    made = hauberk.harden(folder, defense="privacy.dp_sgd", settings={**FAST, "epsilon": 1.0})
    (row,) = [entry for entry in made.report.measurements if entry.name == "privacy_epsilon"]
    assert "δ = 0.0001" in row.note


def test_a_run_that_died_is_counted_in_full(project, monkeypatch) -> None:
    folder = project()

    def die(*_, **__):
        raise MemoryError

    from hauberk.defenses import private_defense

    monkeypatch.setattr(private_defense, "train_privately", die)
    with pytest.raises(MemoryError):
        train(folder, settings={**FAST, "epsilon": 2.0})
    found = spent(folder)
    assert found.open == 1 and 1.9 < found.epsilon <= 2.0


def test_a_refused_network_costs_nothing_and_is_named(project) -> None:
    folder = project(model=MODEL.replace("nn.Tanh()", "nn.BatchNorm1d(16)"))
    made = train(folder, settings=FAST)
    assert made.weights is None and made.account is None
    gap = made.report.skipped[0]
    assert "BatchNorm1d" in gap.reason and "GroupNorm" in gap.fix
    assert spent(folder).epsilon == 0


def test_harden_with_a_private_defense_measures_membership_before_and_after(project) -> None:
    folder = project()
    made = hauberk.harden(folder, defense="privacy.dp_sgd", settings={**FAST, "epsilon": 1.0})
    names = {entry.name for entry in made.report.measurements}
    assert {"privacy_epsilon", "membership_auc", "membership_auc_change"} <= names
    assert spent(folder).lines == 1


def test_what_proves_nothing_is_refused(project) -> None:
    with pytest.raises(UnknownName, match="not accounted"):
        train(project(), defense="training.adversarial_training")


def test_equal_lines_compose_to_what_one_long_run_costs() -> None:
    lines = [
        Spend(data="d", what="training", recipe="r", run=str(k), events=(GaussianRelease(noise=4.0, count=5),))
        for k in range(3)
    ]
    whole = total(lines, 1e-5)
    one = total(
        [Spend(data="d", what="training", recipe="r", run="x", events=(GaussianRelease(noise=4.0, count=15),))], 1e-5
    )
    assert whole.bound.epsilon == one.bound.epsilon


def test_ledgers_of_other_data_are_apart(project) -> None:
    folder = project()
    train(folder, settings={**FAST, "epsilon": 1.0})
    with open_store("sqlite:///.hauberk/evidence.db", folder, read_only=True) as kept:
        assert spends(kept, "sha256:other") == ()


def test_a_module_in_memory() -> None:
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    net = nn.Linear(64, 10)
    made = train_module(net, x, y, epsilon=3.0, steps=80, batch=200, seed=1, unit="digit")
    assert made.trained.module is net and made.trained.steps == 80
    assert float((net(x).argmax(1) == y).float().mean()) > 0.7
    assert "digit" in made.text and "protects nobody" in made.text
    several = train_module(nn.Linear(64, 10), x, y, epsilon=3.0, steps=5, batch=50, rows_per_unit=2)
    one = Plan(len(y), 5, 50).calibrated(3.0, several.account.delta)
    assert several.account.noise > one.noise and "at most 2 rows" in several.text


def test_figures_before_a_run() -> None:
    plan = plan_of(60000, 256, noise=1.1, epochs=60, scheme="poisson")
    made = cost(plan, delta=1e-5)
    assert made.bound.epsilon == pytest.approx(2.382, abs=5e-3)
    together = cost(plan, delta=1e-5, microbatch=4)
    assert together.bound.epsilon > 2 * made.bound.epsilon and "clipped at once" in together.text
    assert cost(plan_of(1000, 100, noise=1.0, steps=10, scheme="poisson"), delta=0.01).text.count("Warning: δ") == 1
    assert noise(plan, 2.382, delta=1e-5).noise == pytest.approx(1.1, abs=2e-3)
    for scheme in ("shuffled", "tree"):
        words = " ".join(cost(plan_of(1000, 100, noise=8.0, epochs=2, scheme=scheme)).text.split())
        assert "(zero out)" in words
    with pytest.raises(UsageError, match="either"):
        plan_of(10, 1, scheme="poisson")
    assert isinstance(plan, Plan)


def test_the_command_line(project) -> None:
    run = CliRunner().invoke
    arguments = ["--rows", "60000", "--batch", "256", "--epochs", "60", "--delta", "1e-5"]
    shown = run(command, ["epsilon", *arguments, "--noise", "1.1", "--quiet"], standalone_mode=False)
    assert float(shown.output) == pytest.approx(2.382, abs=5e-3)
    words = run(command, ["noise", *arguments, "--epsilon", "3"], standalone_mode=False).output
    assert "noise multiplier 0.9" in words and "Promise" in words
    refused = run(command, ["epsilon", *arguments, "--noise", "1.1", "--method", "gdp"], standalone_mode=False)
    assert isinstance(refused.exception, UsageError)
    folder = project("epsilon = 1.0")
    settings = ["--set", "steps=20", "--set", "batch=100", "--quiet"]
    done = run(command, ["train", str(folder), "--epsilon", "0.5", *settings], standalone_mode=False)
    assert done.return_value == 0, done.exception
    told = run(command, ["statement", str(folder)], standalone_mode=False)
    assert told.return_value == 0 and "of 1 allowed" in told.output and "1 lines in the ledger" in told.output
    shutil.rmtree(folder / ".hauberk")
    assert "ε = 0.0000" in run(command, ["statement", str(folder)], standalone_mode=False).output
