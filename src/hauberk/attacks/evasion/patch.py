"""Patch: fills one rectangle of an image so that the target errs; of each image, or one for all that can be printed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.inquiry import Inquiry
from hauberk.attacks.patching import NOISE, Film, Scene, Shape, climbing, covered, fresh, gains, surface, trained
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES, LossName
from hauberk.numeric.patches import Patches, laid, window

Tensor = torch.Tensor

MOMENTUM = 0.9
LAST = 0.02
"""Length of the last step as a share of the first."""
HEAT = 0.3
"""How far chance may push a place's gain (in nats) when candidates are chosen: no two rounds try the same places."""


@dataclass(frozen=True, slots=True)
class Painter:
    """Where a patch on each image stands; n images.

    x: (n, c, h, w) with the patch. way: (n, c, h, w) the running mean of gradients; while places are tried, what the
    gradient at the clean image would fill them with. best: (n, c, h, w) what was best of all that was tried, peak: (n,)
    by how much the error led there. corner: (n, 2) of x's patch, chosen: (n, 2) of the best. gain: (n, h, w) what the
    gradient promises of each pixel that no tried place covers. heat: (n, h', w') in nats, what chance adds to a place.
    """

    x: Tensor
    way: Tensor
    best: Tensor
    peak: Tensor
    corner: Tensor
    chosen: Tensor
    gain: Tensor
    heat: Tensor


