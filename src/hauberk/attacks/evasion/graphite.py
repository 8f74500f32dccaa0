"""GRAPHITE: by labels alone, the smallest mask under which another image's pixels turn the answer in every look."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.inquiry import Inquiry
from hauberk.attacks.patching import Film
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import region
from hauberk.numeric.patches import laid, patches
from hauberk.numeric.transforms import poses

Tensor = torch.Tensor


@dataclass
class _Stage:
    """What all phases share. fewest: (n,) pixels of the smallest mask known. best: (n, c, h, w) the image under it."""

    target: Target
    threat: Threat
    x: Tensor
    y: Tensor
    ask: Inquiry
    rng: torch.Generator
    labels: Tensor
    best: Tensor
    fewest: Tensor


@dataclass(frozen=True, slots=True)
class Graphite:
    """GRAPHITE.

    queries: per image; a threat's own budget goes before it. turn: degrees to either side, grow: scale of 1 ± this,
    light: brightness and contrast of ± this share, under which a mask has to hold. views: such looks at each mask, in
    which it is asked about besides the plain one. held: share of the looks that must be fooled, 0–1.
    """

    card: ClassVar[Card] = Card(
        title="GRAPHITE",
        summary="Shrinks a mask filled from an image of another class, by labels alone and under changed looks where "
        "set: the label-only attack on few pixels or on a patch. Without the paper's boosting of the colours.",
        paper="after Feng et al. 2022, arXiv:2002.07088",
        norms=("l0",),
        sets=("patch",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0041", "OWASP-ML01"),
    )

    queries: int = 2000
    turn: float = 0.0
    grow: float = 0.0
    light: float = 0.0
    views: int = 5
    held: float = 0.8

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return images (n, c, h, w) under the smallest mask found, cut to the ball; or with a patch from elsewhere.

        Raises UsageError for a threat with neither an l0 ball nor a patch, and for inputs that are no images.
        """
        if threat.patch is None and (threat.ball is None or threat.ball.norm != "l0"):
            raise UsageError("evasion.graphite needs an l0 ball or a patch", where=threat.name)
        if x.ndim != 4:
            raise UsageError(f"evasion.graphite works on images, the inputs have shape {tuple(x.shape[1:])}")
        ask = Inquiry(target, x, y, threat, self.queries)
        if not len(x) or not ask.charge():
            return x.clone()
        labels = ask.scores(x).argmax(1)
        stage = _Stage(target, threat, x, y, ask, rng, labels, x.clone(), x.new_full((len(x),), torch.inf))
        rows = (~ask.takes(labels, y)).nonzero().squeeze(1)
        while len(rows) and ask.left >= self._looks:
            rows = self._stuck(stage, rows) if threat.patch is not None else self._shrunk(stage, rows)
        if threat.ball is None:
            return stage.best
        return region(threat.ball, x, target.spec.bounds).project(stage.best)

    @property
    def _film(self) -> Film:
        return Film(self.turn, self.grow, self.light)

    @property
    def _looks(self) -> int:
        """Queries one mask costs."""
        return 1 if self._film.still else 1 + self.views

    def _shrunk(self, stage: _Stage, rows: Tensor) -> Tensor:
        """Take squares of the mask away, coarse ones first, as long as the answer holds (§4.1); return who goes on."""
        assert stage.threat.ball is not None
        enough = math.floor(stage.threat.ball.radius) // stage.x.shape[1]
        source = _sources(stage, rows)
        mask = torch.ones_like(source[:, :1], dtype=torch.bool)
        held = self._holds(stage, source, rows)
        rows, source, mask, others = rows[held], source[held], mask[held], rows[~held]
        for square in _squares(stage):
            if not len(rows) or stage.ask.left < self._looks:
                break
            fewer = mask & ~square
            point = torch.where(fewer, source, stage.x[rows])
            mask = torch.where(self._holds(stage, point, rows).reshape(-1, 1, 1, 1), fewer, mask)
            small = mask.flatten(1).sum(1) <= enough
            if bool(small.any()):
                _remember(stage, rows[small], source[small], mask[small])
                rows, source, mask = rows[~small], source[~small], mask[~small]
        _remember(stage, rows, source, mask)
        return torch.cat((rows, others)).sort().values

    def _stuck(self, stage: _Stage, rows: Tensor) -> Tensor:
        """Stick a piece of another image, or stripes, on each at a random place; return whom it did not fool."""
        assert stage.threat.patch is not None
        where = patches(stage.threat.patch, stage.x, stage.target.spec.bounds)
        source = _sources(stage, rows)
        place = torch.rand((len(rows), 2), generator=stage.rng, device=stage.rng.device).to(source)
        cut = (place * (where.most() + 1)).long().minimum(where.most())
        down, right = (torch.arange(side, device=source.device) for side in where.sides)
        line = (cut[:, :1] + down).reshape(len(rows), 1, -1, 1).expand(-1, source.shape[1], -1, source.shape[3])
        ink = source.gather(2, line)
        column = (cut[:, 1:] + right).reshape(len(rows), 1, 1, -1).expand(-1, source.shape[1], ink.shape[2], -1)
        ink = ink.gather(3, column)
        point = laid(stage.x[rows], where.corners(stage.rng)[rows], ink, torch.ones(where.sides, device=ink.device))
        held = self._holds(stage, point, rows)
        stage.best[rows[held]] = point[held]
        return rows[~held]

    def _holds(self, stage: _Stage, point: Tensor, rows: Tensor) -> Tensor:
        """Tell which images (m, c, h, w) of `rows` fool plainly and in enough looks (m,)."""
        stage.ask.charge(self._looks)
        held = stage.ask.errs(point, rows)
        if self._looks == 1:
            return held
        where = poses(self._film.transform(), point, stage.target.spec.bounds)
        fooled = torch.zeros(len(rows), device=point.device)
        for _ in range(self.views):
            fooled += stage.ask.errs(where.scatter(stage.rng), rows)
        return held & (fooled >= self.held * self.views)


