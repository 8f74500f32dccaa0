"""Defended targets, detectors and certificates by the verbs: adaptive figures or none."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn

from hauberk.api.attacking import attack_project
from hauberk.api.hardening import harden
from hauberk.core.errors import HauberkError, ProjectError
from hauberk.core.evidence import Measurement
from hauberk.core.project import read

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
radius = 0.15
samples = 40
attacks = ["evasion.pgd"]
settings."evasion.pgd".steps = 10
"""
FACTORY = """
from torch import nn
def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("small")
    (place / "hauberk.toml").write_text(PROJECT, encoding="utf-8")
    (place / "net.py").write_text(FACTORY, encoding="utf-8")
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor((x / 16).reshape(-1, 1, 8, 8).astype(np.float32)), torch.tensor(y)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[:1000]), y[:1000]).backward()
        optimizer.step()
    save_file(net.state_dict(), place / "net.safetensors")
    return place


def rows(report):
    return {row.name: row for row in report.measurements if row.role not in ("control", "curve", "stage")}


def with_section(folder, **changes):
    project = read(folder)
    section = msgspec.structs.replace(project.threats["pixels"], **changes)
    return msgspec.structs.replace(project, threats={"pixels": section})


def test_a_network_gets_a_certificate_below_its_robust_accuracy(folder, clock):
    report = attack_project(with_section(folder, radius=0.02), folder, clock=clock)
    found = rows(report)
    assert 0 < found["certified_accuracy"].low < found["robust_accuracy"].high
    assert found["certified_accuracy"].role == "headline"


def test_detectors_of_a_threat_are_attacked_together_with_the_model(folder, clock):
    report = attack_project(with_section(folder, detectors=("detection.mahalanobis",)), folder, clock=clock)
    found = rows(report)
    assert found["detection_auc"].threat == "pixels"
    assert found["detection_auc"].value <= found["detection_auc_plain"].value
    assert found["undetected_error"].n == pytest.approx(40, abs=4)


@pytest.mark.parametrize("name", ["detection.mahalanobi", "inference.jpeg"])
def test_what_is_no_detector_is_refused_before_anything_runs(folder, name, clock):
    with pytest.raises(HauberkError):
        attack_project(with_section(folder, detectors=(name,)), folder, clock=clock)
    assert issubclass(ProjectError, HauberkError)


def test_hardening_by_a_hidden_gradient_reports_the_adaptive_figure(folder, clock):
    done = harden(folder, threat="pixels", defense="inference.bit_depth", samples=40, clock=clock)
    found = [row for row in done.report.measurements if isinstance(row, Measurement)]
    (headline,) = [row for row in found if row.name == "robust_accuracy" and row.role == "headline"]
    plain = next(row for row in found if row.name == "robust_accuracy_non_adaptive")
    assert headline.value < plain.value - 0.2
    assert headline.subject.endswith("bit-depth reduction")
    assert any(row.name == "robust_accuracy_change" for row in found)
    assert done.weights is None


def test_a_detector_is_no_way_to_harden(folder, clock):
    with pytest.raises(HauberkError, match="detects attacks"):
        harden(folder, threat="pixels", defense="detection.magnet", samples=20, clock=clock)
