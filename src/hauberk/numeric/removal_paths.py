"""Training rows whose removal turns a decision of a ridge classifier: a greedy path with exact downdates."""

from __future__ import annotations

from typing import NamedTuple

import torch

Tensor = torch.Tensor

_PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Shares of the mean squared feature tried as ridge penalty a row."""


class Path(NamedTuple):
    """Rows to take out, the most useful first. rows: (k,). margins: (k + 1,) of the decision before and after each."""

    rows: Tensor
    margins: Tensor

    @property
    def needed(self) -> int | None:
        """How many of them turn the decision; None where the path ends before."""
        turned = (self.margins < 0).nonzero()[:, 0]
        return int(turned[0]) if len(turned) else None


class Ridge(NamedTuple):
    """A ridge classifier on one-hot labels. x: (n, d) with a column of ones last. wanted: (n, classes) of 0 and 1."""

    x: Tensor
    wanted: Tensor
    penalty: float
    inverse: Tensor
    weight: Tensor

    @staticmethod
    def fit(rows: Tensor, y: Tensor, classes: int) -> Ridge:
        """Fit features rows (n, d), y (n,), with the penalty whose leave-one-out answers are right most often."""
        x = torch.cat((rows.double(), torch.ones(len(rows), 1, dtype=torch.float64)), 1)
        wanted = torch.nn.functional.one_hot(y, classes).double()
        scale, best, found = float(x[:, :-1].square().mean()) * len(x), -1.0, None
        for share in _PENALTIES:
            made = _solved(x, wanted, share * scale + 1e-9)
            fitted = x @ made.weight
            lever = ((x @ made.inverse) * x).sum(1, keepdim=True)
            without = (fitted - lever * wanted) / (1 - lever).clamp_min(1e-12)
            right = float((without.argmax(1) == y).double().mean())
            if right > best:
                best, found = right, made
        assert found is not None
        return found

    def scores(self, features: Tensor) -> Tensor:
        """Score features (m, d): (m, classes)."""
        return features.double() @ self.weight[:-1] + self.weight[-1]

    def path(self, feature: Tensor, decided: int, rival: int, most: int, beyond: float = 1.0) -> Path:
        """Take out row by row what holds the decision for `decided` against `rival` at feature (d,) most.

        Each step removes the row whose loss lowers the margin most, by the exact leave-one-out change of a
        least-squares fit, and brings the fit up to date (Sherman–Morrison); a greedy form of Yang et al. 2023,
        arXiv:2302.02169, §3, so an upper bound of the smallest set. Ends after `most` rows, or `beyond` times as many
        as turned the decision.
        """
        point = torch.cat((feature.double(), torch.ones(1, dtype=torch.float64)))
        inverse, theta = self.inverse.clone(), self.weight[:, decided] - self.weight[:, rival]
        rest = self.wanted[:, decided] - self.wanted[:, rival] - self.x @ theta
        lever = ((self.x @ inverse) * self.x).sum(1)
        pull, margin, limit = self.x @ (inverse @ point), float(point @ theta), min(most, len(self.x) - 1)
        gone, margins = torch.zeros(len(self.x), dtype=torch.bool), [margin]
        rows: list[int] = []
        while len(rows) < limit:
            change = -pull * rest / (1 - lever).clamp_min(1e-9)
            row = int(change.masked_fill(gone, torch.inf).argmin())
            if float(change[row]) >= 0:
                break
            left = max(1 - float(lever[row]), 1e-9)
            turn = inverse @ self.x[row]
            along = self.x @ turn
            margin += float(change[row])
            rest = rest + along * (float(rest[row]) / left)
            pull = pull + along * (float(turn @ point) / left)
            lever = lever + along.square() / left
            inverse = inverse + torch.outer(turn, turn) / left
            gone[row] = True
            rows.append(row)
            margins.append(margin)
            if margin < 0 and margins[-2] >= 0:
                limit = min(limit, round(len(rows) * beyond))
        return Path(torch.tensor(rows, dtype=torch.int64), torch.tensor(margins, dtype=torch.float64))

    def without(self, rows: Tensor) -> Ridge:
        """Fit anew without these rows, with the same penalty."""
        kept = torch.ones(len(self.x), dtype=torch.bool).index_fill(0, rows, False)
        return _solved(self.x[kept], self.wanted[kept], self.penalty)


def _solved(x: Tensor, wanted: Tensor, penalty: float) -> Ridge:
    inverse = torch.linalg.inv(x.T @ x + penalty * torch.eye(x.shape[1], dtype=torch.float64))
    return Ridge(x, wanted, penalty, inverse, inverse @ (x.T @ wanted))
