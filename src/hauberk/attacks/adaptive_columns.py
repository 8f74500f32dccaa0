"""The ways a defended target is attacked: as if one knew nothing of the defense, by transfer, adaptively, unseen."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import msgspec
import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import Profile, answers, candidates, choose, errs, settled
from hauberk.attacks.chunks import streams
from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.driver import Driving
from hauberk.core.defending import Defended
from hauberk.core.errors import BudgetSpent
from hauberk.core.protocols import Differentiable, EvasionAttack, Target
from hauberk.core.schema import Layout
from hauberk.core.threat import Threat

Tensor = torch.Tensor
Way: TypeAlias = Literal["non-adaptive", "transfer", "adaptive", "black-box"]

JUDGED = 10
"""Answers of a target that answers at random; it errs where more than half of them do."""
UNSEEN = 1000
"""Queries a sample of the black-box way where the threat has no budget: it is there to tell of hidden gradients."""


@dataclass(frozen=True, slots=True)
class Column:
    """One way to attack. searched: the target the attacks see; what they find is tried on the defended one."""

    way: Way
    searched: Target
    attacks: tuple[EvasionAttack, ...]
    threat: Threat


@dataclass(frozen=True, slots=True)
class Tried:
    """What a column did to n samples. broken: (n,) bool. stage: (n,) which attack broke it, -1 none."""

    broken: Tensor
    stage: Tensor
    strays: int
    queries: tuple[int, ...]
    gradients: tuple[int, ...]
    attacked: tuple[int, ...]


def columns(
    target: Defended, threat: Threat, layout: Layout, profile: Profile, given: tuple[EvasionAttack, ...]
) -> tuple[Column, ...]:
    """Choose the ways that can be gone; without "adaptive" among them there is nothing to report.

    given: gradient attacks instead of the profile's. The adaptive way is the plain one on the target with stand-ins'
    gradients (BPDA, Athalye et al. 2018, arXiv:1802.00420, §4.1), the mean of several looks where it answers at random
    (EoT, §4.2).
    """
    found: list[Column] = []
    smooth, bare = target.adaptive(), target.bare()
    plain = _with_gradients(target, threat, layout, profile, given)
    if plain:
        found.append(Column("non-adaptive", target, plain, threat))
    carried = tuple(
        _driven(attack, early_stop=False) for attack in _with_gradients(bare, threat, layout, profile, given)
    )
    if carried:
        found.append(Column("transfer", bare, carried, threat))
    knowing = _with_gradients(smooth, threat, layout, profile, given)
    if target.draws > 1:
        knowing = tuple(_driven(attack, early_stop=False, draws=target.draws) for attack in knowing)
    if knowing:
        found.append(Column("adaptive", smooth, knowing, threat))
    unseen = msgspec.structs.replace(threat, knowledge="score", queries=threat.queries or UNSEEN)
    blind = choose(target, unseen, layout, profile).attacks
    if blind:
        found.append(Column("black-box", target, blind, unseen))
    return tuple(found)


def _with_gradients(
    target: Target, threat: Threat, layout: Layout, profile: Profile, given: tuple[EvasionAttack, ...]
) -> tuple[EvasionAttack, ...]:
    if not isinstance(target, Differentiable):
        return ()
    for asked in (given, ()):  # of attacks without gradients that were asked for, none can know the defense
        found = choose(target, threat, layout, profile, asked).attacks
        kept = tuple(row for row in found if "gradients" in row.card.needs)
        if kept:
            return kept
    return ()


def _driven(attack: EvasionAttack, **how: object) -> EvasionAttack:
    """Return the attack driven otherwise, where it is one of the driver's."""
    plain: object = attack
    driving = getattr(attack, "driving", None)
    if not isinstance(driving, Driving) or not dataclasses.is_dataclass(plain) or isinstance(plain, type):
        return attack
    return cast(EvasionAttack, replace(cast(Any, plain), driving=replace(driving, **cast(Any, how))))


def tried(column: Column, target: Defended, x: Tensor, y: Tensor, seed: int) -> Tried:
    """Run a column's attacks in turn on x (n, *shape), y (n,), each on the survivors, and try them on the target."""
    stage, strays = torch.full((len(x),), -1), 0
    ledgers, attacked = [], []
    for index, (attack, rng) in enumerate(
        zip(column.attacks, streams(seed, len(column.attacks), column.way), strict=True), 1
    ):
        rows = (stage < 0).nonzero().squeeze(1)
        ledger = Ledger()
        ledgers.append(ledger)
        attacked.append(len(rows))
        if not len(rows):
            continue
        seen = view(column.searched, column.threat.knowledge, ledger)
        try:
            raw = candidates(attack, seen, x[rows], y[rows], column.threat, rng)
        except BudgetSpent:
            continue
        found, stray = settled(raw, allowed(column.threat, x[rows], target.spec.bounds))
        strays += stray
        stage[rows[wrong(target, found, y[rows], column.threat)]] = index
    queries, gradients = (tuple(getattr(row, kind) for row in ledgers) for kind in ("queries", "gradients"))
    return Tried(stage > 0, stage, strays, queries, gradients, tuple(attacked))


def wrong(target: Defended, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
    """Tell where (n,) the attacker has what he wants: at once, or in most of several answers given at random."""
    if target.draws == 1:
        return errs(answers(target, x), y, threat)
    votes = torch.stack([errs(answers(target, x), y, threat) for _ in range(JUDGED)])
    return votes.double().mean(0) > 0.5
