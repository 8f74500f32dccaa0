"""The transfer family: momentum, look-ahead, varied copies and smoothed gradients make errors other models share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch.nn import functional

from hauberk.attacks.driver import Driving, Plan, Round, Turn, ball_norm, drive
from hauberk.attacks.driving_oracle import Lens, Seen
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, steepest, unit_mean
from hauberk.numeric.draws import uniform
from hauberk.numeric.losses import LOSSES, LossName

Tensor = torch.Tensor

_SIGMAS = 3.0
"""A translation kernel reaches so many standard deviations to each side (Dong et al. 2019, section 4.1)."""

_TO_THE_END = Driving(early_stop=False)

_PIECE = 3
"""Width of the kernel a patch-wise step hands its overflow on by (Gao et al. 2020, section 3.3)."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Where a transfer attack stands; every tensor (n, *shape), or (n, 0) where its settings do not need it.

    x: the point looked at, ahead of `base` by the momentum where nesterov is set. base: the iterate.
    momentum: what is left of the gradients so far. plain, around: gradient at x, and the sum of its neighbours'.
    variance: what the neighbours of the last point knew more. amplified: the steps of a patch-wise attack, uncut.
    """

    x: Tensor
    base: Tensor
    momentum: Tensor
    plain: Tensor
    around: Tensor
    variance: Tensor
    amplified: Tensor


@dataclass(frozen=True, slots=True)
class Transfer:
    """Transfer attack: run it on a model you have, and try what it returns on the model you have not.

    The settings combine freely; `PRESETS` holds the published combinations. Each sample stays to the last step and the
    last point is returned, as published, since what breaks this model earliest need not break another; with
    `driving.early_stop` a sample leaves once this model errs instead.

    steps: iterations. pace: length of a step as a share of the radius; None for 1 / steps.
    decay: what stays of the momentum, 0–1; 0 is BIM, 1 MI-FGSM (Dong et al. 2018, arXiv:1710.06081).
    nesterov: look ahead by the momentum (NI-FGSM, Lin et al. 2020, arXiv:1908.06281).
    scales: mean gradient of x, x/2, x/4 … so many copies (SI-FGSM, the same paper), 1 for none.
    diversity: chance, 0–1, that a look sees the image smaller and somewhere else (DI-FGSM, Xie et al. 2019,
    arXiv:1803.06978). smallest: least size it is then shrunk to, as a share.
    translation: odd width in pixels of the Gaussian that smooths the gradient (TI-FGSM, Dong et al. 2019,
    arXiv:1904.02884), 0 for none.
    neighbours: looks around each point whose gradients tune the next (VMI- and VNI-FGSM, Wang & He 2021,
    arXiv:2103.15571), 0 for none; each costs as much as a step. reach: how far they lie, as a share of the radius.
    admixed: other images of the batch that are mixed in, a copy each (Admix, Wang et al. 2021, arXiv:2102.00436), 0 for
    none. portion: of the other image. amplification: of a patch-wise step, in paces (PI-FGSM, Gao et al. 2020,
    arXiv:2007.06765; linf only), 0 for none.
    loss: "ce", "margin", "dlr" or "probability-margin".
    driving: how the driver runs it (early stop, batch, float type, draws for a model that answers at random).
    """

    card: ClassVar[Card] = Card(
        title="Transfer attacks (MI, NI, SI, DI, TI, VMI, VNI, PI, Admix)",
        summary="Iterative FGSM made to fool other models too; choose it where gradients come from a stand-in model.",
        paper="Dong et al. 2018, arXiv:1710.06081",
        needs=("gradients",),
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 10
    pace: float | None = None
    decay: float = 1.0
    nesterov: bool = False
    scales: int = 1
    diversity: float = 0.0
    smallest: float = 0.9
    translation: int = 0
    neighbours: int = 0
    reach: float = 1.5
    admixed: int = 0
    portion: float = 0.2
    amplification: float = 0.0
    loss: LossName = "ce"
    driving: Driving = _TO_THE_END

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return points of x's shape (n, *shape) inside the ball.

        Raises UsageError where a setting needs images (n, c, h, w) and these are none, or linf and the ball is another.
        """
        norm = ball_norm(threat, self.card.norms, "evasion.transfer")
        if (self.diversity or self.translation) and x.ndim != 4:
            raise UsageError("diversity and translation need images (c, h, w)", where="evasion.transfer")
        if self.amplification and (norm != "linf" or x.ndim != 4):
            raise UsageError("amplification needs images (c, h, w) and a ball in linf", where="evasion.transfer")
        looks = max(0, self.steps - 1) * (1 + self.neighbours) + min(1, self.steps)
        plan = Plan(
            rounds=(Round(LOSSES[self.loss], looks, lens=self._lens(threat, x)),),
            keep="strongest" if self.driving.early_stop else "last",
            views=self.scales * max(1, self.admixed),
        )
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def _lens(self, threat: Threat, x: Tensor) -> Callable[[int], Lens | None]:
        """Give the lens of each look: of the point itself, or of one of its neighbours."""
        copies = itertools.cycle(range(self.scales * max(1, self.admixed)))
        varied = self.scales > 1 or self.diversity > 0 or self.admixed > 0
        reach = self.reach * (0.0 if threat.ball is None else threat.ball.radius)
        if threat.ball is not None and threat.ball.norm == "l2":
            reach *= math.sqrt(3 / max(1, math.prod(x.shape[1:])))  # the mean square of a uniform draw is a third

        def seen(points: Tensor, rng: torch.Generator) -> Tensor:
            return self._varied(points, next(copies), rng)

        def near(points: Tensor, rng: torch.Generator) -> Tensor:
            moved = points + reach * (2 * uniform(tuple(points.shape), points, rng) - 1)
            return self._varied(moved, next(copies), rng)

        return lambda index: near if index % (1 + self.neighbours) else seen if varied else None

    def _varied(self, points: Tensor, copy: int, rng: torch.Generator) -> Tensor:
        """Return the copy-th view of points (n, *shape): others mixed in, moved about, darkened."""
        if self.admixed:
            order = torch.randperm(len(points), generator=rng, device=rng.device).to(points.device)
            points = points + self.portion * points.detach()[order]
        if self.diversity and float(torch.rand((), generator=rng, device=rng.device)) < self.diversity:
            points = _moved(points, self.smallest, rng)
        darker: Tensor = points / float(1 << copy % self.scales)
        return darker

    def start(self, region: Region, rng: torch.Generator) -> Drift:  # noqa: ARG002
        """Begin at the clean input."""
        x = region.center
        nothing, zero = x.new_empty(len(x), 0), torch.zeros_like(x)
        around = zero if self.neighbours else nothing
        return Drift(x, x, zero, around, around, around, zero if self.amplification else nothing)

    def step(self, state: Drift, seen: Seen, turn: Turn) -> Drift:
        """Take a step at a look of the point itself; at its neighbours only listen, and look on after the last."""
        phase, last = turn.index % (1 + self.neighbours), turn.index == turn.steps - 1
        if phase == 0:
            state = self._moved(state, seen.gradient, turn)
        else:
            state = replace(state, around=state.around + seen.gradient)
        if phase < self.neighbours and not last:
            return state
        if self.neighbours:
            variance = state.around / self.neighbours - state.plain
            state = replace(state, variance=variance, around=torch.zeros_like(state.around))
        return replace(state, x=state.base if last else self._ahead(state, turn))

    def _moved(self, state: Drift, gradient: Tensor, turn: Turn) -> Drift:
        tuned = gradient + state.variance if self.neighbours else gradient
        if self.translation:
            tuned = _smoothed(tuned, self.translation)
        momentum = unit_mean(tuned).add_(state.momentum, alpha=self.decay)
        plain = gradient if self.neighbours else state.plain
        state = replace(state, momentum=momentum, plain=plain)
        where = turn.region
        if self.amplification:
            return self._spilled(state, turn)
        move = steepest(momentum, where.norm)
        return replace(state, base=where.project(state.base.add(move, alpha=self._pace(turn) * where.radius)))

    def _spilled(self, state: Drift, turn: Turn) -> Drift:
        """Take a long step, and hand what would be cut off on to the pixels around (algorithm 1 of PI-FGSM)."""
        where, length = turn.region, self.amplification * self._pace(turn) * turn.region.radius
        move = length * state.momentum.sign()
        amplified = state.amplified + move
        over = (amplified.abs() - where.radius).clamp(min=0) * amplified.sign()
        spill = length * _filtered(over, _ring(_PIECE, over)).sign()
        return replace(state, base=where.project(state.base + move + spill), amplified=amplified + spill)

    def _ahead(self, state: Drift, turn: Turn) -> Tensor:
        """Return the point to look at next: the iterate, or where the momentum alone would carry it."""
        if not self.nesterov:
            return state.base
        length = self.decay * self._pace(turn) * turn.region.radius
        way = state.momentum if turn.region.norm == "linf" else steepest(state.momentum, turn.region.norm)
        return turn.region.project(state.base.add(way, alpha=length))

    def _pace(self, turn: Turn) -> float:
        looks = 1 + self.neighbours
        return looks / (turn.steps + self.neighbours) if self.pace is None else self.pace


