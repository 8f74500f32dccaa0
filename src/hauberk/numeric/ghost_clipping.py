"""Ghost clipping: norms in a first pass, then torch's own backward pass of the weighted loss; least memory.

Goodfellow 2015, arXiv:1510.01799; Li et al. 2022, arXiv:2110.05679.
"""

from __future__ import annotations

import torch
from torch import nn

from hauberk.numeric.book_keeping import BookKeeping
from hauberk.numeric.clipped_sums import ExampleLoss, Flat, NotFinite, Outcome, Unfit
from hauberk.numeric.clipping import Clipping


class GhostClipping:
    """Adds clipped sums of batches to a buffer; nothing of the first pass is kept but the norms.

    Raises Unfit where book-keeping would, and for per-layer clipping, whose weights no single loss can carry.
    """

    def __init__(self, module: nn.Module, loss: ExampleLoss) -> None:
        self._module, self._loss = module, loss
        self._norms = BookKeeping(module, loss)
        self.layers = self._norms.layers

    def add(self, x: torch.Tensor, y: torch.Tensor, clipping: Clipping, into: Flat) -> Outcome:
        """Add the clipped sum of a batch to the buffer."""
        if clipping.kind == "per_layer":
            raise Unfit("ghost clipping has one weight an example, not one a layer")
        state = torch.get_rng_state()
        found = self._norms.norms(x, y, into)
        if not bool(found.norms.isfinite().all()):
            raise NotFinite(found.norms)
        weights = clipping.weights(found.norms.square())
        torch.set_rng_state(state)  # what dropout dropped, it drops again
        with torch.enable_grad():
            losses = self._loss(self._module, x, y)
            grads = torch.autograd.grad((losses * weights).sum(), into.parameters, allow_unused=True)
        for parameter, gradient in zip(into.parameters, grads, strict=True):
            if gradient is not None:
                into.of(parameter).add_(gradient)
        return found._replace(below=int((weights >= 1).sum()))
