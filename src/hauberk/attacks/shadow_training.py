"""Train many networks of one architecture at once: their parameters stacked, one Adam, each on rows of its own."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from hauberk.core.errors import TargetError
from hauberk.numeric.adam import Adam
from hauberk.numeric.fresh_start import seed_from, started_anew

Tensor = torch.Tensor
State = dict[str, Tensor]


class Trained(NamedTuple):
    """State dicts of the models trained side by side, and the epochs it took."""

    states: list[State]
    epochs: int


STACKED_VALUES = 2**24
"""Parameters stacked at once: with gradient and Adam's two moments 256 MiB in float32."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a reference model is trained: Adam on cross-entropy.

    epochs: over its rows; 0: until the models' mean training loss is at most the target's on its own training data,
    so that they remember as much as it does (`most` epochs at most). batch: rows a step. rate: Adam's. weight_decay:
    as an L2 penalty.
    """

    epochs: int = 0
    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.0
    most: int = 200


def stackable(module: nn.Module) -> int:
    """Say how many copies of the module are trained at once."""
    size = sum(parameter.numel() for parameter in module.parameters())
    return max(1, min(64, STACKED_VALUES // max(1, size)))


def train_stacked(
    module: nn.Module,
    x: Tensor,
    y: Tensor,
    rows: Tensor,
    recipe: Recipe,
    seeds: Sequence[int],
    goal: float = 0.0,
) -> Trained:
    """Train k fresh copies of `module` (inputs → logits) side by side.

    x (n, *shape), y (n,): records. rows (k, m) int64: the training rows of each. seeds: k, of start and order; model j
    comes out the same whatever its neighbours are, but for rounding (Adam works element by element and the summed
    loss separates). goal: mean training loss over the models at which
    recipe.epochs = 0 stops.
    Raises TargetError where training diverges or a layer cannot be stacked.
    """
    if rows.shape[1] < 2:
        raise TargetError(f"a reference model has {rows.shape[1]} rows to train on", fix="give more records")
    rngs = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]
    nets = [_fresh(module, rng) for rng in rngs]
    try:
        parameters, buffers = stack_module_state(nets)
    except RuntimeError as error:
        raise TargetError(f"its parameters cannot be stacked: {error}") from error
    frame = copy.deepcopy(nets[0]).to("meta").train()

    def loss_of(own: State, kept: State, inputs: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(functional_call(frame, (own, kept), (inputs,)), labels)

    batched = vmap(loss_of, randomness="different")
    optimizer, epochs = Adam(parameters.values(), recipe.rate), 0
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        own = [seed_from(rng) for rng in rngs]
        torch.manual_seed(own[0])  # dropout draws from the global generator
        while True:
            loss = _epoch(batched, parameters, buffers, optimizer, x, y, rows, rngs, recipe)
            if not math.isfinite(loss):
                raise TargetError("training a reference model diverged", fix="lower the recipe's rate")
            epochs += 1
            if _enough(epochs, loss, recipe, goal):
                break
    held = {**parameters, **buffers}
    states = [{name: value[j].detach().clone() for name, value in held.items()} for j in range(len(seeds))]
    return Trained(states, epochs)


def train_alone(
    module: nn.Module, x: Tensor, y: Tensor, rows: Tensor, recipe: Recipe, seed: int, goal: float = 0.0
) -> Trained:
    """Train one fresh copy of `module` on rows (m,) in the ordinary way, as `train_stacked` does."""
    rng = torch.Generator().manual_seed(seed % 2**63)
    net = _fresh(module, rng)
    optimizer, epochs = Adam(net.parameters(), recipe.rate), 0
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed_from(rng))
        while True:
            total, parts = 0.0, 0
            for part in _order(len(rows), recipe.batch, rng):
                chosen = rows[part]
                loss = cross_entropy(net(x[chosen]), y[chosen])
                optimizer.step(loss + _penalty(dict(net.named_parameters()), recipe.weight_decay))
                total, parts = total + float(loss.detach()), parts + 1
            if not math.isfinite(total):
                raise TargetError("training a reference model diverged", fix="lower the recipe's rate")
            epochs += 1
            if _enough(epochs, total / parts, recipe, goal):
                break
    return Trained([{name: value.detach().clone() for name, value in net.state_dict().items()}], epochs)


def _enough(epochs: int, loss: float, recipe: Recipe, goal: float) -> bool:
    return epochs >= recipe.epochs if recipe.epochs else epochs >= recipe.most or loss <= goal


def _fresh(module: nn.Module, rng: torch.Generator) -> nn.Module:
    net = copy.deepcopy(module).train().requires_grad_(True)
    started_anew(net, rng)
    for part in net.modules():  # running statistics of batch norm start afresh too
        reset = getattr(part, "reset_running_stats", None)
        if callable(reset):
            reset()
    return net


def _order(rows: int, batch: int, rng: torch.Generator) -> list[Tensor]:
    """Cut a random order of the rows into batches; a last one of one row is left out: batch norm cannot take it."""
    return [part for part in torch.split(torch.randperm(rows, generator=rng), batch) if len(part) > 1]


def _epoch(
    batched: Callable[..., Tensor],
    parameters: State,
    buffers: State,
    optimizer: Adam,
    x: Tensor,
    y: Tensor,
    rows: Tensor,
    rngs: Sequence[torch.Generator],
    recipe: Recipe,
) -> float:
    """Go once over every model's rows; return the mean loss over models and batches."""
    orders = [_order(rows.shape[1], recipe.batch, rng) for rng in rngs]
    total = 0.0
    for parts in zip(*orders, strict=True):
        chosen = torch.stack([rows[j, part] for j, part in enumerate(parts)])
        losses = batched(parameters, buffers, x[chosen], y[chosen])
        optimizer.step(losses.sum() + _penalty(parameters, recipe.weight_decay))
        total += float(losses.detach().mean())
    return total / len(orders[0])


def _penalty(parameters: State, weight: float) -> Tensor | float:
    return weight / 2 * sum(value.square().sum() for value in parameters.values()) if weight else 0.0
