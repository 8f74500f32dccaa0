"""Sparse-RS patch: random search for the content and the place of a patch, by scores alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.inquiry import Inquiry
from hauberk.attacks.patching import extremes, fresh, surface
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.patches import Patches, laid, window

Tensor = torch.Tensor

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries of 10,000 after which the repainted share is halved, as in Square; a shorter search scales them (§5.1)."""
MOVED = 0.75
"""Of the room there is, a patch may be moved at first; the reach falls to one pixel (§5.1)."""


@dataclass(frozen=True, slots=True)
class Sticker:
    """The best patch of each of n images: ink (n, c, height, width), corner (n, 2), lead (n,) of the error."""

    ink: Tensor
    corner: Tensor
    lead: Tensor


@dataclass(frozen=True, slots=True)
class PatchRS:
    """Sparse-RS on patches.

    queries: per image; a threat's own budget goes before it. share: of the patch repainted at once in the beginning,
    0–1; it is halved as the search goes on. moves: every so many queries the place is searched, not the content.
    explored: share of the queries spent on fresh patches at random places first, 0–1. The paper spends none; a small
    patch that has settled seldom finds a better place.
    """

    card: ClassVar[Card] = Card(
        title="Sparse-RS (patch)",
        summary="Random search over a patch's squares and its place: the black-box attack on patch threats, blind to "
        "masked gradients. Needs some thousand queries where evasion.patch needs a hundred gradients.",
        paper="Croce et al. 2022, arXiv:2006.12834, section 5",
        needs=("scores",),
        sets=("patch",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0041", "OWASP-ML01"),
    )

    queries: int = 2000
    share: float = 0.4
    moves: int = 5
    explored: float = 0.4

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return images (n, c, h, w) with the best patch found; raises UsageError for a threat without a patch.

        A sample leaves the search once it is broken.
        """
        where = surface(threat, x, target.spec.bounds, "evasion.patch_rs")
        ask, out = Inquiry(target, x, y, threat, self.queries), x.clone()
        rows = torch.arange(len(x), device=x.device)
        budget = ask.left
        if not len(x) or not ask.charge():
            return out
        best = Sticker(fresh(where, len(x), 0, rng), where.corners(rng), x.new_full((len(x),), -torch.inf))
        best = _better(best, best, ask, x, rows)
        while True:
            rows, best, where = _left(out, rows, best, where, x)
            if not len(rows) or not ask.charge():
                return _kept(out, rows, best, x)
            step = budget - ask.left
            if step < self.explored * budget:
                tried = Sticker(fresh(where, len(rows), step, rng), where.corners(rng), best.lead)
            elif where.place is None and step % self.moves == 0:
                tried = _moved(best, where, step / budget, rng)
            else:
                tried = self._repainted(best, where, step, rng)
            best = _better(best, tried, ask, x, rows)

    def _repainted(self, best: Sticker, where: Patches, step: int, rng: torch.Generator) -> Sticker:
        """Give one square of each patch a new colour, each channel at an end of its range."""
        share = self.share * 0.5 ** sum(step > at * self.queries / 10_000 for at in HALVINGS)
        n, c, h, w = best.ink.shape
        side = max(1, round(math.sqrt(share * h * w)))
        sides = (min(side, h), min(side, w))
        draws = torch.rand((n, 2), generator=rng, device=rng.device).to(best.ink)
        room = torch.tensor([h - sides[0] + 1, w - sides[1] + 1], device=draws.device)
        square = window((draws * room).long().minimum(room - 1), sides, best.ink)
        # Where all is repainted nothing ties the patch to its place.
        corner = where.corners(rng) if sides == (h, w) else best.corner
        return Sticker(torch.where(square, extremes(where, (n, c, 1, 1), rng), best.ink), corner, best.lead)


def _moved(best: Sticker, where: Patches, done: float, rng: torch.Generator) -> Sticker:
    """Shift each patch at random, less and less far."""
    most = where.most()
    reach = (MOVED * (1 - done) * most).clamp(min=1)
    draws = torch.rand((len(best.corner), 2), generator=rng, device=rng.device).to(best.ink) * 2 - 1
    shift = (draws * (reach + 0.5)).round().long()
    return Sticker(best.ink, (best.corner + shift).clamp(min=0).minimum(most), best.lead)


def _better(best: Sticker, tried: Sticker, ask: Inquiry, x: Tensor, rows: Tensor) -> Sticker:
    """Ask for what is tried on the images of `rows` and keep what leads more."""
    lead = ask.lead(_shown(tried, x[rows]), rows)
    gained = lead > best.lead
    ink = torch.where(gained.reshape(-1, 1, 1, 1), tried.ink, best.ink)
    corner = torch.where(gained.unsqueeze(1), tried.corner, best.corner)
    return Sticker(ink, corner, torch.where(gained, lead, best.lead))


def _left(out: Tensor, rows: Tensor, best: Sticker, where: Patches, x: Tensor) -> tuple[Tensor, Sticker, Patches]:
    """Let the broken go, their images kept in `out`."""
    stay = (best.lead <= 0).nonzero().squeeze(1)
    if len(stay) < len(rows):
        gone = (best.lead > 0).nonzero().squeeze(1)
        _kept(out, rows[gone], take(best, gone), x)
        rows, best, where = rows[stay], take(best, stay), take(where, stay)
    return rows, best, where


def _kept(out: Tensor, rows: Tensor, best: Sticker, x: Tensor) -> Tensor:
    out[rows] = _shown(best, x[rows])
    return out


def _shown(sticker: Sticker, x: Tensor) -> Tensor:
    return laid(x, sticker.corner, sticker.ink, torch.ones(sticker.ink.shape[2:], device=x.device))
