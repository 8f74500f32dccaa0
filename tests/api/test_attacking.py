"""What `hauberk attack` attacks a project under."""

import pytest

from hauberk.api.attacking import attack_project, described
from hauberk.core.errors import UsageError

PROJECT = """
[model]
source = "net:score"
kind = "python_callable"
bounds = [0, 1]

[data]
source = "bundled:digits"

[threats.sticker.patch]
size = [2, 2]

[threats.membership]
preset = "membership"
"""
NET = """
import torch


def score(x):
    return x.flatten(1)[:, 20:30]
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "hauberk.toml").write_text(PROJECT)
    (tmp_path / "net.py").write_text(NET)
    return described(str(tmp_path), data=None, factory=None, label=None, bounds=None, seed=0, trust=False)


def headlines(report):
    return {row.threat for row in report.measurements if row.role == "headline" and row.name == "robust_accuracy"}


def test_a_ball_given_here_is_a_threat_of_its_own(project):
    report = attack_project(*project, norm="linf", radius=0.1, queries=20, samples=8)
    assert headlines(report) == {"linf-0.1"}


def test_half_a_ball_is_refused(project):
    with pytest.raises(UsageError, match="both norm and radius"):
        attack_project(*project, threats=("sticker",), norm="linf", samples=8)
