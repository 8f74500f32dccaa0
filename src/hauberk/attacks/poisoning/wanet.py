"""WaNet: a smooth warp of some training images, which are relabelled; the trigger has no pixel of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import grid_sample, interpolate

from hauberk.attacks.poison_rows import goal_of, images, relabelled
from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.poisoning import Poisoned
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class WaNet:
    """Warp the threat's share of images by one smooth field and label them as the target class.

    Nguyen & Tran 2021, arXiv:2102.10369, §3: a k × k field of random shifts, normalised to mean size 1, grown by
    bicubic interpolation to the image. The paper's attacker trains the model himself; here he gives rows only.

    grid: k. strength: s; the warp moves pixels by about s/2 of one. key: seed of the field.
    noise: noise rows for each backdoor row, warped by another random field and with their right label, which keep the
    model from falling for every warp; they count as poisoned rows. The paper has 2.
    """

    card: ClassVar[Card] = Card(
        title="WaNet (warping)",
        summary="Plants a backdoor through a slight warp of whole images, which the eye does not see.",
        paper="Nguyen & Tran 2021, arXiv:2102.10369, §3",
        needs=("refit",),
        inputs=("chw",),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02", "OWASP-ML10"),
        extra="models",
    )

    grid: int = 4
    strength: float = 0.5
    noise: float = 0.0
    key: int = 0

    def poison(
        self,
        x: Tensor,
        y: Tensor,
        bounds: tuple[float, float],
        threat: Threat,
        rng: torch.Generator,
    ) -> Poisoned:
        """Poison floor(poison_rate · n) images, backdoor and noise together."""
        rows = relabelled(y, threat, rng)
        rows = rows[torch.randperm(len(rows), generator=rng)]
        planted = rows[: len(rows) - int(len(rows) * self.noise / (1 + self.noise))]
        noisy = rows[len(planted) :]
        poisoned, labels = x.clone(), y.clone()
        poisoned[planted] = self.trigger(x[planted], bounds)
        labels[planted] = goal_of(threat)
        if len(noisy):
            field = self._field(images(x, "a warp"), self.key)
            jitter = torch.rand((len(noisy), *field.shape[1:]), generator=rng) * 2 - 1
            poisoned[noisy] = _warped(x[noisy], field + jitter / x.shape[2], bounds)
        return Poisoned(poisoned, labels, rows.sort().values)

    def trigger(self, x: Tensor, bounds: tuple[float, float]) -> Tensor:
        """Warp x (n, c, h, w); raises DataError for other inputs, or a field finer than the image."""
        return _warped(x, self._field(images(x, "a warp"), self.key), bounds)

    def _field(self, x: Tensor, key: int) -> Tensor:
        """Return where to look for each pixel, relative to its place: (1, h, w, 2), -1 to 1 across the image."""
        if not 2 <= self.grid <= min(x.shape[2:]):
            raise DataError(f"a grid of {self.grid} does not fit into {tuple(x.shape[1:])}", fix="set a smaller grid")
        coarse = torch.rand((1, 2, self.grid, self.grid), generator=torch.Generator().manual_seed(key)) * 2 - 1
        coarse = coarse / coarse.abs().mean()
        fine = interpolate(coarse, size=x.shape[2:], mode="bicubic", align_corners=True)
        return (self.strength * fine / x.shape[2]).permute(0, 2, 3, 1)


def _warped(x: Tensor, field: Tensor, bounds: tuple[float, float]) -> Tensor:
    if not len(x):
        return x.clone()
    down, right = (torch.linspace(-1, 1, side) for side in x.shape[2:])
    still = torch.stack(torch.meshgrid(down, right, indexing="ij")[::-1], -1)
    look = (still + field).clamp(-1, 1).expand(len(x), -1, -1, -1)
    return grid_sample(x, look.to(x), align_corners=True).clamp(*bounds)
