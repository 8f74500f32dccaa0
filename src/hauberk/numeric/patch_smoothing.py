"""Derandomised smoothing: every band of an image votes alone; a sticker reaches only bands it touches."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def bands(images: Tensor, width: int, fill: float) -> Tensor:
    """Show of images (n, c, h, w) one band of `width` columns at a time, the rest filled → (n, w, c, h, w).

    Band i begins at column i and goes on at the left edge where it leaves the right one.
    """
    columns = images.shape[3]
    start = torch.arange(columns, device=images.device).unsqueeze(1)
    shown = (torch.arange(columns, device=images.device) - start) % columns < width
    return torch.where(shown[None, :, None, None, :], images.unsqueeze(1), images.new_full((), fill))


def touched(patch: int, width: int, columns: int) -> int:
    """Count the bands that a sticker `patch` columns wide can reach: patch + width − 1, all of them at most."""
    return min(columns, patch + width - 1)


def votes(scores: Tensor, threshold: float) -> Tensor:
    """Count for each class the bands whose probability reaches the threshold: (n, bands, classes) → (n, classes).

    Several classes, or none, may get a band's vote. Source: Levine & Feizi 2020, arXiv:2002.10733, §3.2.
    """
    return (scores >= threshold).sum(1)


def safe(counted: Tensor, reach: int) -> Tensor:
    """Tell of which images (n,) the winner stays whatever `reach` bands vote; counted: (n, classes).

    Ties go to the class of lower index, so a rival of lower index must stay one vote further behind. Every reached band
    may take its vote from the winner and give one to the rival. Source: Levine & Feizi 2020, theorem 1.
    """
    order = torch.arange(counted.shape[1], device=counted.device)
    best, winner = counted.max(1)
    winner = (counted == best.unsqueeze(1)).int().argmax(1)
    lower = (order < winner.unsqueeze(1)).to(counted)
    rivals = (counted + lower).scatter(1, winner.unsqueeze(1), -1)
    return best >= rivals.amax(1) + 2 * reach
