"""Adversarial training: go on training on the worst inputs the attack finds within the threat's ball."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, cast

import msgspec
import numpy as np
import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower, TargetError, UsageError
from hauberk.core.protocols import EvasionAttack, Modular, Progress, Split, Target, TargetSpec
from hauberk.core.threat import Threat
from hauberk.defenses.engine import Interrupted

HELD_OUT_MOST = 1000
"""Held-out samples beyond which a better estimate would not change which epoch is best."""
CLIP = 1.0
"""Largest norm of a step's gradient: the first adversarial batches of a fragile model have enormous ones."""


class Labelled(NamedTuple):
    """Inputs x (n, *shape) and labels y (n,) as tensors."""

    x: torch.Tensor
    y: torch.Tensor

    def take(self, rows: torch.Tensor) -> Labelled:
        """Return these rows."""
        return Labelled(self.x[rows], self.y[rows])

    def split(self, size: int = 256) -> Iterator[Labelled]:
        """Return it in parts of at most `size`."""
        cuts = (slice(start, start + size) for start in range(0, len(self.y), size))
        return (Labelled(self.x[cut], self.y[cut]) for cut in cuts)


class Accuracy(NamedTuple):
    """Shares of held-out samples classified rightly under attack, and without; ordered by the first."""

    robust: float
    clean: float


@dataclass(frozen=True, slots=True)
class AdversarialTraining:
    """Minimise the loss on adversarial instead of clean inputs.

    Madry et al. 2018, arXiv:1706.06083, §2. The state with the best robust accuracy on a held-out part of the training
    data is kept, since robust accuracy falls again with longer training (Rice et al. 2020, arXiv:2002.11569, §3).

    epochs: passes over the data. batch: samples a step. learning_rate: of Adam at its peak; it rises for the first
    tenth of the steps and falls along a cosine. weight_decay: decoupled, on matrices only.
    warm: start from the target's own weights, else from fresh ones. steps: of the attack while training, where it has
    such a setting (Madry et al. use 7); held-out accuracy is measured with the attack as it was given.
    ramp: share of training during which the radius grows from 0 to the threat's; a fragile model asked for all at
    once may collapse to one class. held_out: share of samples kept to choose the best epoch.
    patience: epochs without improvement, after the ramp, that end training; 0 for never.
    """

    card: ClassVar[Card] = Card(
        title="Adversarial training",
        summary="Trains on attacked inputs; the most reliable defence against evasion, at some cost in clean accuracy.",
        paper="Madry et al. 2018, arXiv:1706.06083; early stopping: Rice et al. 2020, arXiv:2002.11569",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    epochs: int = 15
    batch: int = 64
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    warm: bool = True
    steps: int = 7
    ramp: float = 0.3
    held_out: float = 0.1
    patience: int = 6

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,
        rng: torch.Generator,
        *,
        attack: EvasionAttack,
        progress: Progress,
    ) -> Target:
        """Return a target like this one, trained on adversarial inputs; progress tells the held-out robust accuracy.

        Ctrl-C raises `Interrupted`, which carries the best target so far. Raises MissingPower for a target without a
        module, UsageError for a threat without a ball or too few samples, TargetError where the loss diverges.
        """
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        if threat.ball is None:
            raise UsageError(f"{threat.name} has no ball to train in", fix="set norm and radius")
        whole = Labelled(torch.from_numpy(np.array(data.x)), torch.from_numpy(np.array(data.y)))
        order = torch.randperm(len(whole.y), generator=rng)
        held = order[: min(HELD_OUT_MOST, math.ceil(self.held_out * len(whole.y)))]
        rest = order[len(held) :]
        if not len(rest) or not len(held):
            raise UsageError(
                f"{len(whole.y)} samples are too few to train on and to hold some out", fix="give more data"
            )
        target.predict(whole.x[:2])  # a target in memory learns its shape and classes from its first answer
        course = _Course(target, attack, threat, rng, self)
        # Dropout and fresh weights draw from torch's global stream: fork it, so that one seed gives one model and the
        # caller's stream stays where it was.
        with torch.random.fork_rng(devices=[]):
            torch.random.manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
            try:
                course.run(whole.take(rest), whole.take(held), progress)
            except KeyboardInterrupt as interrupt:
                raise Interrupted(course.result()) from interrupt
        return course.result()


class _Now:
    """The module as it is at this moment, as the attack sees it: evaluation mode, no gradient for parameters."""

    def __init__(self, module: torch.nn.Module, spec: TargetSpec) -> None:
        self._module, self.spec = module, spec

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._module(x)
        return logits

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.forward(x)


