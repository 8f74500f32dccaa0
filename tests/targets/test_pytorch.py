"""Torch modules: the one given stays as it is, gradients are of the input only, and every misbehaviour is named."""

import copy
import time

import pytest
import torch
from torch import nn

from hauberk.core.errors import (
    BudgetSpent,
    DataError,
    MissingPower,
    ProjectError,
    TargetError,
    TargetOutput,
    TargetTimeout,
)
from hauberk.core.project import ModelSection
from hauberk.core.protocols import Differentiable, Modular, Target, Trainable, powers
from hauberk.targets import from_torch
from hauberk.targets.opening import open_target

CODE = """
import time, torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    def forward(self, x):
        return self.net(x)
def build(): return Net()
net = Net()
class Raises(Net):
    def forward(self, x): raise ValueError("no such layer")
class Nan(Net):
    def forward(self, x): return self.net(x) / 0 * 0
class Shape(Net):
    def forward(self, x): return self.net(x)[:-1]
class NoTensor(Net):
    def forward(self, x): return {"logits": self.net(x)}
class Hangs(Net):
    def forward(self, x): time.sleep(60)
class Random(Net):
    def forward(self, x): return self.net(x) + torch.randn(len(x), 3)
class Mixed(Net):
    def forward(self, x): return self.net(x - x.mean(0))
def number(): return 3
def broken(): raise OSError("no weights here")
def needs(path): return Net()
"""


def net(*, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


def inputs(n=5):
    return torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(1))


def opened(folder, source, **section):
    (folder / "nets.py").write_text(CODE)
    return open_target(ModelSection(source=source, **section), folder, shape_hint=(1, 2, 2), bounds_hint=(0.0, 1.0))


def test_it_has_every_power_and_learns_shape_and_classes():
    target = from_torch(net())
    for power in (Target, Differentiable, Modular, Trainable):
        assert isinstance(target, power)
    assert powers(target) == {"scores", "gradients", "module", "refit"}
    assert (target.spec.shape, target.spec.classes) == ((), 0)
    assert target.predict(inputs()).shape == (5, 3)
    assert (target.spec.shape, target.spec.classes, target.spec.answers) == ((1, 2, 2), 3, "logits")


def test_the_given_module_is_never_changed():
    given = net().train()
    before = copy.deepcopy(given.state_dict())
    target = from_torch(given)
    x = inputs().requires_grad_(True)
    target.forward(x).sum().backward()
    target.predict(x)
    target.refit(inputs(40), torch.arange(40) % 3, torch.Generator().manual_seed(0))
    assert given.training
    assert all(p.requires_grad and p.grad is None for p in given.parameters())
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())


def test_the_gradient_is_of_the_input_alone_and_right():
    weights = torch.tensor([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0]])
    linear = nn.Linear(2, 3, bias=False)
    linear.weight.data = weights
    target = from_torch(linear, mean=(0.5,), std=(0.25,))
    x = torch.tensor([[0.2, 0.7]], requires_grad=True)
    logits = target.forward(x)
    assert torch.allclose(logits, ((torch.tensor([0.2, 0.7]) - 0.5) / 0.25) @ weights.T)
    (gradient,) = torch.autograd.grad(logits[0, 1], x)
    assert torch.allclose(gradient, weights[1:2] / 0.25)
    assert all(not p.requires_grad for p in target._prepared.parameters())
    assert not target.predict(x).requires_grad


def test_mean_and_std_are_per_channel():
    target = from_torch(nn.Flatten(), mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 2.0))
    scores = target.predict(torch.ones(1, 3, 1, 1))
    assert scores.tolist() == [[1.0, 1.0, 0.0]]


def test_probabilities_become_logits_with_the_same_softmax():
    target = from_torch(nn.Sequential(net(), nn.Softmax(1)))
    x = inputs().requires_grad_(True)
    logits = target.forward(x)
    assert target.spec.answers == "probabilities"
    assert torch.allclose(logits.softmax(1), target.predict(x), atol=1e-6)
    assert any("probabilities" in note for note in target.spec.notes)


@pytest.mark.parametrize("answers", ["logits", "probabilities"])
def test_one_column_is_widened_when_said(answers):
    core = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    given = core if answers == "logits" else nn.Sequential(core, nn.Sigmoid())
    target = from_torch(given, answers=answers)
    x = inputs()
    want = torch.sigmoid(core(x))[:, 0]
    assert torch.allclose(target.forward(x).softmax(1)[:, 1], want, atol=1e-6)
    assert target.spec.classes == 2
    with pytest.raises(TargetOutput, match="one column"):
        from_torch(given).predict(x)


