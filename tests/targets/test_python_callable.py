"""Any callable: arrays or tensors in, scores or labels out, and a copy for each."""

import time

import numpy as np
import pytest
import torch

from hauberk.core.errors import BudgetSpent, ProjectError, TargetError, TargetOutput, TargetTimeout
from hauberk.core.project import ModelSection
from hauberk.core.protocols import powers
from hauberk.targets import from_callable
from hauberk.targets.opening import open_target

X = torch.rand(7, 3, generator=torch.Generator().manual_seed(0))
BOUNDS = (0.0, 1.0)


def softmax(x):
    e = np.exp(x)
    return e / e.sum(1, keepdims=True)


def test_arrays_in_scores_out():
    target = from_callable(softmax, (3,), 3, BOUNDS)
    assert torch.allclose(target.predict(X), X.softmax(1), atol=1e-6)
    assert powers(target) == {"scores"}


def test_a_callable_of_tensors_is_found_out():
    seen = []

    def takes(x):
        seen.append(type(x))
        return torch.softmax(x, 1)

    target = from_callable(takes, (3,), 3, BOUNDS)
    assert torch.allclose(target.predict(X), X.softmax(1))
    target.predict(X)
    assert seen[1:] == [torch.Tensor, torch.Tensor]

    def annotated(x: torch.Tensor):
        assert isinstance(x, torch.Tensor)
        return x.softmax(1)

    from_callable(annotated, (3,), 3, BOUNDS).predict(X)


def test_labels_have_no_scores():
    target = from_callable(lambda x: x.argmax(1), (3,), 3, BOUNDS, "labels")
    assert powers(target) == frozenset()
    assert target.predict(X).sum(1).tolist() == [1.0] * 7


def test_what_it_does_to_its_input_reaches_nobody():
    def rude(x):
        x[:] = 0
        return softmax(x)

    x = X.clone()
    from_callable(rude, (3,), 3, BOUNDS).predict(x)
    assert torch.equal(x, X)


def test_its_own_error_is_shown_and_chained():
    def wrong(x):
        raise KeyError("weights")

    with pytest.raises(TargetError, match="raised KeyError: 'weights'") as caught:
        from_callable(wrong, (3,), 3, BOUNDS).predict(X)
    assert isinstance(caught.value.__cause__, KeyError)


def test_nan_wrong_shape_and_hanging():
    with pytest.raises(TargetOutput, match="NaN to input 0"):
        from_callable(lambda x: x * np.nan, (3,), 3, BOUNDS).predict(X)
    with pytest.raises(TargetOutput, match="gave 3 scores an input, expected 5"):
        from_callable(softmax, (3,), 5, BOUNDS).predict(X)
    with pytest.raises(TargetTimeout):
        from_callable(lambda x: time.sleep(60), (3,), 3, BOUNDS, timeout=0.05).predict(X)


def test_the_budget_is_kept_before_the_call():
    calls = []
    target = from_callable(lambda x: calls.append(len(x)) or softmax(x), (3,), 3, BOUNDS, queries=10)
    target.predict(X)
    with pytest.raises(BudgetSpent, match="7 of 10"):
        target.predict(X)
    assert calls == [7]


CODE = """
import numpy as np
def predict(x):
    from sister import scale          # found while the model is probed
    return np.stack((x[:, 0], 1 - x[:, 0]), 1) * scale
class Model:
    def __call__(self, x): return predict(x)
thing = {"a": 1}
"""


def test_by_name_and_with_what_it_imports_late(tmp_path):
    (tmp_path / "served.py").write_text(CODE)
    (tmp_path / "sister.py").write_text("scale = 1\n")
    for source in ("served:predict", "served:Model"):
        target = open_target(ModelSection(source=source), tmp_path, shape_hint=(3,), bounds_hint=BOUNDS)
        assert target.spec.kind == "python_callable"
        assert target.spec.answers == "probabilities"
        assert torch.allclose(target.predict(X)[:, 0], X[:, 0])
    with pytest.raises(ProjectError, match="is a dict, which cannot be called"):
        open_target(ModelSection(source="served:thing"), tmp_path, shape_hint=(3,), bounds_hint=BOUNDS)
    with pytest.raises(Exception, match="did you mean"):
        open_target(ModelSection(source="served:predict", kind="python_calable"), tmp_path)
