"""Model inversion by labels alone: climb away from the class's boundary (BREP-MI)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.recording import decisions
from hauberk.core.card import Card
from hauberk.core.protocols import Target

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class LabelOnlyInversion:
    """Move each input towards where more of the points on a sphere around it have its class; then widen the sphere.

    Kahla et al. 2022, arXiv:2203.06580, §3.2 (boundary repulsion), in input space: without the paper's generator what
    comes out is only as natural as the start. A class that the start never reaches comes back as the start.

    rounds: moves. probes: points on the sphere at each, a query each. widen: growth of the radius once all have the
    class. first: its first radius as a share of the input's range.
    """

    card: ClassVar[Card] = Card(
        title="Boundary repulsion (label-only model inversion)",
        summary="Finds a typical input of a class from labels alone; thousands of queries for each class.",
        paper="Kahla et al. 2022, arXiv:2203.06580, §3.2",
        inputs=("chw", "row"),
        threats=("AML.T0024.001", "OWASP-ML03"),
        extra="models",
    )

    rounds: int = 100
    probes: int = 32
    widen: float = 1.3
    first: float = 0.1

    def invert(self, target: Target, classes: Tensor, start: Tensor, rng: torch.Generator) -> Tensor:
        """Return an input (m, *shape) for each of the classes (m,), from starts (m, *shape) or one (*shape)."""
        low, high = target.spec.bounds
        x = (start if start.ndim == 1 + len(target.spec.shape) else start.expand(len(classes), *start.shape)).clone()
        radius = torch.full((len(x),), self.first * (high - low) * x[0].numel() ** 0.5)
        best = x.clone()
        inside = decisions(target, x) == classes
        for _ in range(self.rounds):
            way = torch.randn((len(x), self.probes, *x.shape[1:]), generator=rng)
            way = way / way.flatten(2).norm(dim=2).reshape(len(x), self.probes, *[1] * (x.ndim - 1))
            wide = radius.reshape(-1, *[1] * x.ndim)
            points = (x[:, None] + wide * way).clamp(low, high)
            hit = decisions(target, points.flatten(0, 1)).reshape(len(x), self.probes) == classes[:, None]
            whole = hit.all(1) & inside
            best[whole] = x[whole]
            radius = torch.where(whole, radius * self.widen, radius)
            sign = torch.where(hit, 0.0, -1.0) if bool(inside.all()) else hit.float() * 2 - 1
            pull = (sign.reshape(len(x), self.probes, *[1] * (x.ndim - 1)) * way).mean(1)
            step = pull / pull.flatten(1).norm(dim=1).clamp_min(1e-12).reshape(-1, *[1] * (x.ndim - 1))
            moved = (x + (radius / 3).reshape(-1, *[1] * (x.ndim - 1)) * step).clamp(low, high)
            now = decisions(target, moved) == classes
            take = (now | ~inside) & ~whole
            x[take], inside = moved[take], inside | now
        return torch.where(inside.reshape(-1, *[1] * (x.ndim - 1)), x, best)
