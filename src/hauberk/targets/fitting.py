"""Train a network: Adam on cross-entropy, alike for the same generator."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from hauberk.core.errors import DataError, TargetError
from hauberk.numeric.adam import Adam
from hauberk.numeric.fresh_start import seed_from

_BATCH, _RATE = 64, 3e-3
_EPOCHS, _STEPS, _MOST_EPOCHS = 20, 600, 100
_PLATEAU, _PATIENCE, _DONE = 0.01, 3, 1e-3


def fit(net: nn.Module, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator, classes: int) -> None:
    """Train `net` (logits) on x (n, *shape), y (n,) in place and leave it in eval mode.

    Stops after max(20, what 600 steps take) epochs, 100 at most, or sooner: when the mean loss is below 0.001, or has
    not fallen by 1 % in three epochs. Raises DataError on unusable rows, TargetError where training diverges.
    """
    _check(x, y, classes)
    like = next(iter(net.parameters()), torch.zeros(()))
    x, y = x.detach().to(like.device), y.detach().to(like.device)
    steps = math.ceil(len(x) / _BATCH)
    epochs = min(_MOST_EPOCHS, max(_EPOCHS, math.ceil(_STEPS / steps)))
    devices = [like.device.index or 0] if like.is_cuda else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():  # dropout draws from the global generator
        torch.manual_seed(seed_from(rng))
        _train(net, x, y, rng, epochs)
    net.eval()
    net.requires_grad_(False)


def _check(x: torch.Tensor, y: torch.Tensor, classes: int) -> None:
    if len(x) == 0 or len(x) != len(y):
        raise DataError(f"cannot train on {len(x)} inputs and {len(y)} labels")
    if y.is_floating_point() or int(y.min()) < 0 or int(y.max()) >= classes:
        raise DataError(f"labels run from {y.min().item()} to {y.max().item()}", fix=f"they are 0 to {classes - 1}")


def _train(net: nn.Module, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator, epochs: int) -> None:
    parameters = [p for p in net.parameters() if p.requires_grad]
    if not parameters:
        raise TargetError("the network has no parameter to train")
    optimizer = Adam(parameters, _RATE)
    best, stale, kept = math.inf, 0, copy.deepcopy(net.state_dict())
    net.train()
    for _ in range(epochs):
        loss = _epoch(net, optimizer, x, y, rng)
        if not math.isfinite(loss):
            raise TargetError("training diverged: the loss is not finite", fix="look at the scale of the inputs")
        stale = 0 if loss < best * (1 - _PLATEAU) else stale + 1
        if loss < best:
            best, kept = loss, copy.deepcopy(net.state_dict())
        if loss < _DONE or (stale >= _PATIENCE and optimizer.rate < _RATE):
            break
        if stale >= _PATIENCE:
            # Patience runs out on an upswing as a rule: go on from the best state by smaller steps, which settle it.
            net.load_state_dict(kept)
            optimizer.rate, stale = _RATE / 10, 0
    net.load_state_dict(kept)


def _epoch(net: nn.Module, optimizer: Adam, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> float:
    """Go once over the rows; return the mean loss. A last batch of one row is left out: BatchNorm cannot take it."""
    order = torch.randperm(len(x), generator=rng, device=rng.device).to(x.device)
    total, seen = 0.0, 0
    for rows in torch.split(order, _BATCH):
        if len(rows) == 1 and len(x) > 1:
            continue
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        optimizer.step(loss)
        total, seen = total + float(loss.detach()) * len(rows), seen + len(rows)
    return total / max(seen, 1)
