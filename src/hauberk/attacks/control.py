"""The weak control model: a linear one, whose errors are known in closed form, puts an attack to the test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
import torch

from hauberk.attacks.allowed import allowed
from hauberk.core.protocols import Dataset, TargetSpec
from hauberk.core.threat import Threat
from hauberk.numeric.balls import steepest
from hauberk.numeric.patches import Patches, patches, window
from hauberk.numeric.rows import Rows, rows
from hauberk.numeric.transforms import Poses, poses

RIDGE = 0.1
"""Penalty on the standardised inputs: a direction is wanted, not the best fit."""
TRAINED_ON = 512
"""Samples: the cost grows with their cube."""
WEIGHTS = 4_000_000
"""Larger linear models are not worth the time of a self-check."""


@dataclass(frozen=True, slots=True)
class Control:
    """A linear classifier: weight (classes, d), bias (classes,); answers as the target under test does."""

    spec: TargetSpec
    weight: torch.Tensor
    bias: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits (n, classes) under autograd."""
        return x.flatten(1) @ self.weight.T + self.bias

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score inputs x (n, *shape) → (n, classes), as logits, probabilities or one-hot rows."""
        with torch.no_grad():
            logits = self.forward(x)
        if self.spec.answers == "labels":
            return torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).float()
        return logits.softmax(1) if self.spec.answers == "probabilities" else logits


def train(data: Dataset, like: TargetSpec) -> Control | None:
    """Fit the control to the data's training split, or its test split; None where it would be too large.

    Ridge regression on one-hot labels, solved in its dual form.
    """
    split = data.train if len(data.train.y) else data.test
    width = math.prod(like.shape)
    if width * like.classes > WEIGHTS:
        return None
    x = torch.from_numpy(np.array(split.x[:TRAINED_ON], dtype=np.float32)).flatten(1)
    y = torch.from_numpy(np.array(split.y[:TRAINED_ON], dtype=np.int64))
    mean, spread = x.mean(0), x.std(0, unbiased=False)
    # Columns that never vary get no weight: an attack through them would be an accident.
    scale = torch.where(spread > 1e-6, 1 / spread.clamp(min=1e-6), torch.zeros_like(spread)) / math.sqrt(width)
    standard = ((x - mean) * scale).double()
    wish = torch.nn.functional.one_hot(y, like.classes).double()
    system = standard @ standard.T + RIDGE * torch.eye(len(x), dtype=torch.float64)
    offset = wish.mean(0)
    dual = torch.linalg.solve(system, wish - offset)
    weight, bias = (dual.T @ standard).float(), offset.float()
    plain = weight * scale
    spec = msgspec.structs.replace(like, name="weak control model (linear)", kind="control", digest="", notes=())
    return Control(spec, plain, bias - plain @ mean)


def breakable(control: Control, x: torch.Tensor, y: torch.Tensor, threat: Threat) -> torch.Tensor:
    """Tell for which samples (n,) an error inside the threat's set is known, by going straight at each other class.

    A linear model's score difference grows fastest along the norm's steepest direction; the point there is put into
    the set and asked, so every True has a witness. Some samples without one may still be breakable.
    """
    known = torch.zeros(len(x), dtype=torch.bool)
    for rival in range(control.spec.classes):
        slope = (control.weight[rival] - control.weight[y]).reshape(x.shape)
        found = control.predict(_farthest(control, x, slope, threat)).argmax(1)
        known |= found != y if threat.target_class is None else found == threat.target_class
    return known


def _farthest(control: Control, x: torch.Tensor, slope: torch.Tensor, threat: Threat) -> torch.Tensor:
    """Return the point of the set that a linear function with this slope (n, *shape) prefers, or a good one."""
    if threat.constraints is not None:
        return _table(rows(threat.constraints, x, control.spec.bounds), slope)
    if threat.patch is not None:
        frames = x.flatten(0, -4)
        return _patch(patches(threat.patch, frames, control.spec.bounds), slope.flatten(0, -4)).reshape(x.shape)
    if threat.transform is not None:
        return _pose(poses(threat.transform, x, control.spec.bounds), slope)
    return _ball(control, x, slope, threat)


def _patch(where: Patches, slope: torch.Tensor) -> torch.Tensor:
    """Fill the rectangle that gains most with the better end of each value's range: the optimum."""
    best = torch.where(slope > 0, where.upper, where.lower)
    gain = (slope * (best - where.center)).sum(1)
    return torch.where(window(where.best(gain), where.sides, best), best, where.center)


def _pose(where: Poses, slope: torch.Tensor) -> torch.Tensor:
    """Go to the ends of each range alone and show the pose that gains most: one changed parameter, not the optimum."""
    ends = [where.center]
    for index in where.free():
        for edge in (where.lower, where.upper):
            pose = where.center.clone()
            pose[:, index] = edge[:, index]
            ends.append(pose)
    shown = torch.stack([where.project(pose) for pose in ends], 1)
    gain = (shown * slope.unsqueeze(1)).flatten(2).sum(2)
    return shown[torch.arange(len(shown)), gain.argmax(1)]


def _ball(control: Control, x: torch.Tensor, slope: torch.Tensor, threat: Threat) -> torch.Tensor:
    assert threat.ball is not None
    low, high = control.spec.bounds
    ball = threat.ball
    reach = high - low if ball.norm == "l0" else ball.radius
    way = slope.sign() if ball.norm == "l0" else steepest(slope, ball.norm)
    return allowed(threat, x, control.spec.bounds).project(x + way * reach)


def _table(where: Rows, slope: torch.Tensor) -> torch.Tensor:
    """Take as many columns as may change to the better end of their range, those first that gain most."""
    clean = where.center
    best = torch.where(slope > 0, where.upper, where.lower)
    lonely = torch.tensor([len(columns) == 1 for columns in where.units])[where.unit]
    gain = torch.where(lonely, slope * (best - clean), 0.0).masked_fill(where.fixed[:, where.unit], 0.0)
    order = gain.argsort(dim=1, descending=True).argsort(dim=1)
    chosen = (order < where.changed) & (gain > 0)
    return where.project(torch.where(chosen, best, clean))