class _Course:
    """One training run: the module being trained and the best state so far."""

    def __init__(
        self, target: Modular, attack: EvasionAttack, threat: Threat, rng: torch.Generator, plan: AdversarialTraining
    ) -> None:
        self._target, self._attack, self._threat, self._rng, self._plan = target, attack, threat, rng, plan
        self._module = target.module()
        self._spec = msgspec.structs.replace(target.spec, answers="logits")
        self._trained = [parameter for parameter in self._module.parameters() if parameter.requires_grad]
        if not self._trained:
            raise MissingPower(f"{target.spec.name} has no trainable parameters", fix="give a model with weights")
        self._best, self._kept = Accuracy(-1.0, -1.0), copy.deepcopy(self._module.state_dict())

    def result(self) -> Target:
        """Return the best state as a target of its own."""
        module = self._target.module()
        module.load_state_dict(self._kept)
        return self._target.rebuild(module.eval(), f"{self._target.spec.name} + adversarial training")

    def run(self, data: Labelled, held: Labelled, progress: Progress) -> None:
        """Train, keeping the best state."""
        plan = self._plan
        if plan.warm:
            self._keep(held)
        else:
            _start_afresh(self._module)
        batches = math.ceil(len(data.y) / plan.batch)
        optimizer, schedule = self._optimizer(plan.epochs * batches)
        inner, stale = _quick(self._attack, plan.steps), 0
        with progress.step("adversarial training", plan.epochs, "epochs") as step:
            for epoch in range(plan.epochs):
                shuffled = data.take(torch.randperm(len(data.y), generator=self._rng))
                for index, batch in enumerate(shuffled.split(plan.batch)):
                    done = (epoch * batches + index + 1) / (plan.epochs * batches)
                    radius = self._radius * min(1.0, done / plan.ramp if plan.ramp > 0 else 1.0)
                    self._descend(batch, self._threat.radius(radius), inner, optimizer)
                    schedule.step()
                better, accuracy = self._keep(held)
                stale = 0 if better or epoch < plan.ramp * plan.epochs else stale + 1
                step.advance(note=f"robust {accuracy.robust:.0%}")
                if plan.patience and stale >= plan.patience:
                    return

    @property
    def _radius(self) -> float:
        assert self._threat.ball is not None
        return self._threat.ball.radius

    def _descend(
        self, batch: Labelled, threat: Threat, attack: EvasionAttack, optimizer: torch.optim.Optimizer
    ) -> None:
        if len(batch.y) < 2:  # batch normalisation has no variance of one sample
            return
        x = self._attacked(attack, batch, threat)
        self._module.train()
        loss = cross_entropy(self._module(x), batch.y)
        if not bool(loss.isfinite()):
            raise TargetError("the loss of adversarial training is not a number", fix="set a lower learning_rate")
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._trained, CLIP)
        optimizer.step()

    def _attacked(self, attack: EvasionAttack, batch: Labelled, threat: Threat) -> torch.Tensor:
        """Attack the module in evaluation mode, so that its running statistics see training batches only."""
        self._module.eval()
        for parameter in self._trained:
            parameter.requires_grad_(False)
        try:
            return attack.run(_Now(self._module, self._spec), batch.x, batch.y, threat, self._rng).detach()
        finally:
            for parameter in self._trained:
                parameter.requires_grad_(True)

    def _keep(self, held: Labelled) -> tuple[bool, Accuracy]:
        """Measure the present state and keep it if it is the best so far."""
        now = _Now(self._module, self._spec)
        right = [self._right(now, self._attacked(self._attack, part, self._threat), part) for part in held.split()]
        clean = [self._right(now, part.x, part) for part in held.split()]
        # A sample that is wrong without attack is not robust, whatever the attack made of it.
        robust = torch.cat([first & second for first, second in zip(right, clean, strict=True)])
        accuracy = Accuracy(float(robust.double().mean()), float(torch.cat(clean).double().mean()))
        better = accuracy > self._best
        if better:
            self._best, self._kept = accuracy, copy.deepcopy(self._module.state_dict())
        return better, accuracy

    @staticmethod
    def _right(now: _Now, x: torch.Tensor, part: Labelled) -> torch.Tensor:
        return now.predict(x).argmax(1) == part.y

    def _optimizer(self, total: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        decayed = [parameter for parameter in self._trained if parameter.ndim > 1]
        plain = [parameter for parameter in self._trained if parameter.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self._plan.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=self._plan.learning_rate)
        rise = max(1, total // 10)

        def share(step: int) -> float:
            """Rise for a tenth of the steps, then fall along a half cosine."""
            if step < rise:
                return (step + 1) / rise
            return (1 + math.cos(math.pi * (step - rise) / max(1, total - rise))) / 2

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return optimizer, schedule


def _quick(attack: EvasionAttack, steps: int) -> EvasionAttack:
    """Return the attack as training wants it, where it has such settings: few steps, one start, strongest points.

    Fewer steps must be longer (2.5 radii in all, Madry et al., §5); and a search that stops at a sample's first break
    would train on points just over the border, which leaves the rest of the ball unguarded.
    """
    plain: object = attack
    if not dataclasses.is_dataclass(plain) or isinstance(plain, type):
        return attack
    held = {field.name: getattr(attack, field.name) for field in dataclasses.fields(plain)}
    wanted: dict[str, object] = {}
    if held.get("steps", 0) > steps:
        wanted["steps"] = steps
        if "pace" in held:
            wanted["pace"] = max(held["pace"], 2.5 / steps)
    if held.get("restarts", 1) > 1:
        wanted["restarts"] = 1
    driving = held.get("driving")
    if dataclasses.is_dataclass(driving) and not isinstance(driving, type) and hasattr(driving, "early_stop"):
        wanted["driving"] = dataclasses.replace(driving, early_stop=False)
    return cast(EvasionAttack, dataclasses.replace(plain, **wanted))


def _start_afresh(module: torch.nn.Module) -> None:
    """Draw new weights wherever a layer knows how."""
    for layer in module.modules():
        if callable(reset := getattr(layer, "reset_parameters", None)):
            reset()
