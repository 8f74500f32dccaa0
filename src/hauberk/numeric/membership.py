"""What one answer says of a record: log odds of its class, loss, entropies, and of what kind the answer is."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch.nn.functional import logsigmoid

Tensor = torch.Tensor
Kind: TypeAlias = Literal["logits", "probabilities", "labels"]
Signal: TypeAlias = Literal["log-odds", "loss", "confidence", "entropy", "modified-entropy", "margin"]

LEAST = 1e-45
"""A probability of 0 counts as this, the least float32 knows: what a softmax in float32 rounds away is no infinity."""
SUM_TOLERANCE = 1e-3
"""How far rows of probabilities may be from summing to 1; rounded answers stay below it."""


def kind_of(answer: Tensor) -> Kind:
    """Tell what rows (n, classes) are: one-hot labels, probabilities (0 to 1, summing to 1), or else logits."""
    if not bool(((answer.sum(1) - 1).abs() <= SUM_TOLERANCE).all()) or bool((answer < -SUM_TOLERANCE).any()):
        return "logits"
    return "labels" if bool(((answer == 0) | (answer == 1)).all()) else "probabilities"


def log_probabilities(answer: Tensor, kind: Kind) -> Tensor:
    """Return log probabilities (n, classes) float64 of what a model answered."""
    scores = answer.detach().double()
    return scores.log_softmax(1) if kind == "logits" else scores.clamp_min(LEAST).log()


def log_odds(answer: Tensor, y: Tensor, kind: Kind) -> Tensor:
    """Return log(p / (1 − p)) (n,) float64 of the true class y (n,).

    In double precision it keeps apart records whose p rounds to 1, which the log of p does not. Labels count as a
    probability of 0.99 or 0.01: 4.6 or −4.6. Source: Carlini et al. 2022, arXiv:2112.03570, §V.C (logit scaling).
    """
    if kind == "labels":
        return torch.where(answer.argmax(1) == y, 1.0, -1.0).double() * math.log(99)
    scores = answer.detach().double()
    if kind == "probabilities":
        scores = scores.clamp_min(LEAST).log()
    true = scores.gather(1, y[:, None])[:, 0]
    return true - scores.scatter(1, y[:, None], -torch.inf).logsumexp(1)


def loss(answer: Tensor, y: Tensor, kind: Kind) -> Tensor:
    """Return the cross-entropy (n,) float64, 0 or more; of labels 0 where right, 1 where wrong."""
    if kind == "labels":
        return (answer.argmax(1) != y).double()
    return -logsigmoid(log_odds(answer, y, kind))


def entropy(answer: Tensor, kind: Kind) -> Tensor:
    """Return the entropy (n,) of the answer in nats."""
    logs = log_probabilities(answer, kind)
    return -(logs.exp() * logs).sum(1)


def modified_entropy(answer: Tensor, y: Tensor, kind: Kind) -> Tensor:
    """Return Song & Mittal's entropy (n,), which is 0 for a sure right answer and large for a sure wrong one.

    −(1 − p_y) log p_y − Σ_{i ≠ y} p_i log(1 − p_i). Source: Song & Mittal 2021, arXiv:2003.10595, equation 8.
    """
    logs = log_probabilities(answer, kind)
    rest = torch.log1p(-logs.exp().clamp(max=1 - 1e-15))  # log(1 − p_i)
    odds = log_odds(answer, y, kind)
    own = -torch.sigmoid(-odds) * logsigmoid(odds)
    others = (logs.exp() * rest).scatter(1, y[:, None], 0.0).sum(1)
    return own - others


def margin(answer: Tensor, y: Tensor, kind: Kind) -> Tensor:
    """Return by how much the true class leads the best other one (n,), in logits or log probabilities."""
    scores = answer.detach().double() if kind == "logits" else log_probabilities(answer, kind)
    true = scores.gather(1, y[:, None])[:, 0]
    return true - scores.scatter(1, y[:, None], -torch.inf).amax(1)


def signal(answer: Tensor, y: Tensor, kind: Kind, name: Signal) -> Tensor:
    """Return the named signal (n,) float64, turned so that higher means more likely a member."""
    if name == "log-odds":
        return log_odds(answer, y, kind)
    if name == "loss":
        return -loss(answer, y, kind)
    if name == "confidence":
        return torch.sigmoid(log_odds(answer, y, kind))
    if name == "entropy":
        return -entropy(answer, kind)
    if name == "modified-entropy":
        return -modified_entropy(answer, y, kind)
    return margin(answer, y, kind)


def as_two_classes(losses: Tensor) -> Tensor:
    """Return logits (n, 2) whose cross-entropy for class 0 is the given loss (n,) ≥ 0.

    So any attack on classifiers works on a regressor, an embedding or a sequence model of which only losses are known:
    the log odds are −log(eˡ − 1).
    """
    values = losses.detach().double().clamp_min(1e-12)
    odds = -(values + torch.log1p(-torch.exp(-values)).clamp_min(-60.0))
    return torch.stack((odds, torch.zeros_like(odds)), 1)
