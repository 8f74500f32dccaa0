"""Tell two samples apart with a classifier: are they drawn from one distribution?"""

from __future__ import annotations

import torch

from hauberk.numeric.intervals import Interval
from hauberk.numeric.roc import area

FOLDS = 5
RIDGE = 0.1  # penalty on the standardised kernel; the test asks for a direction, not for the best fit


def separability(first: torch.Tensor, second: torch.Tensor, rng: torch.Generator, level: float = 0.95) -> Interval:
    """Return the area under the ROC curve of a cross-fitted classifier that tells first (m, …) from second (n, …).

    About 0.5 where both come from one distribution (classifier two-sample test, Lopez-Paz & Oquab 2017): kernel ridge
    regression with a Gaussian kernel of median width, so that shifts of mean, scale and shape are seen alike.
    The folds share training rows, so the interval is a little narrow: ask for a margin over 0.5. Cost O((m + n)³).
    """
    x = torch.cat((first.flatten(1), second.flatten(1))).double()
    x = (x - x.mean(0)) / x.std(0).clamp_min(1e-9)
    squared = torch.cdist(x, x).square()
    kernel = (-squared / squared.median().clamp_min(1e-12)).exp()
    label = torch.cat((torch.full((len(first),), 1.0), torch.full((len(second),), -1.0))).double()
    fold = torch.cat([torch.randperm(size, generator=rng) % FOLDS for size in (len(first), len(second))])
    score = torch.zeros(len(x), dtype=torch.float64)
    for index in range(FOLDS):
        score[fold == index] = _held_out(kernel, label, fold == index)
    return area(score[: len(first)], score[len(first) :], level)


def _held_out(kernel: torch.Tensor, label: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Fit on the rest, score the held-out rows; centred on the fold so that scores of folds can be pooled."""
    rest = ~out
    mean = label[rest].mean()
    system = kernel[rest][:, rest] + RIDGE * torch.eye(int(rest.sum()), dtype=torch.float64)
    factor = torch.linalg.cholesky(system)
    weight = torch.cholesky_solve((label[rest] - mean)[:, None], factor)
    return (kernel[out][:, rest] @ weight)[:, 0] + mean
