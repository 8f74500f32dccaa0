"""A model whose answers to known records were kept; it is made again only for inputs it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import torch

from hauberk.core.protocols import Target, TargetSpec


class Remembered:
    """A target that looks answers up by the bytes of the input.

    x (n, *shape), told (n, classes): what was asked and answered. remake: makes the model when something else is asked.
    """

    def __init__(self, x: torch.Tensor, told: torch.Tensor, spec: TargetSpec, remake: Callable[[], Target]) -> None:
        self._told = dict(zip(_keys(x), told, strict=True))
        self._spec, self._remake = spec, remake
        self._model: Target | None = None

    @property
    def spec(self) -> TargetSpec:
        """What the model is."""
        return self._spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Look x (n, *shape) up; where one input is new, make the model and ask it about all of them."""
        keys = _keys(x)
        if all(key in self._told for key in keys):
            return torch.stack([self._told[key] for key in keys])
        if self._model is None:
            self._model = self._remake()
        return self._model.predict(x)


def _keys(x: torch.Tensor) -> list[bytes]:
    return [blake2b(row.numpy().tobytes(), digest_size=16).digest() for row in x.detach().cpu().contiguous()]
