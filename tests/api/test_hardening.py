"""The verb `harden` on a small real project: files, recipe, strength, resume, a full disk, and the model untouched."""

from __future__ import annotations

import errno
import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from hauberk.api import harden_recipes
from hauberk.api.harden_checkpoints import CheckpointFile
from hauberk.api.harden_recipes import choose, resolve, seconds, training_settings
from hauberk.api.harden_strength import gradients
from hauberk.api.hardening import harden
from hauberk.core.encoding import decode
from hauberk.core.errors import MissingPower, StoreError, UnknownName, UsageError
from hauberk.core.plugins import build
from hauberk.core.protocols import Split
from hauberk.core.report import Report
from hauberk.core.threat import Ball, Patch, Threat
from hauberk.targets import from_torch

PROJECT = """
name = "small"
[model]
source = "net.safetensors"
factory = "net:build"
bounds = [0, 1]
[data]
source = "bundled:digits"
[threats.pixels]
norm = "linf"
radius = 0.1
samples = 20
attacks = ["evasion.fgsm"]
"""
FACTORY = """
from torch import nn
def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""
LINF = Threat(name="t", ball=Ball("linf", 0.1))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hauberk.toml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "net.py").write_text(FACTORY, encoding="utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).state_dict(), tmp_path / "net.safetensors")
    return tmp_path


def small(n: int = 64):
    target = from_torch(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), shape=(1, 8, 8), classes=10)
    x = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return target, Split(x.numpy(), torch.zeros(n, dtype=torch.int64).numpy())


def test_weights_card_and_report_are_written_and_the_model_is_not(folder, clock) -> None:
    before = (folder / "net.safetensors").read_bytes()
    made = harden(folder, defense="adversarial_training", settings={"epochs": 3, "steps": 2}, clock=clock)
    assert (folder / "net.safetensors").read_bytes() == before
    assert made.weights == folder / "net.hardened.safetensors"
    assert set(load_file(made.weights)) == set(load_file(folder / "net.safetensors"))
    report = decode((folder / "net.hardened.report.json").read_bytes(), Report)
    assert report.evidence == made.report.evidence
    change = next(row for row in report.measurements if row.name == "robust_accuracy_change")
    (check,) = change.indicators
    assert (check.name, check.passed) == ("stronger_than_training", True)
    assert "trained on 2 looks" in check.detail
    assert "evasion.apgd" in check.detail, "the project's FGSM alone would prove nothing"
    card = made.card.read_text(encoding="utf-8")
    for words in ("# small, hardened by adversarial training", "Madry et al. 2018", "robust accuracy under pixels"):
        assert words in card
    assert f"{change.value:.3f} [{change.low:.3f}, {change.high:.3f}]" in card
    assert made.why == ""
    assert not (folder / "net.hardened.checkpoint").exists()


def test_without_a_name_a_recipe_is_chosen_and_says_why(folder, clock) -> None:
    made = harden(folder, budget="1s", samples=10, settings={"batch": 400}, clock=clock)
    assert made.defense.startswith("training.")
    assert "budget pays for" in made.why
    assert made.why.partition(":")[0] in made.card.read_text(encoding="utf-8")
    used = next(row for row in made.report.measurements if row.name == "training_budget_used")
    assert used.value > 0.5


def test_an_interrupted_run_keeps_the_best_and_resumes_to_the_same_weights(folder, clock, monkeypatch) -> None:
    monkeypatch.setattr(CheckpointFile.__init__, "__kwdefaults__", {"every": 0.0})
    kind, settings = "adversarial_training", {"epochs": 4, "steps": 1, "patience": 0}
    whole = load_file(harden(folder, defense=kind, settings=settings, samples=5, clock=clock).weights)
    from hauberk.defenses import training_driver

    teach, steps = training_driver._Run._teach, []

    def stopping(self, batch):
        steps.append(1)
        if len(steps) == 50:
            raise KeyboardInterrupt
        teach(self, batch)

    monkeypatch.setattr(training_driver._Run, "_teach", stopping)
    made = harden(folder, defense=kind, settings=settings, samples=5, clock=clock)
    assert made.report.interrupted
    assert made.report.skipped[-1].kind == "interrupted"
    assert "not examined" in made.card.read_text(encoding="utf-8")
    assert (folder / "net.hardened.checkpoint").exists()
    monkeypatch.setattr(training_driver._Run, "_teach", teach)
    again = harden(folder, defense=kind, settings=settings, samples=5, resume=True, clock=clock)
    resumed = load_file(again.weights)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert not (folder / "net.hardened.checkpoint").exists()
    with pytest.raises(UsageError, match="no checkpoint to resume"):
        harden(folder, defense=kind, settings=settings, samples=5, resume=True, clock=clock)


@pytest.mark.parametrize(
    ("threat", "attack"),
    [
        ("patch = { size = [2, 2] }", "evasion.patch"),
        pytest.param("transform = { rotation = [-20, 20] }", "evasion.transform", marks=pytest.mark.slow),
    ],
)
def test_threats_without_a_ball_are_trained_on_by_the_attack_that_fits(folder, clock, threat, attack) -> None:
    text = PROJECT.partition("[threats.pixels]")[0] + f"[threats.pixels]\n{threat}\nsamples = 6\n"
    (folder / "hauberk.toml").write_text(text, encoding="utf-8")
    made = harden(folder, settings={"epochs": 1, "steps": 1, "batch": 400, "held_out": 0.02}, clock=clock)
    assert made.defense == "training.adversarial_training"
    assert attack in made.why
    assert made.weights is not None
    assert any(row.name == "robust_accuracy_change" for row in made.report.measurements)


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path, monkeypatch) -> None:
    keeper = CheckpointFile(tmp_path / "run.checkpoint", resume=True)
    keeper.save(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        keeper.save(b"new")
    assert keeper.load() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["run.checkpoint"]


def test_a_full_disk_while_hardening_touches_no_model(folder, clock, monkeypatch) -> None:
    before = (folder / "net.safetensors").read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        harden(folder, defense="label_smoothing", settings={"epochs": 1}, samples=5, clock=clock)
    assert (folder / "net.safetensors").read_bytes() == before
    assert not list(folder.glob("*hardened*"))


def test_the_model_itself_is_never_written(folder) -> None:
    with pytest.raises(UsageError, match="the model itself"):
        harden(folder, weights=folder / "net.safetensors")


def test_recipes_follow_budget_and_threat(monkeypatch) -> None:
    target, data = small()
    for epochs, name in ((50, "trades"), (6, "free_adversarial_training"), (1, "free_adversarial_training")):
        monkeypatch.setattr(harden_recipes, "_affordable", lambda *_, epochs=epochs: epochs)
        recipe = choose(target, data, LINF, 60.0)
        assert recipe.defense == f"training.{name}"
        assert f"about {epochs}" in recipe.why
    assert choose(target, data, LINF, 0.0).defense == "training.adversarial_training"
    sticker = choose(target, data, Threat(name="s", patch=Patch((2, 2))), 60.0)
    assert sticker.settings == {"inner": "attack"}
    assert choose(target, data, Threat(name="s", ball=Ball("l0", 3)), 60.0).defense == "training.adversarial_training"


def test_a_budget_pays_for_more_epochs_the_longer_it_is() -> None:
    target, data = small()
    assert 0 < harden_recipes._affordable(target, data, 1.0) < harden_recipes._affordable(target, data, 1000.0)
    hollow = from_torch(nn.Flatten(), shape=(1, 8, 8), classes=64)
    with pytest.raises(MissingPower, match="trainable"):
        choose(hollow, data, LINF, 60.0)


def test_a_target_that_cannot_be_trained_is_told_what_it_can_use() -> None:
    target, data = small()

    class Remote:
        spec = target.spec

        def predict(self, x):
            return target.predict(x)

    with pytest.raises(MissingPower, match="no torch module"):
        choose(Remote(), data, LINF, 0.0)


def test_names_settings_and_spans() -> None:
    assert resolve("trades") == resolve("training.trades") == "training.trades"
    with pytest.raises(UnknownName, match="trades"):
        resolve("trade")
    assert training_settings("training.trades", {"epochs": 3, "beta": 2.0}, 60.0) == {
        "training.epochs": 3,
        "beta": 2.0,
        "training.budget": 60.0,
    }
    spans = {"10m": 600, "90s": 90, "1h30m": 5400, "600": 600, "1.5m": 90}
    assert {text: seconds(text) for text in spans} == spans
    for wrong in ("", "soon", "0", "-5", "10x", "1.2.3s"):
        with pytest.raises(UsageError, match="no span"):
            seconds(wrong)


def test_looks_at_an_input_are_counted_from_settings() -> None:
    assert gradients(build("attacks", "evasion.pgd", {"steps": 10, "restarts": 3})) == 30
    assert gradients(build("defenses", "training.trades")) == 7
    assert gradients(build("defenses", "training.label_smoothing")) == 1
    assert gradients(build("defenses", "training.free_adversarial_training")) == 8
