"""Which way a run's clipped gradients are computed: the quick one where it is right, else the exact slow one, and why.

Before the first step a few rows are computed both ways; an engine whose sums differ from vmap(grad) is not used.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import nn

from hauberk.core.errors import TargetError
from hauberk.numeric.book_keeping import BookKeeping
from hauberk.numeric.clipped_sums import ClippedSums, ExampleLoss, Flat, NotFinite, Outcome, Unfit, joined
from hauberk.numeric.clipping import Clipping
from hauberk.numeric.example_gradients import ExampleGradients, largest_gap, split_rows
from hauberk.numeric.ghost_clipping import GhostClipping

Way: TypeAlias = Literal["book_keeping", "ghost", "per_example", "one_by_one"]
CHECKED, TOLERANCE = 8, 1e-5
"""Rows computed both ways, and the relative difference of their clipped sums that rounding explains."""


class PrivateGradients:
    """Adds clipped sums of batches of any size to a buffer, part by part, and remembers what a report must say."""

    def __init__(self, module: nn.Module, loss: ExampleLoss, way: Way = "book_keeping", *, mixed: bool = False) -> None:
        self._module, self._loss, self._mixed = module, loss, mixed
        self.way: Way = way
        self.notes: list[str] = []
        self.gap: float | None = None
        self.dropped = 0
        try:
            self._engine = self._made(way)
        except Unfit as fault:
            self._fall_back(str(fault))

    def _made(self, way: Way) -> ClippedSums:
        if way == "book_keeping":
            return BookKeeping(self._module, self._loss, mixed=self._mixed)
        if way == "ghost":
            return GhostClipping(self._module, self._loss)
        return ExampleGradients(self._module, self._loss, one_by_one=way == "one_by_one")

    def _fall_back(self, why: str) -> None:
        self.notes.append(f"gradients went the exact slow way: {why}")
        self.way, self._engine = "per_example", self._made("per_example")

    def check(self, x: torch.Tensor, y: torch.Tensor, clipping: Clipping) -> None:
        """Compute a few rows both ways with dropout off; fall back where the quick way differs.

        Rows whose gradient is no number are not compared.
        """
        if self.way in ("per_example", "one_by_one"):
            return
        x, y = x[:CHECKED], y[:CHECKED]
        quick, exact = Flat(self._module), Flat(self._module)
        was = self._module.training
        self._module.eval()
        try:
            BookKeeping(self._module, self._loss).add(x, y, clipping, quick) if self.way == "book_keeping" else (
                self._engine.add(x, y, clipping, quick)
            )
            ExampleGradients(self._module, self._loss).add(x, y, clipping, exact)
            self.gap = largest_gap(quick.buffer, exact.buffer)
        except NotFinite:
            return
        except Unfit as fault:
            self._fall_back(str(fault))
            return
        finally:
            self._module.train(was)
        if not self.gap <= TOLERANCE:
            self._fall_back(f"sums differ from vmap(grad) by {self.gap:.1e}, more than rounding explains")
        elif isinstance(self._engine, BookKeeping) and self._engine.slow_parts:
            self.notes.append(f"formed per example, having no quick rule: {', '.join(self._engine.slow_parts)}")

    def add(self, x: torch.Tensor, y: torch.Tensor, clipping: Clipping, into: Flat, memory: int = 0) -> Outcome | None:
        """Add the clipped sum of a batch, at most `memory` rows at once; None for an empty batch.

        Rows whose gradient is not a number count as zero. Raises TargetError where they are most of a batch.
        """
        parts = (
            [self._part(rows, labels, clipping, into) for rows, labels in split_rows(x, y, memory)] if len(y) else []
        )
        some = [part for part in parts if part is not None]
        if len(y) and sum(len(part.norms) for part in some) * 2 < len(y):
            raise TargetError(
                "the gradients of most examples are not numbers: training diverged",
                fix="set a lower learning_rate, or look at the scale of the inputs",
            )
        return joined(some) if some else None

    def _part(self, x: torch.Tensor, y: torch.Tensor, clipping: Clipping, into: Flat) -> Outcome | None:
        try:
            return self._engine.add(x, y, clipping, into)
        except Unfit as fault:
            self._fall_back(str(fault))
            return self._part(x, y, clipping, into)
        except NotFinite as fault:
            if clipping.kind == "per_layer":
                raise TargetError(
                    "an example's gradient is not a number", fix='set a lower learning_rate, or clipping = "flat"'
                ) from fault
            good = fault.good
            self.dropped += int((~good).sum())
            return self._part(x[good], y[good], clipping, into) if bool(good.any()) else None
