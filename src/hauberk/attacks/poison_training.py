"""Train the victims of poison: whole models as the target is refitted, last layers all side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch.nn.functional import cross_entropy

from hauberk.attacks.poison_features import Extractor, network_of
from hauberk.core.poisoning import Poisoned
from hauberk.core.protocols import Modular, Progress, Target, Trainable
from hauberk.numeric.adam import Adam

Tensor = torch.Tensor

_STEPS, _EPOCHS, _BATCH = 600, 20, 256


class Pool(NamedTuple):
    """Training sets that share most rows: x (N, *shape), y (N,), and the rows (k, n) each of k sets is made of."""

    x: Tensor
    y: Tensor
    rows: Tensor


def pooled(x: Tensor, y: Tensor, sets: Sequence[Poisoned]) -> Pool:
    """Put clean rows x (n, *shape), y (n,) and the changed rows of each set into one pool."""
    inputs, labels, rows, start = [x], [y], [], len(y)
    for poisoned in sets:
        own = torch.arange(len(y))
        own[poisoned.rows] = torch.arange(start, start + len(poisoned.rows))
        inputs.append(poisoned.x[poisoned.rows])
        labels.append(poisoned.y[poisoned.rows])
        rows.append(own)
        start += len(poisoned.rows)
    return Pool(torch.cat(inputs), torch.cat(labels), torch.stack(rows))


def untouched(x: Tensor, y: Tensor) -> Poisoned:
    """Return the training set without poison."""
    return Poisoned(x, y, torch.zeros(0, dtype=torch.int64))


def train_all(target: Target, sets: Sequence[Poisoned], seed: int, to: Progress) -> list[Target]:
    """Train a model on each set as the target is refitted, all from one start; raises what `refit` raises.

    One by one: stacked, nine small dense networks took 0.9 of the time, nine linear or convolutional ones no less, and
    training that is not the target's own gave other accuracies.
    """
    with to.step("poisoned training", len(sets), "models") as step:
        trained = []
        for poisoned in sets:
            rng = torch.Generator().manual_seed(seed)
            trained.append(cast(Trainable, target).refit(poisoned.x, poisoned.y, rng))
            step.advance()
        return trained


def train_last(target: Target, x: Tensor, y: Tensor, sets: Sequence[Poisoned], seed: int, to: Progress) -> list[Target]:
    """Train the last linear layer anew on each set, all at once, on the features the network has.

    Raises MissingPower where it does not end in one.
    """
    features = Extractor(network_of(target), x)
    pool = pooled(x, y, sets)
    seen = features.still(pool.x)
    classes = features.head.out_features
    with to.step("last layers on poison", len(sets), "models") as step:
        weight, bias = _heads(seen, pool.y, pool.rows, classes, torch.Generator().manual_seed(seed))
        step.advance(len(sets))
    like = cast(Modular, target)
    return [
        like.rebuild(features.with_head(one, two), f"{target.spec.name}, last layer retrained")
        for one, two in zip(weight, bias, strict=True)
    ]


def _heads(x: Tensor, y: Tensor, rows: Tensor, classes: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Train k softmax regressions on features x (N, d): weights (k, classes, d), biases (k, classes)."""
    clean = x[: rows.shape[1]]  # the pool begins with the clean rows: no set's poison scales another's features
    center, width = clean.mean(0), clean.std(0).clamp(min=1e-6)
    scaled = (x - center) / width
    weight = torch.zeros(len(rows), x.shape[1], classes, requires_grad=True)
    bias = torch.zeros(len(rows), 1, classes, requires_grad=True)
    optimizer, count = Adam([weight, bias], 1e-2), rows.shape[1]
    for step in range(steps := max(_STEPS, _EPOCHS * -(-count // _BATCH))):
        optimizer.rate = 1e-2 * (1 - step / steps)
        part = rows[:, torch.randint(count, (min(_BATCH, count),), generator=rng)]
        with torch.enable_grad():
            logits = torch.baddbmm(bias, scaled[part], weight)
            loss = cross_entropy(logits.flatten(0, 1), y[part].flatten(), reduction="sum") / part.shape[1]
        optimizer.step(loss)
    with torch.no_grad():
        plain = (weight / width[:, None]).transpose(1, 2)
        shifted = bias[:, 0] - plain @ center
    return plain.contiguous(), shifted
