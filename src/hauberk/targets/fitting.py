"""Train a network anew: start its parameters afresh, then Adam on cross-entropy, alike for the same generator."""

from __future__ import annotations

import math

import torch
from torch import nn

from hauberk.core.errors import DataError, TargetError
from hauberk.numeric.adam import Adam

_BATCH, _RATE = 64, 3e-3
_EPOCHS, _STEPS, _MOST_EPOCHS = 20, 600, 100
_PLATEAU, _PATIENCE, _DONE = 0.01, 3, 1e-3


def _seed(rng: torch.Generator) -> int:
    return int(torch.randint(2**62, (1,), generator=rng))


def started_anew(net: nn.Module, rng: torch.Generator) -> tuple[str, ...]:
    """Initialise every parameter of `net` afresh in place; return notes on those started by rule of thumb.

    Modules that know how (`reset_parameters`) do it themselves. A parameter of a module that does not is drawn from
    N(0, 0.02²) if it has two dimensions or more; else it becomes 1 if its name ends in weight, scale or gamma, and 0
    otherwise.
    """
    orphans = []
    devices = sorted({p.device.index or 0 for p in net.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(_seed(rng))
        for path, part in net.named_modules():
            reset = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
            if callable(reset):
                reset()
                continue
            for name, parameter in part.named_parameters(recurse=False):
                _start(name, parameter)
                orphans.append(f"{path}.{name}".lstrip("."))
    if not orphans:
        return ()
    shown = ", ".join(orphans[:4]) + (", …" if len(orphans) > 4 else "")
    return (f"refitted from a start by rule of thumb for {shown}: its modules have no reset_parameters",)


def _start(name: str, parameter: nn.Parameter) -> None:
    if parameter.ndim >= 2:
        nn.init.normal_(parameter, std=0.02)
    else:
        nn.init.constant_(parameter, float(name.endswith(("weight", "scale", "gamma"))))


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
        torch.manual_seed(_seed(rng))
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
    best, stale = math.inf, 0
    net.train()
    for _ in range(epochs):
        loss = _epoch(net, optimizer, x, y, rng)
        if not math.isfinite(loss):
            raise TargetError("training diverged: the loss is not finite", fix="look at the scale of the inputs")
        stale = 0 if loss < best * (1 - _PLATEAU) else stale + 1
        best = min(best, loss)
        if loss < _DONE or stale >= _PATIENCE:
            return


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