def _sources(stage: _Stage, rows: Tensor) -> Tensor:
    """Choose for each of `rows` an image the target takes for what is wanted (m, c, h, w), or random extremes."""
    able = stage.ask.takes(stage.labels.expand(len(rows), -1), stage.y[rows].unsqueeze(1))
    draw = torch.rand(able.shape, generator=stage.rng, device=stage.rng.device).to(stage.x)
    chosen = stage.x[draw.masked_fill(~able, -1.0).argmax(1)]
    low, high = stage.target.spec.bounds
    sign = torch.randint(0, 2, chosen.shape, generator=stage.rng, device=stage.rng.device).to(chosen)
    # Where no image of the batch will do, and now and then anyway, noise is the beginning.
    lone = ~able.any(1) | (draw[:, 0] < 0.25)
    return torch.where(lone.reshape(-1, 1, 1, 1), low + sign * (high - low), chosen)


def _squares(stage: _Stage) -> Iterator[Tensor]:
    """Yield squares (h, w) bool of halved sides, each size once over the image in random order."""
    h, w = stage.x.shape[2:]
    side = max(1, max(h, w) // 2)
    while True:
        corners = [(top, left) for top in range(0, h, side) for left in range(0, w, side)]
        for index in torch.randperm(len(corners), generator=stage.rng, device=stage.rng.device).tolist():
            top, left = corners[index]
            square = torch.zeros(h, w, dtype=torch.bool, device=stage.x.device)
            square[top : top + side, left : left + side] = True
            yield square
        if side == 1:
            return
        side = max(1, side // 2)


def _remember(stage: _Stage, rows: Tensor, source: Tensor, mask: Tensor) -> None:
    """Keep masks smaller than those known."""
    count = mask.flatten(1).sum(1).to(stage.fewest)
    better = count < stage.fewest[rows]
    kept = rows[better]
    stage.fewest[kept] = count[better]
    stage.best[kept] = torch.where(mask[better], source[better], stage.x[kept])