PRESETS: dict[str, Transfer] = {
    "MI-FGSM": Transfer(),
    "NI-FGSM": Transfer(nesterov=True),
    "DI-FGSM": Transfer(diversity=0.5),
    "TI-FGSM": Transfer(translation=15, diversity=0.5),
    "SI-NI-FGSM": Transfer(nesterov=True, scales=5),
    "VMI-FGSM": Transfer(neighbours=20),
    "VNI-FGSM": Transfer(neighbours=20, nesterov=True),
    "PI-FGSM": Transfer(amplification=10.0, decay=0.0),
    "Admix": Transfer(admixed=3, scales=5),
}
"""The published combinations with their published settings; kernels of 15 are meant for images of 299 pixels, take
3–7 for 32."""


def _moved(points: Tensor, smallest: float, rng: torch.Generator) -> Tensor:
    """Shrink images (n, c, h, w) to a random size and put them somewhere on a black ground of the old one."""
    high, wide = points.shape[2:]
    share = smallest + (1 - smallest) * float(torch.rand((), generator=rng, device=rng.device))
    size = (max(1, int(high * share)), max(1, int(wide * share)))
    down, right = (
        int(torch.randint(0, whole - part + 1, (), generator=rng, device=rng.device))
        for whole, part in zip((high, wide), size, strict=True)
    )
    small = functional.interpolate(points, size=size, mode="bilinear", align_corners=False)
    return functional.pad(small, (right, wide - size[1] - right, down, high - size[0] - down))


def _smoothed(gradient: Tensor, width: int) -> Tensor:
    """Convolve gradients (n, c, h, w) with a Gaussian of `width` pixels, channel by channel."""
    at = torch.linspace(-_SIGMAS, _SIGMAS, width, dtype=gradient.dtype, device=gradient.device)
    line = (-at.square() / 2).exp()
    return _filtered(gradient, torch.outer(line, line) / line.sum() ** 2)


def _ring(width: int, like: Tensor) -> Tensor:
    """Return a kernel (width, width) that shares a value out evenly among the pixels around it."""
    kernel = like.new_full((width, width), 1 / (width**2 - 1))
    kernel[width // 2, width // 2] = 0
    return kernel


def _filtered(images: Tensor, kernel: Tensor) -> Tensor:
    """Convolve images (n, c, h, w) with a kernel (k, k), k odd, channel by channel; outside there is nothing."""
    channels = images.shape[1]
    return functional.conv2d(
        images, kernel.expand(channels, 1, *kernel.shape), padding=kernel.shape[0] // 2, groups=channels
    )
