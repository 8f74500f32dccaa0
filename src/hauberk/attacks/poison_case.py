"""One attack by poison as its examiner sees it: what is attacked with what, and poison checked before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from msgspec import structs

from hauberk.attacks.poison_rows import allowed
from hauberk.attacks.poison_training import train_all, train_last
from hauberk.attacks.recording import Recorder, Samples, generator
from hauberk.core.errors import MeasurementError
from hauberk.core.poisoning import AimingAttack, CraftingAttack, Poisoned, Poisoning, PoisoningAttack, Retraining
from hauberk.core.protocols import Progress, Target, Trainable
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import Threat
from hauberk.numeric.balls import region

ALONG = "poison rate"
POISON, TRAINING, SURROGATE, CHOICE = 1, 2, 3, 4
"""Stages of the random source."""


@dataclass(frozen=True, slots=True)
class Case:
    """An attack by poison. rates: more poison rates for the curve. goal: the class the attacker wants."""

    target: Target
    spec: DatasetSpec
    train: Samples
    test: Samples
    attack: Poisoning
    threat: Threat
    rates: tuple[float, ...]
    goal: int
    to: Recorder
    progress: Progress

    @property
    def last(self) -> bool:
        """Whether the victim retrains its last layer alone."""
        return isinstance(self.attack, Retraining) and self.attack.retrains == "last"

    @property
    def setting(self) -> str:
        """Say how the victims are trained."""
        return "its last layer retrained on the features it has" if self.last else "trained anew"

    def threats(self) -> tuple[Threat, ...]:
        """Return the threat, then the same attacker at the curve's other rates."""
        more = sorted(set(self.rates) - {self.threat.poison_rate, 0.0})
        return (self.threat, *(structs.replace(self.threat, poison_rate=rate) for rate in more))

    def surrogate(self) -> Target:
        """Return the attacker's own model: the target itself where its features stay, else one trained as it is."""
        if self.last or not isinstance(self.attack, CraftingAttack | AimingAttack):
            return self.target
        rng = generator(self.to.seed, SURROGATE)
        with self.progress.step("the attacker's own model", 1, "models") as step:
            found = cast(Trainable, self.target).refit(self.train.x, self.train.y, rng)
            step.advance()
        return found

    def plant(self, surrogate: Target, threat: Threat, chosen: torch.Tensor | None = None) -> Poisoned:
        """Have the attack poison the training rows, and check what it gives; raises MeasurementError, DataError."""
        rng, attack = generator(self.to.seed, POISON), self.attack
        x, y, bounds = self.train.x, self.train.y, self.target.spec.bounds
        if chosen is not None:
            found = cast(AimingAttack, attack).aim(surrogate, x, y, chosen, threat, rng)
        elif isinstance(attack, CraftingAttack):
            found = attack.craft(surrogate, x, y, threat, rng)
        else:
            found = cast(PoisoningAttack, attack).poison(x, y, bounds, threat, rng)
        fault = self._fault(found, threat)
        if fault:
            raise MeasurementError(f"{self.to.recipe} {fault}", fix="mend the attack; nothing was measured with it")
        return found

    def victims(self, sets: Sequence[Poisoned]) -> list[Target]:
        """Train a victim on each set, all from the same start."""
        seed = generator(self.to.seed, TRAINING).initial_seed()
        if self.last:
            return train_last(self.target, *self.train, sets, seed, self.progress)
        return train_all(self.target, sets, seed, self.progress)

    def _fault(self, found: Poisoned, threat: Threat) -> str:
        """Say what the attack did that its threat does not allow; empty where it kept to it."""
        x, y = self.train
        if found.x.shape != x.shape or found.y.shape != y.shape:
            return f"gave {tuple(found.x.shape)} inputs for {tuple(x.shape)}"
        rows = torch.unique(found.rows)
        kept = torch.ones(len(y), dtype=torch.bool)
        kept[rows] = False
        if len(rows) > allowed(threat, len(y)):
            return f"changed {len(rows)} rows, {allowed(threat, len(y))} are allowed"
        if not (torch.equal(found.x[kept], x[kept]) and torch.equal(found.y[kept], y[kept])):
            return "changed rows it does not name"
        if not len(rows):
            return ""
        low, high = self.target.spec.bounds
        changed = found.x[rows]
        edge = 1e-5 * max(1.0, abs(low), abs(high))
        if (
            not bool(torch.isfinite(changed).all())
            or float(changed.min()) < low - edge
            or float(changed.max()) > high + edge
        ):
            return f"left the input bounds {low:g} to {high:g}"
        labels = found.y[rows]
        if int(labels.min()) < 0 or int(labels.max()) >= len(self.spec.classes):
            return "gave labels the data does not have"
        ball = threat.ball
        if ball is not None and not bool(region(ball, x[rows], self.target.spec.bounds).contains(changed).all()):
            return f"left the threat's {ball.norm} ball of {ball.radius:g}"
        return ""
