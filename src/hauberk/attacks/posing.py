"""How attacks look for the worst pose of an image: a grid, chance, small steps by scores, or the gradient."""

from __future__ import annotations

import math

import torch

from hauberk.attacks.inquiry import Inquiry
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Differentiable, Target
from hauberk.core.threat import Threat
from hauberk.numeric.losses import Aim
from hauberk.numeric.transforms import Poses, poses, render

Tensor = torch.Tensor

BROOD = 16
"""Poses of an image asked at once: few enough that a sample that breaks early saves the rest."""
BLOCK_VALUES = 2**24
"""Values rendered at once (64 MiB of float32)."""
FIRST, LAST = 0.25, 0.01
"""Length of a small step in the beginning and at the end, in shares of each parameter's range."""


class Hunt:
    """The best pose known of each of n images. names: parameters that may be changed, of those the threat allows.

    pose: (n, k). lead: (n,) of the error there. rows: (m,) images still hunted: a broken one leaves. free: indices of
    the parameters that can change. ask: counts the queries.
    """

    def __init__(
        self, target: Target, where: Poses, y: Tensor, threat: Threat, queries: int, names: tuple[str, ...]
    ) -> None:
        self.target, self.where, self.y, self.threat = target, where, y, threat
        self.free = where.free(names)
        self.ask = Inquiry(target, where.image, y, threat, queries)
        self.pose = where.center.clone()
        self.lead = where.image.new_full((len(y),), -torch.inf)
        self.rows = torch.arange(len(y), device=y.device)

    @property
    def left(self) -> int:
        """Queries each image may still cost; 0 where nothing is left to do."""
        return self.ask.left if len(self.rows) and self.free else 0

    def offer(self, pose: Tensor) -> None:
        """Ask for poses (m, j, k) of the images still hunted, as many of them as can be paid, and keep the best."""
        pose = pose[:, : self.ask.left]
        if not len(self.rows) or not pose.shape[1] or not self.ask.charge(pose.shape[1]):
            return
        images = self.where.image
        each = max(1, BLOCK_VALUES // (pose.shape[1] * max(1, math.prod(images.shape[1:]))))
        leads = []
        for rows, part in zip(torch.split(self.rows, each), torch.split(pose, each), strict=True):
            shown = self._shown(rows.repeat_interleave(part.shape[1]), part.flatten(0, 1))
            leads.append(self.ask.lead(shown.reshape(len(rows), -1, *images.shape[1:]), rows))
        best, which = torch.cat(leads).max(1)
        self._keep(pose[torch.arange(len(pose)), which], best)

    def scan(self, queries: int, rng: torch.Generator) -> None:
        """Try a grid of at most so many poses, the same of every image, in random order."""
        grid = _grid(self.where, self.free, min(queries, self.left)) if self.left else self.pose[:0]
        order = torch.randperm(len(grid), generator=rng, device=rng.device).to(grid.device)
        for part in torch.split(grid[order], BROOD):
            if not self.left:
                return
            self.offer(part.expand(len(self.rows), -1, -1))

    def roam(self, queries: int, rng: torch.Generator) -> None:
        """Try random poses."""
        last = self.ask.left - queries
        while self.left > max(0, last):
            self.offer(self._drawn(min(BROOD, self.left - max(0, last)), rng))

    def climb(self, queries: int, rng: torch.Generator) -> None:
        """Try poses near the best ones, nearer and nearer, by scores."""
        last, begun = max(0, self.ask.left - queries), self.ask.left
        while self.left > last:
            done = (begun - self.left) / max(1, begun - last)
            reach = FIRST * (LAST / FIRST) ** done
            count = min(4, self.left - last)
            draw = torch.randn((len(self.rows), count, len(self.free)), generator=rng, device=rng.device)
            pose = self.pose[self.rows].unsqueeze(1).repeat(1, count, 1)
            low, high = (edge[:1, self.free].unsqueeze(1) for edge in (self.where.lower, self.where.upper))
            near = pose[..., self.free] + reach * draw.to(pose) * (high - low)
            pose[..., self.free] = near.clamp(low, high)
            self.offer(pose)

    def descend(self, queries: int, starts: int, rng: torch.Generator) -> None:
        """Follow the gradient by the pose: from the best one first, then from random ones; a look is a query."""
        steps = queries // max(1, starts)
        for start in range(starts):
            if steps < 2 or not self.left:
                return
            pose = self.pose[self.rows] if start == 0 else self._drawn(1, rng).squeeze(1)
            for step in range(min(steps, self.left)):
                pace = FIRST * (LAST / FIRST) ** (step / steps)
                before = self.rows
                ahead = self._ahead(pose, pace)
                stay = torch.isin(before, self.rows)
                if not len(self.rows):
                    return
                pose = ahead[stay]

    def _ahead(self, pose: Tensor, pace: float) -> Tensor:
        """Look at poses (m, k), keep what is better, and return the poses one step up the error's lead."""
        if not self.ask.charge():
            return pose
        leads, ways = [], []
        each = max(1, BLOCK_VALUES // (4 * max(1, math.prod(self.where.image.shape[1:]))))
        for rows, part in zip(torch.split(self.rows, each), torch.split(pose, each), strict=True):
            lead, way = self._slope(rows, part)
            leads.append(lead)
            ways.append(way)
        step = torch.zeros_like(pose)
        width = self.where.upper[:1] - self.where.lower[:1]
        step[:, self.free] = (pace * width * torch.cat(ways).sign())[:, self.free]
        ahead = (pose + step).clamp(self.where.lower[:1], self.where.upper[:1])
        self._keep(pose, torch.cat(leads))
        return ahead

    def _slope(self, rows: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(self.target, Differentiable)
        point = pose.detach().requires_grad_(True)
        wanted = None if self.threat.target_class is None else torch.full_like(rows, self.threat.target_class)
        with torch.enable_grad():
            shown = render(self.where.image[rows], point, self.where.bounds)
            lead = Aim(self.y[rows], wanted, strict=wanted is not None).lead(self.target.forward(shown))
        (way,) = torch.autograd.grad(lead.sum(), point)
        return lead.detach().float(), way.nan_to_num(nan=0.0)

    def _drawn(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw random poses (m, count, k) in the free parameters."""
        wild = self.where.drawn(count, rng)[self.rows]
        pose = self.where.center[self.rows].unsqueeze(1).repeat(1, count, 1)
        pose[..., self.free] = wild[..., self.free]
        return pose

    def _shown(self, rows: Tensor, pose: Tensor) -> Tensor:
        return render(self.where.image[rows], pose, self.where.bounds)

    def _keep(self, pose: Tensor, lead: Tensor) -> None:
        """Keep better poses (m, k) of the images still hunted; who is broken leaves."""
        better = lead > self.lead[self.rows]
        kept = self.rows[better]
        self.pose[kept], self.lead[kept] = pose[better], lead[better].to(self.lead)
        self.rows = self.rows[self.lead[self.rows] <= 0]


def hunted(target: Target, x: Tensor, y: Tensor, threat: Threat, queries: int, names: tuple[str, ...]) -> Hunt:
    """Begin to hunt at the clean images x (n, c, h, w), labels y (n,): those already wrong are not hunted.

    Raises UsageError for a threat without transformations, and for inputs that are no images.
    """
    if threat.transform is None:
        raise UsageError("the attack transforms whole images, which the threat does not allow", where=threat.name)
    hunt = Hunt(target, poses(threat.transform, x, target.spec.bounds), y, threat, queries, names)
    hunt.offer(hunt.pose.unsqueeze(1))
    return hunt


def _grid(where: Poses, free: tuple[int, ...], most: int) -> Tensor:
    """Lay at most so many poses (j, k) over the ranges, ends included: as many steps in each as there is room for."""
    counts = [1] * len(free)
    growing = set(range(len(free)))
    while growing:
        thinnest = min(growing, key=lambda axis: counts[axis])
        if math.prod(counts) // counts[thinnest] * (counts[thinnest] + 1) <= most:
            counts[thinnest] += 1
        else:
            growing.remove(thinnest)
    axes = []
    for index, count in zip(free, counts, strict=True):
        low, high, middle = (float(edge[0, index]) for edge in (where.lower, where.upper, where.center))
        axes.append(torch.linspace(low, high, count) if count > 1 else torch.tensor([middle]))
    mesh = torch.cartesian_prod(*axes).reshape(-1, len(free)) if axes else torch.zeros(0, 0)
    pose = where.center[:1].repeat(len(mesh), 1)
    pose[:, free] = mesh.to(pose)
    return pose.clamp(where.lower[:1], where.upper[:1])
