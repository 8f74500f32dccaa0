"""Random tensors drawn where the generator lives and moved to where they are used: one seed, one result."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def uniform(shape: tuple[int, ...], like: Tensor, rng: torch.Generator) -> Tensor:
    """Draw from [0, 1), in the dtype and on the device of `like`."""
    return torch.rand(shape, generator=rng, device=rng.device).to(like)


def normal(shape: tuple[int, ...], like: Tensor, rng: torch.Generator) -> Tensor:
    """Draw from the standard normal distribution, in the dtype and on the device of `like`."""
    return torch.randn(shape, generator=rng, device=rng.device).to(like)


def signs(shape: tuple[int, ...], like: Tensor, rng: torch.Generator) -> Tensor:
    """Draw −1 or 1, each half of the time, in the dtype and on the device of `like`."""
    return (torch.randint(0, 2, shape, generator=rng, device=rng.device) * 2 - 1).to(like)


def shuffles(n: int, count: int, like: Tensor, rng: torch.Generator) -> Tensor:
    """Draw n orders of 0 … count − 1 → (n, count) int64, on the device of `like`."""
    return torch.rand((n, count), generator=rng, device=rng.device).argsort(1).to(like.device)
