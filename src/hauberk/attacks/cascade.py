"""Attacks from cheap to dear, each on the samples that withstood the ones before; every break is confirmed by us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, cast

import msgspec
import torch

from hauberk.attacks.allowed import Allowed, allowed
from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.recording import recipe_of
from hauberk.core.errors import BudgetSpent
from hauberk.core.evidence import Scalar
from hauberk.core.plugins import build, knobs, plain, settings_of
from hauberk.core.protocols import Claiming, EvasionAttack, PosingAttack, Power, Target, powers
from hauberk.core.schema import Layout
from hauberk.core.threat import Kind, Knowledge, Threat
from hauberk.numeric.composites import completed

Profile: TypeAlias = Literal["quick", "standard", "full"]
Route: TypeAlias = Literal[
    "white-box",
    "score",
    "decision",
    "table",
    "table-gradients",
    "table-trees",
    "trees",
    "patch",
    "patch-score",
    "patch-decision",
    "transform",
    "composite",
    "text",
    "text-score",
]
Stages: TypeAlias = tuple[tuple[str, dict[str, Scalar]], ...]

CASCADES: dict[Profile, dict[Route, Stages]] = {
    "quick": {
        "white-box": (
            ("evasion.pgd", {"steps": 10, "pace": 0.25}),
            ("evasion.apgd", {"loss": "ce+margin", "steps": 100}),
            ("evasion.acg", {}),
            ("evasion.sigma_zero", {}),
        ),
        "score": (("evasion.square", {}), ("evasion.sparse_rs", {})),
        "decision": (("evasion.rays", {}), ("evasion.hop_skip_jump", {}), ("evasion.pointwise", {})),
        "table": (("evasion.constrained_search", {}),),
        "table-gradients": (("evasion.projected_rows", {}), ("evasion.constrained_search", {})),
        "table-trees": (
            ("evasion.tree_coordinates", {"restarts": 1, "beam": 4}),
            ("evasion.constrained_search", {"queries": 500}),
        ),
        "trees": (("evasion.tree_coordinates", {"restarts": 1, "beam": 4}),),
        "patch": (("evasion.patch", {}), ("evasion.patch_rs", {"queries": 500})),
        "patch-score": (("evasion.patch_rs", {}),),
        "patch-decision": (("evasion.graphite", {}),),
        "transform": (("evasion.transform", {}),),
        "composite": (("evasion.composite", {}),),
        "text": (("evasion.hotflip", {}),),
        "text-score": (("evasion.text_substitution", {}),),
    },
    "standard": {
        "white-box": (
            ("evasion.fgsm", {}),
            ("evasion.apgd", {"loss": "ce+margin", "steps": 200}),
            ("evasion.apgd", {"loss": "dlr-targets", "targets": 3, "steps": 100}),
            ("evasion.acg", {}),
            ("evasion.sigma_zero", {"steps": 300}),
            ("evasion.square", {"queries": 1000}),
            ("evasion.sparse_rs", {"queries": 1000}),
        ),
        "score": (("evasion.square", {"queries": 5000}), ("evasion.sparse_rs", {"queries": 5000})),
        "decision": (
            ("evasion.rays", {"queries": 5000}),
            ("evasion.hop_skip_jump", {"queries": 5000}),
            ("evasion.pointwise", {"queries": 5000}),
        ),
        "table": (("evasion.constrained_search", {"queries": 2000}),),
        "table-gradients": (
            ("evasion.projected_rows", {"steps": 100}),
            ("evasion.constrained_search", {"queries": 2000}),
        ),
        "table-trees": (("evasion.tree_coordinates", {}), ("evasion.constrained_search", {})),
        "trees": (("evasion.tree_coordinates", {}),),
        "patch": (("evasion.patch", {"restarts": 12}), ("evasion.patch_rs", {})),
        "patch-score": (("evasion.patch_rs", {"queries": 5000}),),
        "patch-decision": (("evasion.graphite", {"queries": 5000}),),
        "transform": (("evasion.spatial", {}), ("evasion.semantic", {}), ("evasion.transform", {"queries": 1000})),
        "composite": (("evasion.transform", {}), ("evasion.composite", {"queries": 1000, "starts": 5})),
        "text": (("evasion.hotflip", {"candidates": 64}), ("evasion.text_substitution", {})),
        "text-score": (("evasion.text_substitution", {"queries": 5000}),),
    },
    "full": {
        "white-box": (
            ("evasion.pgd", {"steps": 10, "pace": 0.25}),
            ("evasion.apgd", {"loss": "ce+margin", "steps": 200}),
            ("evasion.apgd", {"loss": "margin", "steps": 100}),
            ("evasion.acg", {}),
            ("evasion.apgd", {"loss": "dlr-targets", "targets": 9, "steps": 50}),
            ("evasion.fab", {"steps": 10}),
            ("evasion.sigma_zero", {"steps": 1000}),
            ("evasion.square", {"queries": 4000}),
            ("evasion.sparse_rs", {"queries": 5000}),
        ),
        "score": (("evasion.square", {"queries": 10000}), ("evasion.sparse_rs", {"queries": 10000})),
        "decision": (
            ("evasion.rays", {"queries": 20000}),
            ("evasion.hop_skip_jump", {"queries": 20000}),
            ("evasion.pointwise", {"queries": 20000}),
        ),
        "table": (("evasion.constrained_search", {"queries": 5000}),),
        "table-gradients": (
            ("evasion.projected_rows", {"steps": 200, "restarts": 8}),
            ("evasion.constrained_search", {"queries": 5000}),
        ),
        "table-trees": (
            ("evasion.tree_coordinates", {"restarts": 16, "beam": 16}),
            ("evasion.constrained_search", {"queries": 5000}),
        ),
        "trees": (("evasion.tree_coordinates", {"restarts": 16, "beam": 16}),),
        "patch": (("evasion.patch", {"restarts": 24}), ("evasion.patch_rs", {"queries": 5000})),
        "patch-score": (("evasion.patch_rs", {"queries": 20000}),),
        "patch-decision": (("evasion.graphite", {"queries": 20000}),),
        "transform": (("evasion.spatial", {}), ("evasion.semantic", {}), ("evasion.transform", {"queries": 5000})),
        "composite": (("evasion.transform", {"queries": 1000}), ("evasion.composite", {"queries": 5000, "starts": 10})),
        "text": (("evasion.hotflip", {"candidates": 256}), ("evasion.text_substitution", {"queries": 5000})),
        "text-score": (("evasion.text_substitution", {"queries": 20000}),),
    },
}
"""What a threat without `attacks` is attacked with; an attack for another norm than the threat's is passed over.
Half cross-entropy and half margin is the strongest use of 100 gradients (measured, docs/decisions/011); a threat's own
query budget goes before a stage's. In "full" fresh starts and a long random search come before long
runs towards each class: on 300 digits and a small net 100 steps a class broke at most one sample more than 50, and FAB
after them none, while Square still broke one."""

WEAKER: dict[Knowledge, tuple[Route, ...]] = {
    "white-box": ("white-box", "score", "decision"),
    "score": ("score", "decision"),
    "decision": ("decision",),
}
"""Who knows much can do what who knows less does: where a target lacks a power, the next route is taken."""

SETS: dict[Kind, str] = {
    "ball": "a norm ball",
    "constraints": "a table's constraints",
    "patch": "a patch",
    "transform": "transformations",
}

NEEDS_WORDS: dict[Power, str] = {
    "scores": "scores (it answers with labels only, or the threat sees labels only)",
    "gradients": "gradients",
    "module": "a torch module",
    "refit": "retraining",
    "trees": "trees that can be read (numeric splits of a known library)",
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
    routes = _routes(threat, layout, seen)
    lacking: list[Lacking] = []
    for route in routes:
        found = _sorted(_built(CASCADES[profile][route], threat), threat, layout, seen)
        lacking.extend(found.lacking)
        if found.attacks:
            return Cascade(found.attacks, tuple(lacking))
    return Cascade((), tuple(lacking))


def _routes(threat: Threat, layout: Layout, seen: frozenset[Power]) -> tuple[Route, ...]:
    if layout == "tokens":
        return ("text", "text-score") if threat.knowledge == "white-box" else ("text-score",)
    if threat.kind == "patch":
        every: tuple[Route, ...] = ("patch", "patch-score", "patch-decision")
        return every[("white-box", "score", "decision").index(threat.knowledge) :]
    if threat.transform is not None:
        return ("composite",) if threat.transform.noise and "gradients" in seen else ("transform",)
    if threat.kind == "constraints":
        best: tuple[Route, ...] = ("table-trees",) if "trees" in seen else ()
        return (*best, *(("table-gradients",) if "gradients" in seen else ()), "table")
    return ("trees",) if layout == "row" and "trees" in seen else WEAKER[threat.knowledge]


def title(attack: EvasionAttack) -> str:
    """Name an attack and the settings it does not have by default, such as "evasion.apgd (loss=dlr)"."""
    usual = {knob.name: plain(knob.default) for knob in knobs(type(attack))}
    rows = [f"{row.name}={row.value}" for row in settings_of(attack) if row.value != usual.get(row.name)]
    return recipe_of(attack) + (f" ({', '.join(rows)})" if rows else "")


def _built(stages: Stages, threat: Threat) -> tuple[EvasionAttack, ...]:
    """Make a route's attacks, without those that another norm is for; where none is left all are made, to say why."""
    made = tuple(cast(EvasionAttack, build("attacks", name, settings)) for name, settings in stages)
    if threat.kind != "ball" or threat.ball is None:
        return made
    return tuple(attack for attack in made if threat.ball.norm in attack.card.norms) or made