@dataclass(frozen=True, slots=True)
class AdversarialPatch:
    """Adversarial patch.

    steps: gradients per restart; a patch for all, or one that is turned, wants 100 or more. restarts: of each image's
    own patch, each on the images still robust. places: tried before one is kept, each by a look without gradient: those
    the gradient promises most of, and as many by chance; also how many a patch for all is laid on to find each image's
    worst. pace: length of a step in the beginning, as a share of the bounds' range. loss: "ce", "margin" or "dlr".
    universal: one patch for all images, from gradients on `views` random ones a step. shape: "rectangle" or "ellipse"
    of the threat's size. turn: degrees to either side, grow: scale of 1 ± this, light: brightness and contrast of ±
    this share, under which a patch that will be printed has to work; views: such looks a step takes the mean of.
    driving: how the driver runs the search of an own patch without such looks (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Adversarial patch",
        summary="One rectangle with any content, of each image where the gradient promises most, or one for all, to be "
        "printed. It may miss places that random search finds: run evasion.patch_rs after it.",
        paper="Brown et al. 2017, arXiv:1712.09665; looks by Athalye et al. 2018, arXiv:1707.07397",
        needs=("gradients",),
        sets=("patch",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0041", "OWASP-ML01"),
    )

    steps: int = 25
    restarts: int = 8
    places: int = 20
    pace: float = 0.2
    loss: LossName = "ce"
    universal: bool = False
    shape: Shape = "rectangle"
    turn: float = 0.0
    grow: float = 0.0
    light: float = 0.0
    views: int = 16
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return images (n, c, h, w) with a patch on each, upright; raises UsageError for a threat without a patch."""
        where = surface(threat, x, target.spec.bounds, "evasion.patch")
        if self._film.still and not self.universal:
            looks = Round(LOSSES[self.loss], 1 + self.places + self.steps, blind=self._blind)
            plan = Plan(rounds=(looks,) * self.restarts, free=True)
            return drive(_Search(self, where.sides, where.place), plan, target, x, y, threat, rng, self.driving)
        if not len(x):
            return x.clone()
        corners = self._corners(target, y, threat, where)
        patch = self._trained(target, y, threat, where, corners, rng)
        return self._laid(target, y, threat, where, corners, patch, rng)

    def printed(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the one patch (c, height, width) trained on all images, to be printed.

        Where the threat fixes its place it sticks there and the camera moves; else it lies anywhere, turned by itself.
        """
        where = surface(threat, x, target.spec.bounds, "evasion.patch")
        corners = where.fixed() if where.place is not None else None
        return replace(self, universal=True)._trained(target, y, threat, where, corners, rng)[0]

    def _blind(self, index: int) -> bool:
        """Tell whether a look only tries a place, which needs no gradient."""
        return 1 <= index <= self.places

    @property
    def _film(self) -> Film:
        return Film(self.turn, self.grow, self.light)

    def _trained(
        self, target: Target, y: Tensor, threat: Threat, where: Patches, corners: Tensor | None, rng: torch.Generator
    ) -> Tensor:
        """Train patches: (1, c, height, width) for all images, or (n, …) one each."""
        count = 1 if self.universal else len(y)
        scene = Scene(where.center, target.spec.bounds, corners, covered(where, self.shape), self._film)
        steps = self.steps
        if threat.queries is not None:
            steps = min(steps, threat.queries * (len(y) if self.universal else 1) // max(1, self.views))
        climbed = climbing(target, y, threat, self.loss, "evasion.patch")
        return trained(scene, climbed, fresh(where, count, NOISE, rng), steps, self.views, self.pace / 2, rng)

    def _corners(self, target: Target, y: Tensor, threat: Threat, where: Patches) -> Tensor | None:
        """Choose where each image's own patch sticks; None where one patch for all lies anywhere."""
        if where.place is not None:
            return where.fixed()
        if self.universal:
            return None
        rows = torch.arange(len(y), device=y.device)
        with torch.enable_grad():
            point = where.center.clone().requires_grad_(True)
            value = climbing(target, y, threat, self.loss, "evasion.patch")(point, rows)
        (slope,) = torch.autograd.grad(value.sum(), point)
        return where.best(gains(where, where.center, slope.nan_to_num(nan=0.0)))

    def _laid(
        self,
        target: Target,
        y: Tensor,
        threat: Threat,
        where: Patches,
        corners: Tensor | None,
        patch: Tensor,
        rng: torch.Generator,
    ) -> Tensor:
        """Lay the patch on each image: where it sticks, or at the best of some random places."""
        ink, mask = patch[0] if len(patch) == 1 else patch, covered(where, self.shape)
        if corners is not None:
            return laid(where.center, corners, ink, mask)
        ask, best = Inquiry(target, where.center, y, threat, self.places), where.center.clone()
        lead, rows = best.new_full((len(best),), -torch.inf), torch.arange(len(best), device=best.device)
        while len(rows) and ask.charge():
            point = laid(where.center, where.corners(rng), ink, mask)[rows]
            found = ask.lead(point, rows)
            better = found > lead[rows]
            best[rows[better]], lead[rows[better]] = point[better], found[better]
            rows = rows[lead[rows] <= 0]
        return best


@dataclass(frozen=True, slots=True)
class _Search:
    """The search of each image's own patch, as the driver runs it."""

    settings: AdversarialPatch
    sides: tuple[int, int]
    place: tuple[int, int] | None

    def start(self, region: Region, rng: torch.Generator) -> Painter:
        """Begin at the clean image: its gradient says which places promise most."""
        n, _, h, w = region.center.shape
        draw = torch.rand((n, h - self.sides[0] + 1, w - self.sides[1] + 1), generator=rng, device=rng.device)
        heat = -HEAT * (-draw.to(region.center).clamp(1e-6, 1 - 1e-6).log()).log()  # Gumbel
        corner = torch.zeros((n, 2), dtype=torch.long, device=region.center.device)
        nothing, low = torch.zeros_like(region.center), region.center.new_full((n,), -torch.inf)
        return Painter(region.center, nothing, region.center, low, corner, corner, nothing.sum(1), heat)

    def step(self, state: Painter, seen: Seen, turn: Turn) -> Painter:
        """Try places without gradients, keep the one where the error leads most, then climb inside it."""
        where = Patches(turn.region.center, turn.region.lower, turn.region.upper, self.sides, self.place)
        if turn.index == 0:
            filled, gain = _filled(where, seen.gradient), gains(where, where.center, seen.gradient)
            return self._tried(replace(state, way=filled, gain=gain), where, turn)
        if turn.index <= self.settings.places:
            state = _kept(state, seen.lead)
            if turn.index < self.settings.places:
                return self._tried(state, where, turn)
            return replace(state, x=state.best, way=torch.zeros_like(state.way))
        return self._climbed(state, seen.gradient, turn, where)

    def _tried(self, state: Painter, where: Patches, turn: Turn) -> Painter:
        """Try in turn the most promising place that is left, filled by the gradient, and any place with any patch."""
        if turn.index % 2:
            corner, ink = where.corners(turn.rng), fresh(where, len(state.x), turn.index // 2, turn.rng)
            everywhere = torch.ones(where.sides, device=ink.device)
            return replace(state, corner=corner, x=laid(where.center, corner, ink, everywhere))
        # The very first place is the best by the gradient alone: chance shall not miss it.
        corner = where.best(state.gain, state.heat.exp() if turn.index else None)
        gain = state.gain * ~_middle(where, corner)
        return replace(state, corner=corner, gain=gain, x=_inside(where, state.way, corner))

    def _climbed(self, state: Painter, gradient: Tensor, turn: Turn, where: Patches) -> Painter:
        mean = gradient.flatten(1).abs().mean(1).clamp(min=torch.finfo(gradient.dtype).tiny).reshape(-1, 1, 1, 1)
        way = MOMENTUM * state.way + gradient / mean
        done = (turn.index - self.settings.places) / max(1, turn.steps - self.settings.places)
        reach = self.settings.pace * (LAST + (1 - LAST) * (1 + math.cos(math.pi * done)) / 2)
        moved = state.x + reach * (where.upper - where.lower) * way.sign()
        return replace(state, way=way, x=_inside(where, moved.clamp(where.lower, where.upper), state.chosen))


def _kept(state: Painter, lead: Tensor) -> Painter:
    """Keep what was just tried where the error leads more than ever."""
    better = lead > state.peak
    wide = better.reshape(-1, 1, 1, 1)
    return replace(
        state,
        best=torch.where(wide, state.x, state.best),
        peak=torch.where(better, lead, state.peak),
        chosen=torch.where(better.unsqueeze(1), state.corner, state.chosen),
    )


def _filled(where: Patches, gradient: Tensor) -> Tensor:
    """Put every value to the better end of its range."""
    return torch.where(gradient > 0, where.upper, torch.where(gradient < 0, where.lower, where.center))


def _inside(where: Patches, x: Tensor, corner: Tensor) -> Tensor:
    return torch.where(window(corner, where.sides, x), x, where.center)


def _middle(where: Patches, corner: Tensor) -> Tensor:
    """Mark the middle of a rectangle (n, h, w): places tried later must differ by a part of its size."""
    sides = (max(1, where.sides[0] // 2), max(1, where.sides[1] // 2))
    start = corner + torch.tensor([(where.sides[axis] - sides[axis]) // 2 for axis in (0, 1)], device=corner.device)
    return window(start, sides, where.center).squeeze(1)
