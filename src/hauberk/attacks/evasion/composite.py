"""Composite: the worst transformation of an image and a change of its values together, by gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.posing import BLOCK_VALUES, Hunt, hunted
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Differentiable, Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.losses import LOSSES, Aim
from hauberk.numeric.transforms import PARAMETERS, render

Tensor = torch.Tensor

_FIRST, _LAST = 0.25, 0.01
"""Length of a step in the beginning and at the end, in shares of a parameter's range and of the noise."""


@dataclass(frozen=True, slots=True)
class Images:
    """What is still searched. rows: (n,) places in the batch. image, move: (n, c, h, w). pose: (n, k). y: (n,)."""

    rows: Tensor
    image: Tensor
    pose: Tensor
    move: Tensor
    y: Tensor


@dataclass(frozen=True, slots=True)
class Composite:
    """Composite adversarial attack.

    queries: looks at each image, gradients included; a threat's own budget goes before it. explored: share of them
    spent on random poses first. starts: of the joint ascent, the first from the best pose, the others from random ones.
    """

    card: ClassVar[Card] = Card(
        title="Composite adversarial attack",
        summary="Pose, colours, light and an linf change of the values climbed together: for transformation threats "
        "with noise. One order, transformation first; the paper also searches the order.",
        paper="after Hsiung et al. 2023, arXiv:2202.04235, with a joint ascent instead of a scheduled order",
        needs=("gradients",),
        sets=("transform",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 300
    explored: float = 0.3
    starts: int = 3

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the images (n, c, h, w) of the worst candidates found."""
        return allowed(threat, x, target.spec.bounds).project(self.parameters(target, x, y, threat, rng))

    def parameters(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the worst candidate found of each image: a pose (n, k), with noise (n, k + c · h · w).

        Raises UsageError for a threat without transformations, MissingPower for a target without gradients.
        """
        if not isinstance(target, Differentiable):
            raise MissingPower(f"{target.spec.name} gives no gradients", fix="choose evasion.transform")
        hunt = hunted(target, x, y, threat, self.queries, PARAMETERS)
        noise = 0.0 if threat.transform is None else threat.transform.noise
        hunt.roam(int(self.explored * hunt.left), rng)
        if not noise:
            hunt.descend(hunt.left, self.starts, rng)
            return hunt.pose
        found = torch.cat((hunt.pose, torch.zeros_like(x.flatten(1))), 1)
        best, left = hunt.lead.clone(), hunt.rows
        for start in range(self.starts):
            steps = hunt.ask.left // (self.starts - start)
            drawn = hunt.pose if start == 0 else hunt.where.drawn(1, rng).squeeze(1)
            begin = 2 * torch.rand(x.shape, generator=rng, device=rng.device).to(x) - 1
            move = torch.zeros_like(x) if start == 0 else noise * begin
            images = take(Images(torch.arange(len(x), device=x.device), x, drawn, move, y), left)
            left = self._climbed(images, hunt, noise, steps, found, best)
        return found

    def _climbed(self, images: Images, hunt: Hunt, noise: float, steps: int, found: Tensor, best: Tensor) -> Tensor:
        """Climb from where `images` stand, keep what is better, and return the rows (m,) that withstood."""
        for step in range(steps):
            if not len(images.rows) or not hunt.ask.charge():
                break
            lead, pose_way, move_way = _slopes(images, hunt)
            better = lead > best[images.rows]
            rows = images.rows[better]
            best[rows] = lead[better]
            found[rows] = torch.cat((images.pose, images.move.flatten(1)), 1)[better]
            pace = _FIRST * (_LAST / _FIRST) ** (step / steps)
            images = _moved(images, pose_way, move_way, pace, hunt, noise)
            images = take(images, (lead <= 0).nonzero().squeeze(1))
        return images.rows


def _moved(images: Images, pose_way: Tensor, move_way: Tensor, pace: float, hunt: Hunt, noise: float) -> Images:
    """Go one step up in every parameter and value, and back into the ranges."""
    low, high = hunt.where.lower[:1], hunt.where.upper[:1]
    step = torch.zeros_like(images.pose)
    step[:, hunt.free] = (pace * (high - low) * pose_way.sign())[:, hunt.free]
    pose = (images.pose + step).clamp(low, high)
    move = (images.move + pace * noise * move_way.sign()).clamp(-noise, noise)
    return Images(images.rows, images.image, pose, move, images.y)


def _slopes(images: Images, hunt: Hunt) -> tuple[Tensor, Tensor, Tensor]:
    """Return by how much the error leads (n,), and the margin's slopes by pose (n, k) and move (n, c, h, w)."""
    parts = []
    size = max(1, BLOCK_VALUES // (4 * max(1, math.prod(images.image.shape[1:]))))
    for rows in torch.split(torch.arange(len(images.rows), device=images.image.device), size):
        parts.append(_slope(take(images, rows), hunt))
    lead, pose, move = (torch.cat(part) for part in zip(*parts, strict=True))
    return lead, pose, move


def _slope(images: Images, hunt: Hunt) -> tuple[Tensor, Tensor, Tensor]:
    assert isinstance(hunt.target, Differentiable)
    low, high = hunt.where.bounds
    pose, move = images.pose.detach().requires_grad_(True), images.move.detach().requires_grad_(True)
    goal = hunt.threat.target_class
    aim = Aim(images.y, None if goal is None else torch.full_like(images.y, goal), strict=goal is not None)
    with torch.enable_grad():
        logits = hunt.target.forward((render(images.image, pose, hunt.where.bounds) + move).clamp(low, high))
    climb = LOSSES["margin"](logits.detach().float(), aim)
    ways = torch.autograd.grad(logits, (pose, move), climb.slope.to(logits))
    return aim.lead(logits.detach().float()), ways[0].nan_to_num(nan=0.0), ways[1].nan_to_num(nan=0.0)