def test_double_precision_and_batches_change_nothing():
    given = net().double().eval()
    target = from_torch(given)
    x = inputs(10_000)
    with torch.no_grad():
        want = given(x.double()).float()
    assert torch.allclose(target.predict(x), want)
    assert target.predict(x[:0]).shape == (0, 3)


def test_module_and_rebuild_keep_the_interface():
    target = from_torch(nn.Sequential(net(), nn.Softmax(1)), mean=(0.5,), std=(0.5,))
    x = inputs()
    target.predict(x)
    module = target.module()
    assert all(p.requires_grad for p in module.parameters())
    again = target.rebuild(module, "hardened")
    assert torch.allclose(again.predict(x), target.forward(x), atol=1e-6)
    assert again.spec.name == "hardened"
    assert again.spec.answers == "logits"
    next(module.parameters()).data.zero_()
    assert torch.allclose(again.predict(x), target.forward(x), atol=1e-6)
    assert target.rebuild(module, "other").spec.digest != again.spec.digest


def blobs(n=240):
    rng = torch.Generator().manual_seed(3)
    y = torch.arange(n) % 3
    x = 0.5 + 0.1 * torch.randn(n, 1, 2, 2, generator=rng)
    x[torch.arange(n), 0, y // 2, y % 2] += 0.4
    return x.clamp(0, 1), y


def test_refit_learns_repeats_and_leaves_the_random_state():
    target = from_torch(net())
    x, y = blobs()
    state = torch.random.get_rng_state()
    one, two, three = (target.refit(x, y, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (one.predict(x).argmax(1) == y).float().mean() > 0.95
    assert one.spec.digest == two.spec.digest != three.spec.digest
    assert (target.predict(x).argmax(1) == y).float().mean() < 0.9


def test_refit_starts_from_nothing_the_old_model_knew():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
            self.table = nn.Parameter(torch.full((4, 4), 1e6))

        def forward(self, x):
            return self.linear(x.flatten(1) @ self.table)

    x, y = blobs()
    target = from_torch(Scaled())
    refitted = target.refit(x, y, torch.Generator().manual_seed(0))
    assert refitted.module().net.table.abs().max() < 100
    assert any("table" in note for note in refitted.spec.notes)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (inputs(0), torch.zeros(0, dtype=torch.long), "cannot train on 0 inputs"),
        (inputs(4), torch.tensor([0, 1, 2, 3]), "labels run from 0 to 3"),
        (inputs(4), torch.tensor([0, 1]), "4 inputs and 2 labels"),
    ],
)
def test_refit_refuses_unusable_rows(x, y, message):
    target = from_torch(net())
    target.predict(inputs())
    with pytest.raises(DataError, match=message):
        target.refit(x, y, torch.Generator())


def test_a_cut_gradient_is_a_missing_power():
    class Cut(nn.Module):
        def forward(self, x):
            return x.flatten(1).detach()

    target = from_torch(Cut())
    assert target.predict(inputs()).shape == (5, 4)
    with pytest.raises(MissingPower, match="cuts the gradient"):
        target.forward(inputs().requires_grad_(True))


def test_wrong_inputs_are_refused():
    target = from_torch(net(), shape=(1, 2, 2))
    with pytest.raises(DataError, match=r"shape \(5, 3, 2, 2\)[\s\S]*\(n, 1, 2, 2\)"):
        target.predict(torch.rand(5, 3, 2, 2))
    with pytest.raises(DataError, match="list"):
        target.predict([[1.0]])


# --- by name


@pytest.mark.parametrize("source", ["nets:build", "nets:Net", "nets:net"])
def test_a_factory_a_class_or_a_module(tmp_path, source):
    target = opened(tmp_path, source)
    assert target.spec.kind == "pytorch"
    assert target.spec.classes == 3
    assert target.spec.notes == ()


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("nets:Raises", TargetError, "raised ValueError: no such layer"),
        ("nets:Nan", TargetOutput, "NaN to input 0"),
        ("nets:Shape", TargetOutput, r"shape \(1, 3\) to 2 inputs"),
        ("nets:NoTensor", TargetOutput, "a dict of 1"),
        ("nets:Hangs", TargetTimeout, r"no answer within 0\.2 s"),
        ("nets:number", ProjectError, "gave a int"),
        ("nets:broken", ProjectError, "OSError: no weights here"),
        ("nets:biuld", ProjectError, 'no "biuld"[\\s\\S]*"build"'),
        ("netz:build", ProjectError, 'no module "netz"[\\s\\S]*"nets"'),
        ("nets.onx", ProjectError, "do not know how to open[\\s\\S]*onnx"),
    ],
)
def test_a_model_that_misbehaves_is_named(tmp_path, source, kind, message):
    with pytest.raises(kind, match=message):
        opened(tmp_path, source, timeout=0.2, kind="pytorch" if source == "nets:number" else "")


