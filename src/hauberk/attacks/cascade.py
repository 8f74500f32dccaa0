"""Attacks from cheap to dear, each on the samples that withstood the ones before; every break is confirmed by us."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Literal, NamedTuple, TypeAlias, cast

import msgspec
import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.recording import recipe_of
from hauberk.core.errors import BudgetSpent
from hauberk.core.evidence import Scalar
from hauberk.core.plugins import build, settings_of
from hauberk.core.protocols import EvasionAttack, Power, Target, powers
from hauberk.core.schema import Layout
from hauberk.core.threat import Knowledge, Threat

Profile: TypeAlias = Literal["quick", "standard"]
Route: TypeAlias = Literal["white-box", "score", "decision", "table"]
Stages: TypeAlias = tuple[tuple[str, dict[str, Scalar]], ...]

CASCADES: dict[Profile, dict[Route, Stages]] = {
    "quick": {
        "white-box": (
            ("evasion.pgd", {"steps": 10, "pace": 0.25}),
            ("evasion.apgd", {"loss": "ce+margin", "steps": 100}),
        ),
        "score": (("evasion.square", {}),),
        "decision": (("evasion.hop_skip_jump", {}),),
        "table": (("evasion.constrained_search", {}),),
    },
    "standard": {
        "white-box": (
            ("evasion.fgsm", {}),
            ("evasion.apgd", {"loss": "ce+margin", "steps": 200}),
            ("evasion.apgd", {"loss": "dlr-targets", "targets": 3, "steps": 100}),
            ("evasion.square", {"queries": 1000}),
        ),
        "score": (("evasion.square", {"queries": 5000}),),
        "decision": (("evasion.hop_skip_jump", {"queries": 5000}),),
        "table": (("evasion.constrained_search", {"queries": 2000}),),
    },
}
"""What a threat without `attacks` is attacked with. Half cross-entropy and half margin is the strongest use of 100
gradients (measured, docs/decisions/011); a threat's own query budget goes before a stage's."""

WEAKER: dict[Knowledge, tuple[Route, ...]] = {
    "white-box": ("white-box", "score", "decision"),
    "score": ("score", "decision"),
    "decision": ("decision",),
}
"""Who knows much can do what who knows less does: where a target lacks a power, the next route is taken."""

NEEDS_WORDS: dict[Power, str] = {
    "scores": "scores (it answers with labels only, or the threat sees labels only)",
    "gradients": "gradients",
    "module": "a torch module",
    "refit": "retraining",
}


class Lacking(NamedTuple):
    """An attack that could not be run, and why; kind as in Skipped."""

    name: str
    reason: str
    kind: Literal["power", "scope"]
    fix: str = ""


class Cascade(NamedTuple):
    """The attacks to run in order, and those that cannot be run."""

    attacks: tuple[EvasionAttack, ...]
    lacking: tuple[Lacking, ...] = ()


def choose(
    target: Target, threat: Threat, layout: Layout, profile: Profile, given: tuple[EvasionAttack, ...] = ()
) -> Cascade:
    """Return the given attacks, or the profile's for what threat and target allow; what cannot be run says why."""
    seen = powers(view(target, threat.knowledge, Ledger()))
    if given:
        return _sorted(given, threat, layout, seen)
    routes: tuple[Route, ...] = ("table",) if threat.constraints is not None else WEAKER[threat.knowledge]
    lacking: list[Lacking] = []
    for route in routes:
        found = _sorted(_built(CASCADES[profile][route]), threat, layout, seen)
        lacking.extend(found.lacking)
        if found.attacks:
            return Cascade(found.attacks, tuple(lacking))
    return Cascade((), tuple(lacking))


def title(attack: EvasionAttack) -> str:
    """Name an attack and the settings it does not have by default, such as "evasion.apgd (loss=dlr)"."""
    record: object = attack
    defaults = {field.name: field.default for field in fields(record)} if is_dataclass(record) else {}
    rows = [f"{row.name}={row.value}" for row in settings_of(attack) if row.value != _plain(defaults[row.name])]
    return recipe_of(attack) + (f" ({', '.join(rows)})" if rows else "")


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _built(stages: Stages) -> tuple[EvasionAttack, ...]:
    return tuple(cast(EvasionAttack, build("attacks", name, settings)) for name, settings in stages)


def _sorted(attacks: tuple[EvasionAttack, ...], threat: Threat, layout: Layout, seen: frozenset[Power]) -> Cascade:
    found = [(attack, _obstacle(attack, threat, layout, seen)) for attack in attacks]
    fit = tuple(attack for attack, obstacle in found if obstacle is None)
    return Cascade(fit, tuple(obstacle for _, obstacle in found if obstacle is not None))


