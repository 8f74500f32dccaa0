"""The engine of defenses: measure, harden, measure again by more than it was trained on, and say what changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from typing import TypeAlias

import msgspec
import safetensors.torch
import torch

from hauberk.core.errors import MeasurementError, MissingPower
from hauberk.core.evidence import Entry, Indicator, Measurement, Provenance, Skipped
from hauberk.core.plugins import settings_of
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, Defense, EvasionAttack, Modular, Progress, Target, powers
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.defenses.costs import costs
from hauberk.defenses.private_defense import PrivateDefense
from hauberk.defenses.private_spending import NoPurse, Purse, spend
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_evidence import of_log
from hauberk.defenses.training_log import Interrupted as Interrupted
from hauberk.defenses.training_plan import Keeper, Teaching
from hauberk.defenses.training_task import Task
from hauberk.defenses.training_together import train_together
from hauberk.numeric.difference import difference
from hauberk.numeric.intervals import Interval

Examine: TypeAlias = Callable[[Target], Iterable[Entry]]


def harden(
    target: Target,
    data: Dataset,
    defense: Defense,
    attack: EvasionAttack,
    threat: Threat,
    *,
    evaluate: Examine,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    keeper: Keeper | None = None,
    strength: Indicator | None = None,
    purse: Purse | None = None,
) -> Generator[Entry, None, Target | None]:
    """Apply the defense with the training split only; the generator returns the hardened target.

    Yields `evaluate`'s evidence on the target as it was (its headlines as diagnostics, since a policy judges the
    result), then what training did, then evidence on the hardened target, the change of each headline as
    "<name>_change" with an interval, and what it costs to run.
    strength: says of the examination that it does more than the defense was trained on; it stands on every change.
    purse: who keeps account of what a private defense spends. keeper: of a training defense's checkpoints.
    A defense that cannot be applied becomes a Skipped, and the result None. Ctrl-C raises Interrupted once there is
    something to keep.
    """
    recipe = f"defenses.{_name(defense)}"
    provenance = stamp.of(recipe, settings_of(defense), seed)
    subject = f"{recipe} under {threat.name}"
    missing = sorted(set(defense.card.needs) - powers(target))
    if missing:
        reason = f"{target.spec.name} cannot give {', '.join(missing)}"
        yield Skipped(subject=subject, reason=reason, provenance=provenance, kind="power")
        return None
    if not len(data.train.y):
        reason = "there are no training samples to harden with"
        yield Skipped(subject=subject, reason=reason, provenance=provenance, fix="name the training data")
        return None
    before, after = [], []
    for entry in evaluate(target):
        before.append(entry)
        yield _before(entry)
    rng, task = torch.Generator().manual_seed(seed), Task(target, data.train, threat, attack)
    try:
        hardened = yield from _applied(defense, task, rng, provenance, subject, progress or Silent(), keeper, purse)
    except MeasurementError as error:
        yield _failed(error, subject, provenance)
        return None
    for entry in evaluate(hardened):
        after.append(entry)
        yield entry
    for old, new in _pairs(before, after):
        yield _change(old, new, provenance, strength)
    yield from costs(target, hardened, data.train, provenance)
    return hardened


def _applied(
    defense: Defense,
    task: Task,
    rng: torch.Generator,
    provenance: Provenance,
    subject: str,
    progress: Progress,
    keeper: Keeper | None,
    purse: Purse | None,
) -> Generator[Entry, None, Target]:
    """Harden, by the driver of its kind; yields what is to be said of how."""
    if isinstance(defense, Teaching):
        workers = defense.training.workers
        if workers > 1:
            trained = train_together(defense, task, rng.initial_seed(), workers, progress=progress, keeper=keeper)
        else:
            trained = train(defense, task, rng, progress=progress, keeper=keeper)
        yield from of_log(trained.log, trained.target.spec.name, subject, task.threat, provenance)
        return trained.target
    if isinstance(defense, PrivateDefense):
        wallet = purse or NoPurse(provenance, task.target.spec.name)
        return (yield from spend(defense, task.target, task.data, rng, wallet, progress))
    return defense.apply(task.target, task.data, task.threat, rng, attack=task.attack, progress=progress)


def _failed(error: MeasurementError, subject: str, provenance: Provenance) -> Skipped:
    return Skipped(
        subject=subject,
        reason=f"{error.where}: {error.what}" if error.where else error.what,
        provenance=provenance,
        kind="power" if isinstance(error, MissingPower) else "error",
        fix=error.fix,
    )


def weights(target: Modular, names: Collection[str] = ()) -> bytes:
    """Return the target's weights as a safetensors file: data only, nothing to execute.

    names: the tensors the file must hold, such as those of the file the model was loaded from. They are looked for in
    the network inside the target's preprocessing, so that the new file takes the place of the old one. Without names,
    or where no part of the module has them all, the whole module is kept, preprocessing included.
    """
    state = _state(target.module(), frozenset(names))
    # Tied weights share memory, which the format refuses; a copy of each is what it can hold.
    return safetensors.torch.save({name: value.detach().cpu().clone().contiguous() for name, value in state.items()})


def _state(module: torch.nn.Module, names: frozenset[str]) -> dict[str, torch.Tensor]:
    for part in module.modules() if names else ():
        state: dict[str, torch.Tensor] = part.state_dict()
        if names <= state.keys():
            return {name: state[name] for name in sorted(names)}
    return module.state_dict()


def _name(defense: Defense) -> str:
    kind = type(defense)
    return kind.__module__.partition("hauberk.defenses.")[2] or kind.__qualname__


def _before(entry: Entry) -> Entry:
    if not isinstance(entry, Measurement) or entry.role != "headline":
        return entry
    note = f"before hardening; {entry.note}" if entry.note else "before hardening"
    return msgspec.structs.replace(entry, role="diagnostic", note=note)


def _pairs(before: Iterable[Entry], after: Iterable[Entry]) -> Iterator[tuple[Measurement, Measurement]]:
    old = {_key(entry): entry for entry in before if isinstance(entry, Measurement) and entry.role == "headline"}
    for entry in after:
        if isinstance(entry, Measurement) and entry.role == "headline" and _key(entry) in old:
            yield old[_key(entry)], entry


def _key(entry: Measurement) -> tuple[str, str, str, float | None, str]:
    return entry.name, entry.threat, entry.norm, entry.radius, entry.provenance.recipe


def _change(old: Measurement, new: Measurement, provenance: Provenance, strength: Indicator | None) -> Measurement:
    parts = [Interval(entry.value, entry.low, entry.high) for entry in (new, old)]
    gap = difference(*parts)
    return msgspec.structs.replace(
        new,
        name=f"{new.name}_change",
        value=gap.value,
        low=gap.low,
        high=gap.high,
        level=min(old.level, new.level),
        method="mover",
        n=min(old.n, new.n),
        provenance=provenance,
        role="diagnostic",
        indicators=(strength,) if strength else (),
        note=f"from {old.value:.3f} to {new.value:.3f}; wider than a paired comparison on the same samples would be",
    )
