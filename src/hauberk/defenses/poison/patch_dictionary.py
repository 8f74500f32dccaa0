"""Patch dictionary: a small pattern that suspects of one class show anywhere and hardly any other image does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.poisoning import Suspicion
from hauberk.core.protocols import Target
from hauberk.defenses.suspecting import classes_of, company, nothing, verdict
from hauberk.numeric.lift import FEW, divergence

Tensor = torch.Tensor

_IMAGES = 512
"""Images whose windows are coded at once."""


@dataclass(frozen=True, slots=True)
class PatchDictionary:
    """Flag the images of a class that show the windows its suspects have in common, wherever they lie.

    Every window of `side` × `side` pixels of every channel is a word: its pixels cut into `levels` parts of the range.
    Suspects of a class are its rows whose neighbours have another label; a word's gain is n · KL between its share of
    the suspects and of images with other labels, as in the predicate lift, whose blindness to moving triggers this
    lifts. No model is needed.

    most: words kept. threshold: mean gain in nats at which the alarm goes; clean sets reach half of it. carried: share
    of the kept words a flagged image shows.
    """

    card: ClassVar[Card] = Card(
        title="Patch dictionary",
        summary="Finds a trigger patch that moves from image to image, by small windows only suspects show; needs no "
        "model.",
        inputs=("chw",),
        threats=("AML.T0020", "OWASP-ML02"),
        extra="models",
    )
    blind: ClassVar[tuple[str, ...]] = (
        "faint patterns blended over the whole image",
        "triggers smaller than a window, or without contrast",
        "warped images",
        "rows changed without a trigger (label flips, feature collisions)",
        "so many planted rows that they are each other's neighbours",
        "triggers on rows that keep their own label, where few of them stand out from their class",
    )

    neighbours: int = 10
    directions: int = 50
    side: int = 3
    levels: int = 3
    most: int = 3
    threshold: float = 30.0
    carried: float = 0.5

    def suspect(self, x: Tensor, y: Tensor, target: Target | None, rng: torch.Generator) -> Suspicion:  # noqa: ARG002
        """Judge images x (n, c, h, w); scores are the share of the named class's words an image shows."""
        if x.ndim != 4 or min(x.shape[2:]) < self.side:
            raise DataError(f"a dictionary of patches needs images (n, c, h, w), not {tuple(x.shape)}")
        found = company(x, y, self.neighbours, self.directions)
        classes = classes_of(y)
        seen = self._counts(x, y, classes)
        odd = self._counts(x[found.odd], y[found.odd], classes)
        rows = [self._gains(seen, odd, y, found.odd, label) for label in range(classes)]
        tops = torch.stack([row.topk(self.most).values.mean() for row in rows])
        aim = int(tops.argmax())
        words = rows[aim].topk(self.most).indices
        shows = torch.cat([self._shows(part, words) for part in torch.split(x, _IMAGES)])
        if not float(tops[aim]):
            return nothing(found.said.new_zeros(len(y)), 0.0, "no class has suspects enough")
        flagged = (shows >= self.carried) & (y == aim)
        elsewhere = float((shows[y != aim] >= self.carried).double().mean())
        note = (
            f"suspects of class {aim} share {self.most} windows of {self.side} × {self.side} pixels that "
            f"{elsewhere:.2%} of other images show"
        )
        return verdict(shows + (y == aim).double(), flagged, float(tops[aim]) / self.threshold, aim, note)

    def _gains(self, seen: Tensor, odd: Tensor, y: Tensor, suspects: Tensor, label: int) -> Tensor:
        """Compute each word's gain for a class: (words,)."""
        inside, outside = int((suspects & (y == label)).sum()), int((y != label).sum())
        if inside < FEW:
            return torch.zeros(seen.shape[1], dtype=torch.float64)
        others = (seen.sum(0) - seen[label] + 0.5) / (outside + 1)
        return inside * divergence(odd[label] / inside, others)

    def _counts(self, x: Tensor, y: Tensor, classes: int) -> Tensor:
        """Count the images of each class that show each word: (classes, words) float64."""
        counts = torch.zeros(classes, x.shape[1] * self.levels ** (self.side * self.side), dtype=torch.float64)
        for part, labels in zip(torch.split(x, _IMAGES), torch.split(y, _IMAGES), strict=True):
            has = self._presence(part, counts.shape[1])
            counts.index_add_(0, labels, has.double())
        return counts

    def _presence(self, x: Tensor, words: int) -> Tensor:
        has = torch.zeros(len(x), words, dtype=torch.bool)
        return has.scatter_(1, self._words(x), True)

    def _shows(self, x: Tensor, words: Tensor) -> Tensor:
        """Tell which share of the words each image shows: (n,)."""
        codes = self._words(x)
        return torch.stack([(codes == word).any(1) for word in words], 1).double().mean(1)

    def _words(self, x: Tensor) -> Tensor:
        """Code each window of each channel: (n, windows) int64; a channel has words of its own."""
        low, high = x.amin(), x.amax()
        levels = ((x - low) / (high - low).clamp(min=1e-12) * self.levels).long().clamp(0, self.levels - 1)
        size = self.side * self.side
        windows = levels.unfold(2, self.side, 1).unfold(3, self.side, 1).flatten(4).flatten(2, 3)
        code = (windows * self.levels ** torch.arange(size)).sum(-1)
        channel = torch.arange(x.shape[1]).view(1, -1, 1) * self.levels**size
        words: Tensor = (code + channel).flatten(1)
        return words