def _obstacle(attack: EvasionAttack, threat: Threat, layout: Layout, seen: frozenset[Power]) -> Lacking | None:
    card, name = attack.card, title(attack)
    if (threat.constraints is not None) != (not card.norms):
        kind = "a table's constraints" if threat.constraints is not None else "a norm ball"
        return Lacking(name, f"does not work in {kind}", "scope")
    if threat.ball is not None and threat.constraints is None and threat.ball.norm not in card.norms:
        return Lacking(name, f"works in {', '.join(card.norms)}, not in {threat.ball.norm}", "scope")
    if layout not in card.inputs:
        return Lacking(name, f'works on {", ".join(card.inputs)}, not on "{layout}"', "scope")
    missing = [NEEDS_WORDS[power] for power in NEEDS_WORDS if power in card.needs and power not in seen]
    if missing:
        fix = "reach the model in a way that gives them" if threat.knowledge == "white-box" else ""
        return Lacking(name, f"needs {' and '.join(missing)}", "power", fix)
    return None


@dataclass(frozen=True, slots=True)
class Assault:
    """What a cascade did to n samples.

    stage: (n,) int64, which attack (1, 2, …) broke it; -1 none. x: (n, *shape), adversarial, or clean where none is.
    attacked, queries, gradients: per attack. strays: candidates that came back outside the set or as no number.
    faults: attacks that broke their budget, and how.
    """

    stage: torch.Tensor
    x: torch.Tensor
    attacked: tuple[int, ...]
    queries: tuple[int, ...]
    gradients: tuple[int, ...]
    strays: int = 0
    faults: tuple[str, ...] = ()


def errs(scores: torch.Tensor, y: torch.Tensor, threat: Threat) -> torch.Tensor:
    """Tell where (n,) the attacker has what he wants: any other class than y, or the threat's target class."""
    found = scores.argmax(1)
    return found != y if threat.target_class is None else found == threat.target_class


def assault(
    target: Target,
    attacks: tuple[EvasionAttack, ...],
    x: torch.Tensor,
    y: torch.Tensor,
    threat: Threat,
    streams: tuple[torch.Generator, ...],
) -> Assault:
    """Run attacks in turn on x (n, *shape), y (n,), each on the survivors; one random stream for each.

    A threat's queries per sample are shared by the attacks in equal parts. What comes back is put into the threat's
    set, and a sample counts as broken only if the target, asked again, errs on it.
    """
    stage, best = torch.full((len(x),), -1), x.clone()
    attacked, ledgers, strays, faults = [], [], 0, []
    share = threat if threat.queries is None else _share(threat, len(attacks))
    for index, (attack, rng) in enumerate(zip(attacks, streams, strict=True)):
        rows = (stage < 0).nonzero().squeeze(1)
        budget = None if share.queries is None or threat.knowledge == "white-box" else share.queries * len(rows)
        ledger = Ledger(budget)
        attacked.append(len(rows))
        ledgers.append(ledger)
        if not len(rows):
            continue
        try:
            raw = attack.run(view(target, threat.knowledge, ledger), x[rows], y[rows], share, rng)
        except BudgetSpent as error:
            if error.where != "threat":
                raise
            faults.append(f"{title(attack)} asked for more than its {budget} queries and was stopped")
            continue
        found, stray = _settled(raw, x[rows], threat, target.spec.bounds)
        strays += stray
        broken = errs(answers(target, found), y[rows], threat)
        stage[rows[broken]] = index + 1
        best[rows[broken]] = found[broken]
    queries, gradients = (tuple(getattr(row, kind) for row in ledgers) for kind in ("queries", "gradients"))
    return Assault(stage, best, tuple(attacked), queries, gradients, strays, tuple(faults))


def answers(target: Target, x: torch.Tensor, batch: int = 256) -> torch.Tensor:
    """Ask the target itself, in float32 and in batches of our own: scores (n, classes), not the attacker's queries."""
    parts = [target.predict(part.to(torch.float32)) for part in torch.split(x, batch)] if len(x) else []
    return torch.cat(parts) if parts else torch.zeros(0, target.spec.classes)


def _share(threat: Threat, attacks: int) -> Threat:
    assert threat.queries is not None
    return msgspec.structs.replace(threat, queries=threat.queries // max(1, attacks))


def _settled(
    raw: torch.Tensor, x: torch.Tensor, threat: Threat, bounds: tuple[float, float]
) -> tuple[torch.Tensor, int]:
    """Put what an attack returned into the threat's set; also count what was outside or no number."""
    if raw.shape != x.shape:
        return x, len(x)
    candidate = raw.detach().to(x)
    finite = candidate.isfinite().flatten(1).all(1)
    candidate = torch.where(finite.reshape(-1, *[1] * (x.ndim - 1)), candidate, x)
    inside = allowed(threat, x, bounds)
    outside = ~finite | ~inside.contains(candidate)
    return inside.project(candidate), int(outside.sum())
