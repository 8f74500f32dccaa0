"""`partitions` of a threat: a policy is decided on the proof, and only where there is poison to prove against."""

import joblib
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from hauberk.api.attacking import attack_project, described
from hauberk.core.errors import ProjectError

PROJECT = """
[model]
source = "model.joblib"
trust = true
bounds = [0, 1]
shape = [1, 8, 8]

[data]
source = "bundled:digits"

[threats.backdoor]
family = "{family}"
poison_rate = 0.002
target_class = 3
partitions = 20

[[policy.require]]
measurement = "poison_proven_accuracy"
threat = "backdoor"
min = {least}
"""


def project(folder, family="poisoning", least=0.5):
    x, y = load_digits(return_X_y=True)
    joblib.dump(LogisticRegression(max_iter=300).fit(x / 16, y), folder / "model.joblib")
    (folder / "hauberk.toml").write_text(PROJECT.format(family=family, least=least))
    return described(str(folder), data=None, factory=None, label=None, bounds=None, seed=0, trust=True)


@pytest.mark.parametrize(("least", "status"), [(0.5, 0), (0.99, 1)])
def test_a_policy_is_decided_on_the_proof(tmp_path, least, status):
    report = attack_project(*project(tmp_path, least=least), threats=("backdoor",))
    found = {row.name: row for row in report.measurements if row.role == "headline"}
    assert found["poison_proven_accuracy"].value <= found["partitioned_accuracy"].value
    assert found["partitioned_backdoor_success"].value < found["backdoor_success"].value + 0.05
    assert report.verdict().exit_status == status


def test_partitions_prove_nothing_against_another_family(tmp_path):
    with pytest.raises(ProjectError, match="partitions prove nothing"):
        attack_project(*project(tmp_path, family="privacy"), threats=("backdoor",))
