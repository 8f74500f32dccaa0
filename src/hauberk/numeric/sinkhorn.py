"""Nearest points in a Wasserstein ball: the projection onto images that cost little to reach by moving mass nearby."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import pad

Tensor = torch.Tensor

_NEWTON = 6
_FASTEST = 2.0
_SMALL = 1e-300


@dataclass(frozen=True, slots=True)
class Haul:
    """A projection and what the next one nearby can start from; n images.

    point: (n, c, h, w), of the same mass as the clean images. beta: (n, c, h, w), multipliers of the mass that arrives.
    price: (n,), of moving mass a pixel.
    """

    point: Tensor
    beta: Tensor
    price: Tensor


def onto_wasserstein(
    wish: Tensor, clean: Tensor, start: Haul, *, radius: float, side: int, sharpness: float, rounds: int
) -> Haul:
    """Return images near `wish` (n, c, h, w) that are at most `radius` from `clean` in Wasserstein distance.

    clean: (n, c, h, w) ≥ 0, of mass 1 in all of an image. radius: the mean way of its mass, in pixels. Mass stays in
    its channel and moves within a square of odd `side`. sharpness: the larger, the nearer to the true projection, which
    entropy blurs, and the slower. rounds: of alternating updates from `start`, in float64. However few they are, the
    radius is kept: what is too far goes back towards `clean` on a straight line, on which costs shrink alike.
    Source: Wong et al. 2019, arXiv:1902.07906, section 4 and algorithm 2: two of the three blocks of the regularised
    dual have a closed form.
    """
    wish, source = wish.double(), clean.double().clamp(min=0)
    cost = _costs(side, wish)
    beta, price = start.beta.double(), start.price.double()
    for _ in range(rounds):
        kernel = torch.exp(-price.unsqueeze(1) * cost - 1)
        plan = _plan(source, beta, kernel, kernel * cost, side)
        beta = _multiplier(wish, plan.sent, sharpness)
        # The price's own Newton step, with all else held, is tiny: follow what is spent instead.
        price = price * (plan.spent / radius).sqrt().clamp(1 / _FASTEST, _FASTEST)
    kernel = torch.exp(-price.unsqueeze(1) * cost - 1)
    plan = _plan(source, beta, kernel, kernel * cost, side)
    share = (radius / plan.spent.clamp(min=_SMALL)).clamp(max=1.0).reshape(-1, 1, 1, 1)
    return Haul(source + share * (plan.arrived - source), beta, price)


@dataclass(frozen=True, slots=True)
class Plan:
    """Mass on its way. sent: (n, c, h, w), before the target's multiplier. arrived: (n, c, h, w). spent: (n,)."""

    sent: Tensor
    arrived: Tensor
    spent: Tensor


def _plan(source: Tensor, beta: Tensor, kernel: Tensor, costly: Tensor, side: int) -> Plan:
    """Send all mass of every pixel, so that what arrives is a real plan's, whose cost bounds the distance."""
    weight = beta.exp()
    scale = source / blend(weight, kernel, side).clamp(min=_SMALL)
    sent = blend(scale, kernel, side)
    return Plan(sent, weight * sent, (scale * blend(weight, costly, side)).flatten(1).sum(1))


def blend(image: Tensor, weights: Tensor, side: int) -> Tensor:
    """Sum what lies around every pixel of images (n, c, h, w), weighted (n, side²), row by row of a square."""
    reach, (height, width) = side // 2, image.shape[2:]
    wide = pad(image, (reach, reach, reach, reach))
    out = torch.zeros_like(image)
    for place in range(side * side):
        row, column = divmod(place, side)
        part = wide[:, :, row : row + height, column : column + width]
        out.addcmul_(part, weights[:, place].reshape(-1, 1, 1, 1))
    return out


def _costs(side: int, like: Tensor) -> Tensor:
    """Return the Euclidean distances in pixels (side²,) from the middle of a square."""
    away = torch.arange(side, device=like.device, dtype=like.dtype) - side // 2
    return torch.hypot(away.unsqueeze(1), away.unsqueeze(0)).flatten()


def _multiplier(wish: Tensor, sent: Tensor, sharpness: float) -> Tensor:
    """Solve u + log u = λ·wish + log(λ·sent) for u, λ times the mass that arrives; the multiplier is λ·wish − u.

    That is Lambert's function in logarithms, by Newton from its asymptotes: no exponent can overflow.
    """
    level = sharpness * wish + (sharpness * sent).clamp(min=_SMALL).log()
    root = torch.where(level > 1, level - level.clamp(min=1).log(), level.clamp(max=1).exp()).clamp(min=_SMALL)
    for _ in range(_NEWTON):
        root = (root * (1 + level - root.log()) / (1 + root)).clamp(min=_SMALL)
    return sharpness * wish - root
