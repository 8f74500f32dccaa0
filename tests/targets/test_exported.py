"""Programs of torch.export: any batch size, gradients, and no load without the user's word."""

import warnings

import pytest
import torch
from torch import nn

from hauberk.core.errors import ProjectError
from hauberk.core.project import ModelSection
from hauberk.core.protocols import powers
from hauberk.targets.opening import open_target

NET = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).eval()


def saved(path, batch):
    shapes = None if batch else ({0: torch.export.Dim("n", min=1, max=64)},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(NET, (torch.rand(batch or 2, 1, 2, 2),), dynamic_shapes=shapes)
        torch.export.save(program, path)


@pytest.mark.parametrize("batch", [None, 1, 4])
def test_any_batch_size_is_answered_with_gradients(tmp_path, batch):
    saved(tmp_path / "m.pt2", batch)
    target = open_target(ModelSection(source="m.pt2", trust=True, bounds=(0, 1)), tmp_path)
    assert target.spec.shape == (1, 2, 2)
    assert powers(target) == {"scores", "gradients"}
    for n in (1, 3, 4, 9, 70):
        x = torch.rand(n, 1, 2, 2, requires_grad=True)
        assert torch.allclose(target.predict(x), NET(x), atol=1e-6)
        (ours,) = torch.autograd.grad(target.forward(x).square().sum(), x)
        (theirs,) = torch.autograd.grad(NET(x).square().sum(), x)
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert any("trust" in note for note in target.spec.notes)
    assert any("padded" in note for note in target.spec.notes) == (batch is not None)


def test_what_is_refused(tmp_path):
    saved(tmp_path / "m.pt2", None)
    with pytest.raises(ProjectError, match="can run code that is in it"):
        open_target(ModelSection(source="m.pt2", bounds=(0, 1)), tmp_path)
    with pytest.raises(ProjectError, match=r"takes \(1, 2, 2\), not \(3,\)"):
        open_target(ModelSection(source="m.pt2", trust=True, bounds=(0, 1), shape=(3,)), tmp_path)
    with pytest.raises(ProjectError, match="no such file"):
        open_target(ModelSection(source="n.pt2", trust=True, bounds=(0, 1)), tmp_path)
    (tmp_path / "bad.pt2").write_bytes(b"PK nothing")
    with pytest.raises(ProjectError, match="cannot be loaded"):
        open_target(ModelSection(source="bad.pt2", trust=True, bounds=(0, 1)), tmp_path)