def _sorted(attacks: tuple[EvasionAttack, ...], threat: Threat, layout: Layout, seen: frozenset[Power]) -> Cascade:
    found = [(attack, _obstacle(attack, threat, layout, seen)) for attack in attacks]
    fit = tuple(attack for attack, obstacle in found if obstacle is None)
    return Cascade(fit, tuple(obstacle for _, obstacle in found if obstacle is not None))


def _obstacle(attack: EvasionAttack, threat: Threat, layout: Layout, seen: frozenset[Power]) -> Lacking | None:
    card, name = attack.card, title(attack)
    kinds = (*card.sets, *(("ball",) if card.norms else () if card.sets else ("constraints",)))
    if (threat.kind or "ball") not in kinds:
        return Lacking(name, f"does not work in {SETS[threat.kind or 'ball']}", "scope")
    if threat.kind == "ball" and threat.ball is not None and threat.ball.norm not in card.norms:
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
    faults: attacks that broke their budget, and how. claimed: per attack, samples it called broken itself; -1 where it
    says nothing of it.
    """

    stage: torch.Tensor
    x: torch.Tensor
    attacked: tuple[int, ...]
    queries: tuple[int, ...]
    gradients: tuple[int, ...]
    strays: int = 0
    faults: tuple[str, ...] = ()
    claimed: tuple[int, ...] = ()


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
    claimed = [-1] * len(attacks)
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
            raw, said = _asked(attack, view(target, threat.knowledge, ledger), x[rows], y[rows], share, rng)
        except BudgetSpent as error:
            if error.where != "threat":
                raise
            faults.append(f"{title(attack)} asked for more than its {budget} queries and was stopped")
            continue
        found, stray = settled(raw, allowed(threat, x[rows], target.spec.bounds))
        strays += stray
        claimed[index] = -1 if said is None else int(said.sum())
        broken = errs(answers(target, found), y[rows], threat)
        stage[rows[broken]] = index + 1
        best[rows[broken]] = found[broken]
    queries, gradients = (tuple(getattr(row, kind) for row in ledgers) for kind in ("queries", "gradients"))
    return Assault(stage, best, tuple(attacked), queries, gradients, strays, tuple(faults), tuple(claimed))


def answers(target: Target, x: torch.Tensor, batch: int = 256) -> torch.Tensor:
    """Ask the target itself, in float32 and in batches of our own: scores (n, classes), not the attacker's queries."""
    parts = [target.predict(part.to(torch.float32)) for part in torch.split(x, batch)] if len(x) else []
    return torch.cat(parts) if parts else torch.zeros(0, target.spec.classes)


