"""RMIA: how many other records does this one's likelihood ratio dominate?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch.nn.functional import logsigmoid

from hauberk.attacks.references import moments, outsiders, sided, signals, table
from hauberk.attacks.views import Augmentation, views
from hauberk.core.card import Card
from hauberk.core.protocols import References, Target

Tensor = torch.Tensor

OFFSETS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TEMPERATURES = (1.0, 1.5, 2.0, 3.0)
"""What the offline correction and the temperature are chosen from."""
PLAYERS = 8
"""Reference models that play the target, at most, when they are chosen."""
LIKE = 0.5
"""Two models whose training sets correlate more than this, either way, are no references of each other."""


class _Tuning(NamedTuple):
    """The offline correction, and what log odds are divided by."""

    a: float
    temperature: float


@dataclass(frozen=True, slots=True)
class RMIA:
    """Score each record by the share of others that its ratio p(x | target) / p(x) exceeds by gamma.

    Zarifzadeh et al. 2024, arXiv:2312.03262, §3. p(x) is the mean probability under reference models: online half of it
    from models with the record, offline ((1 + a) · p_out + 1 − a) / 2 (§3.3, equation 10). Records of one share are
    told apart by the ratio itself. Strong with one reference model already.

    mode: "auto" is online where every record has a model with and one without it. gamma: the ratio that counts as
    dominating. a: of the offline correction. temperature: log odds are divided by it before they become probabilities,
    so that a model sure of everything still says how sure. Below 0, a and temperature are chosen on the reference
    models alone: each plays the target in turn and the others its references. augment: ask about more views, whose log
    ratios are averaged.
    """

    card: ClassVar[Card] = Card(
        title="RMIA (robust membership inference)",
        summary="Compares a record's likelihood ratio with everyone else's; strongest where reference models are few.",
        paper="Zarifzadeh et al. 2024, arXiv:2312.03262, §3",
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )
    uses: ClassVar[Literal["models", "population"]] = "models"

    mode: Literal["auto", "online", "offline"] = "auto"
    gamma: float = 1.0
    a: float = -1.0
    temperature: float = -1.0
    augment: Augmentation = "none"

    def compare(
        self,
        target: Target,
        x: Tensor,
        y: Tensor,
        references: References,
        rng: torch.Generator,  # noqa: ARG002
    ) -> Tensor:
        """Return shares (n,) float64 between 0 and 1 plus less than one record's share of the ratio's rank.

        Raises MissingPower where some record is in the training data of every reference model.
        """
        outsiders(references)
        online = self.mode == "online" or (self.mode == "auto" and sided(references))
        if online:
            outsiders(references._replace(member=~references.member))
        ratio = torch.stack([self._ratio(target, view, y, references, online) for view in views(x, self.augment)]).mean(
            0
        )
        return _dominated(ratio, self.gamma)

    def _ratio(self, target: Target, x: Tensor, y: Tensor, references: References, online: bool) -> Tensor:
        own = signals(target, x, y, "log-odds")
        others = table(references, x, y, "log-odds")
        a, temperature = self.a, self.temperature
        if temperature < 0 or (a < 0 and not online):
            grid = [
                _Tuning(first, second)
                for first in ((0.0,) if online else OFFSETS if a < 0 else (a,))
                for second in (TEMPERATURES if temperature < 0 else (temperature,))
            ]
            a, temperature = _chosen(others, references.member, grid, online)
        return _log_ratio(own, others, references.member, _Tuning(a, temperature), online)


def _log_ratio(own: Tensor, others: Tensor, member: Tensor, tuning: _Tuning, online: bool) -> Tensor:
    """Return log p(x | target) − log p(x) from log odds (n,) and (k, n)."""
    confidence = (others / tuning.temperature).sigmoid()
    out = moments(confidence, ~member).mean
    evidence = (out + moments(confidence, member).mean) / 2 if online else ((1 + tuning.a) * out + 1 - tuning.a) / 2
    return logsigmoid(own / tuning.temperature) - evidence.log()


def _dominated(ratio: Tensor, gamma: float) -> Tensor:
    """Return the share of records whose log ratio lies log gamma below one's own, and less than 1 / n for its rank."""
    ordered, n = ratio.sort().values, len(ratio)
    below = torch.searchsorted(ordered, ratio - math.log(gamma), right=True)
    rank = torch.searchsorted(ordered, ratio) / (n + 1)
    return (below + rank).double() / (n + 1)


def _chosen(odds: Tensor, member: Tensor, grid: list[_Tuning], online: bool) -> _Tuning:
    """Choose the tuning with the most true positives at 1 % false positives against the reference models (k, n).

    Where no model has others that are independent of it, the middle of what the two settings of the benchmark chose.
    """
    likeness = torch.corrcoef(member.double()) if len(odds) > 1 else torch.ones(1, 1)
    games = []
    for model in range(min(len(odds), PLAYERS)):
        rest = (likeness[model].abs() < LIKE).nonzero()[:, 0]
        if len(rest):
            games.append((model, rest))
    if not games:
        return _Tuning(0.3, 2.0)
    return max(grid, key=lambda tuning: sum(_caught(odds, member, *game, tuning, online) for game in games))


def _caught(odds: Tensor, member: Tensor, model: int, rest: Tensor, tuning: _Tuning, online: bool) -> float:
    """Return the true positive rate at 1 % false positives against one reference model."""
    inside = member[rest].sum(0)
    known = (len(rest) > inside) & (inside > 0 if online else True)
    ratio = _log_ratio(odds[model], odds[rest], member[rest], tuning, online)
    members, others = ratio[known & member[model]], ratio[known & ~member[model]]
    if not len(members) or not len(others):
        return 0.0
    return float((members > others.quantile(0.99)).double().mean())
