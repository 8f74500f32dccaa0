"""SparseFool: cross the boundary where DeepFool finds it, but by as few of the steepest values as its normal allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm, nearest
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.faces import faces, far, onto_face, towards_faces

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where SparseFool stands; n samples.

    x: (n, *shape), what is looked at: a point of DeepFool's dense walk, a sparse point, or one with fewer changes.
    anchor: (n, *shape), the sparse point the walk set out from; once an error, the one with the fewest changes.
    walking: (n,) bool, x belongs to a walk. done: (n,) bool, the anchor errs: changes are taken back now.
    share: (n,), the share of the changes that is taken back at once. kept: (n, d) bool, changes that are needed.
    tried: (n, d) bool, changes that x takes back.
    """

    x: Tensor
    anchor: Tensor
    walking: Tensor
    done: Tensor
    share: Tensor
    kept: Tensor
    tried: Tensor


@dataclass(frozen=True, slots=True)
class SparseFool:
    """SparseFool.

    steps: gradients in all: of DeepFool's walks, and after an error one for each attempt to take changes back, the
    least useful first (ours: the paper stops at the error). candidates: likeliest other classes whose faces a walk
    looks at, a gradient each (DeepFool itself has 9; measured, 1 serves as well here). beyond: how far the sparse point
    aims, in lengths of the walk to the boundary (the paper's lambda).
    overshoot: share by which moves are lengthened to get across. norm: "l0" or "l1", used where the threat has no ball.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="SparseFool",
        summary="DeepFool's boundary crossed by few values: few changes from few gradients, in l0 and l1.",
        paper="Modas et al. 2019, arXiv:1811.02248",
        needs=("gradients",),
        norms=("l0", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 30
    candidates: int = 1
    beyond: float = 3.0
    overshoot: float = 0.02
    norm: Literal["l0", "l1"] = "l0"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return points with few changes, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, self.norm, self.card.norms, "evasion.sparsefool")
        rounds = (Round(towards_faces(self.candidates), self.steps),)
        return drive(self, nearest(rounds, norm, self.candidates), target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Crossing:  # noqa: ARG002
        """Begin at the clean input."""
        x = region.center
        no = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        none = torch.zeros_like(x, dtype=torch.bool).flatten(1)
        return Crossing(x, x, no, no, x.new_full((len(x),), 0.5), none, none)

    def step(self, state: Crossing, seen: Seen, turn: Turn) -> Crossing:
        """Walk on; at the walk's end go to the sparse point; where that errs, take changes back."""
        where = turn.region
        face = self._face(seen, turn)
        crossing = seen.hit & state.walking & ~state.done
        sparse = self._sparse(state, face, where)
        walked = state.x + (1 + self.overshoot) * _onto(face, state.x, where, "l2")
        after = replace(
            state,
            x=where.project(_choose(crossing, sparse, walked)),
            anchor=_choose(crossing, sparse, state.anchor),
            walking=~crossing,
        )
        done = state.done | (seen.hit & ~state.walking)
        if not bool(done.any()):
            return after
        back = taken_back(state, seen.hit, face.normal, where)
        return Crossing(
            *(
                _choose(done, getattr(back, name), getattr(after, name))
                for name in ("x", "anchor", "walking", "done", "share", "kept", "tried")
            )
        )

    def _face(self, seen: Seen, turn: Turn) -> Face:
        """Choose the nearest face; behind the boundary, the one that was crossed: the likeliest other class's."""
        gaps, flat = faces(seen.logits, turn.aim, self.candidates).gaps, seen.gradient.flatten(2)
        which = far(flat, gaps, "l2").argmin(1).masked_fill(seen.hit, 0)
        rows = torch.arange(len(which), device=which.device)
        return Face(flat[rows, which], gaps[rows, which])

    def _sparse(self, state: Crossing, face: Face, where: Region) -> Tensor:
        """Go from the anchor to the plane behind the walk's end by the steepest values (algorithms 1 and 2)."""
        way = (face.normal * (state.x - state.anchor).flatten(1)).sum(1)
        plane = Face(face.normal, (self.beyond * way).clamp(min=0))
        point = state.anchor + _onto(plane, state.anchor, where, "l1")
        return torch.clamp(where.center + (1 + self.overshoot) * (point - where.center), where.lower, where.upper)


@dataclass(frozen=True, slots=True)
class Face:
    """A plane: its normal (n, d), the slope of class − label, and gap (n,), in logits, up to it."""

    normal: Tensor
    gap: Tensor


def taken_back(state: Crossing, hit: Tensor, normal: Tensor, where: Region) -> Crossing:
    """Take the changes that help least back at once, fewer after each failure; a single one that fails is needed."""
    anchor = _choose(hit, state.x, state.anchor)
    alone = ~hit & state.done & (state.tried.sum(1) == 1)
    kept = state.kept | (state.tried & alone.unsqueeze(1))
    share = torch.where(hit | alone | ~state.done, state.share, state.share / 2)
    move = (anchor - where.center).flatten(1)
    loose = (move != 0) & ~kept
    count = (share * loose.sum(1)).floor().clamp(min=1)
    rank = (move * normal).masked_fill(~loose, torch.inf).argsort(1).argsort(1)
    tried = loose & (rank < count.unsqueeze(1))
    x = torch.where(tried.reshape(anchor.shape), where.center, anchor)
    every = torch.ones_like(hit)
    return Crossing(x, anchor, ~every, every, share, kept, tried)


def _onto(face: Face, x: Tensor, where: Region, norm: Norm) -> Tensor:
    """Return the smallest move (n, *shape) from x to the face inside the box."""
    low, high = (where.lower - x).flatten(1), (where.upper - x).flatten(1)
    return onto_face(face.normal, face.gap, low, high, norm).reshape(x.shape)


def _choose(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Choose between (n, …) by sample."""
    return torch.where(mask.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)