def _share(threat: Threat, attacks: int) -> Threat:
    assert threat.queries is not None
    return msgspec.structs.replace(threat, queries=threat.queries // max(1, attacks))


def _asked(
    attack: EvasionAttack, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Run an attack; also return which samples (n,) it calls broken, where it is one that says so."""
    if isinstance(attack, Claiming):
        return attack.claim(target, x, y, threat, rng)
    return candidates(attack, target, x, y, threat, rng), None


def candidates(
    attack: EvasionAttack, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
) -> torch.Tensor:
    """Run an attack: inputs (n, *shape), or poses (n, k) where a transformation is all that is allowed."""
    if threat.kind == "transform" and isinstance(attack, PosingAttack):
        pose = attack.parameters(target, x, y, threat, rng)
        return completed(pose, x) if threat.transform is not None and threat.transform.noise else pose
    return attack.run(target, x, y, threat, rng)


def settled(raw: torch.Tensor, where: Allowed) -> tuple[torch.Tensor, int]:
    """Put what an attack returned into the threat's set; also count what was outside or no number."""
    still = where.center
    if raw.shape != still.shape:
        return where.project(still), len(still)
    candidate = raw.detach().to(still)
    finite = candidate.isfinite().flatten(1).all(1)
    candidate = torch.where(finite.reshape(-1, *[1] * (still.ndim - 1)), candidate, still)
    outside = ~finite | ~where.contains(candidate)
    return where.project(candidate), int(outside.sum())