def test_the_models_own_error_is_chained(tmp_path):
    with pytest.raises(TargetError) as caught:
        opened(tmp_path, "nets:Raises")
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_module_that_fails_on_import(tmp_path):
    (tmp_path / "bad.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(ProjectError, match="importing bad raised SystemExit"):
        open_target(ModelSection(source="bad:build"), tmp_path)
    (tmp_path / "bad2.py").write_text("import no_such_library\n")
    with pytest.raises(ProjectError, match="needs no_such_library"):
        open_target(ModelSection(source="bad2:build"), tmp_path)


def test_randomness_and_batch_dependence_are_noted(tmp_path):
    assert any("differently" in note for note in opened(tmp_path, "nets:Random").spec.notes)
    assert any("other inputs of the batch" in note for note in opened(tmp_path, "nets:Mixed").spec.notes)


def test_a_query_budget_holds_for_scores_and_gradients(tmp_path):
    target = opened(tmp_path, "nets:build", queries=20)  # the probe took five
    target.predict(inputs(10))
    target.forward(inputs(5))
    with pytest.raises(BudgetSpent, match="20 of 20"):
        target.forward(inputs(1))


def test_safetensors_weights_are_loaded_strictly(tmp_path):
    from safetensors.torch import save_file

    (tmp_path / "nets.py").write_text(CODE)
    state = {"net.1.weight": torch.ones(3, 4), "net.1.bias": torch.zeros(3)}
    section = {"factory": "nets:build"}
    save_file(state, tmp_path / "w.safetensors")
    target = opened(tmp_path, "w.safetensors", **section)
    assert target.predict(torch.ones(1, 1, 2, 2)).tolist() == [[4.0, 4.0, 4.0]]
    assert target.spec.digest.startswith("sha256:")
    with pytest.raises(ProjectError, match="holds weights, not a network"):
        opened(tmp_path, "w.safetensors")
    save_file({**state, "net.2.bias": torch.zeros(1)}, tmp_path / "extra.safetensors")
    with pytest.raises(ProjectError, match=r"unexpected: net\.2\.bias"):
        opened(tmp_path, "extra.safetensors", **section)
    save_file({"net.1.weight": torch.ones(2, 4)}, tmp_path / "less.safetensors")
    with pytest.raises(ProjectError, match=r"missing: net\.1\.bias; of another shape: net\.1\.weight \(2, 4\) for"):
        opened(tmp_path, "less.safetensors", **section)
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(ProjectError, match="cannot be read as safetensors"):
        opened(tmp_path, "bad.safetensors", **section)
    with pytest.raises(ProjectError, match="no such file"):
        opened(tmp_path, "none.safetensors", **section)


def test_bounds_must_be_known_and_real(tmp_path):
    (tmp_path / "nets.py").write_text(CODE)
    with pytest.raises(ProjectError, match="range of input values is not known"):
        open_target(ModelSection(source="nets:build"), tmp_path, shape_hint=(1, 2, 2))
    with pytest.raises(ProjectError, match="is empty"):
        from_torch(net(), bounds=(1.0, 0.0))
    with pytest.raises(ProjectError, match="shape of one input is not known"):
        open_target(ModelSection(source="nets:build", bounds=(0, 1)), tmp_path)


def test_a_hang_in_forward_is_left_too():
    class Later(nn.Module):
        calls = 0

        def forward(self, x):
            Later.calls += 1
            if Later.calls > 1:
                time.sleep(60)
            return x.flatten(1)

    target = from_torch(Later(), timeout=0.1)
    target.predict(inputs())
    with pytest.raises(TargetTimeout):
        target.forward(inputs())
