"""The examiner of gradient leakage: how much of a client's examples does the gradient it sends give away?"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hauberk.attacks.recording import Recorder, demand, generator, guarded, recipe_of, samples
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.evidence import Entry
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, Modular, Progress, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.gradients import gradients_of
from hauberk.numeric.intervals import bootstrap_median

Tensor = torch.Tensor

RECOVERED = 20.0
"""Peak signal-to-noise ratio, in decibels, from which a record counts as recovered: 1 % of the range squared."""


@runtime_checkable
class GradientAttack(Protocol):
    """Rebuild examples from the gradient of their mean loss."""

    card: ClassVar[Card]

    def reconstruct(
        self,
        module: nn.Module,
        sent: Sequence[Tensor],
        shape: tuple[int, ...],
        bounds: tuple[float, float],
        rng: torch.Generator,
    ) -> Tensor:
        """Return inputs of this shape (n, …)."""
        ...


def examine_gradients(
    target: Target,
    data: Dataset,
    attack: GradientAttack,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    batch: int = 1,
    clients: int = 8,
    noise: float = 0.0,
    progress: Progress | None = None,
) -> Iterator[Entry]:
    """Let each of some clients send the gradient of `batch` test records, and rebuild them.

    noise: standard deviation added to every value of the gradient, as a defense. Yields gradient_leakage_recovered
    (headline: share of records rebuilt to 20 dB or better) and the median peak signal-to-noise ratio.
    """
    to = Recorder(recipe_of(attack), target.spec.name, threat, stamp, seed, attack)
    yield from guarded(_examine(target, data, attack, batch, clients, noise, progress or Silent(), to), to)


def _examine(
    target: Target,
    data: Dataset,
    attack: GradientAttack,
    batch: int,
    clients: int,
    noise: float,
    progress: Progress,
    to: Recorder,
) -> Generator[Entry, None, None]:
    demand(attack.card, target)
    if not isinstance(target, Modular):
        raise MissingPower("the model is no torch module, so it sends no gradient")
    test = samples(data.test)
    count = min(clients, len(test.y) // batch)
    if count < 1:
        yield to.skipped(f"{len(test.y)} test records are fewer than a batch of {batch}", fix="give more test samples")
        return
    module, bounds = target.module().eval(), target.spec.bounds
    order = torch.randperm(len(test.y), generator=generator(to.seed, 31))
    ratios: list[Tensor] = []
    with progress.step("gradient leakage", count, "clients") as step:
        for client in range(count):
            own = test.take(order[client * batch : (client + 1) * batch])
            with torch.enable_grad():
                sent = [part.detach() for part in gradients_of(module, cross_entropy(module(own.x), own.y))]
            rng = generator(to.seed, 32 + client)
            sent = [part + noise * torch.randn(part.shape, generator=rng) for part in sent] if noise else sent
            try:
                found = attack.reconstruct(module, sent, tuple(own.x.shape), bounds, rng)
            except ValueError as error:
                raise MissingPower(str(error)) from error
            ratios.append(matched(found, own.x, bounds[1] - bounds[0]))
            step.advance()
    decibels = torch.cat(ratios)
    note = f"batches of {batch}; a record counts as recovered from {RECOVERED:g} dB" + (
        f"; noise {noise:g}" if noise else ""
    )
    yield to.share("gradient_leakage_recovered", decibels >= RECOVERED, note=note)
    yield to.figure(
        "gradient_leakage_psnr",
        bootstrap_median(decibels.clamp(max=100.0), generator(to.seed, 30)),
        len(decibels),
        "bootstrap",
        role="diagnostic",
        unit="dB",
        note="median over records; 100 dB stands for exact",
    )


def matched(found: Tensor, true: Tensor, span: float) -> Tensor:
    """Return the peak signal-to-noise ratio (n,) of each true record and the best of the rebuilt ones not yet taken."""
    errors = (found[:, None] - true[None]).flatten(2).double().square().mean(2)
    ratios = torch.zeros(len(true), dtype=torch.float64)
    for _ in range(len(true)):
        place = int(errors.argmin())
        row, column = divmod(place, len(true))
        ratios[column] = 10 * torch.log10(span**2 / errors[row, column].clamp_min(1e-12))
        errors[row], errors[:, column] = torch.inf, torch.inf
    return ratios
