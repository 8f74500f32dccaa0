"""Peer: run an attack of another library on the target, and hand back what it found to be checked again."""

from __future__ import annotations

import importlib
import inspect
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import msgspec
import numpy as np
import torch
from torch import nn

from hauberk.core.card import Card
from hauberk.core.errors import MeasurementError, UnknownName, UsageError, nearest
from hauberk.core.protocols import Claim, Differentiable, Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import region

Tensor = torch.Tensor
Library: TypeAlias = Literal["art", "foolbox", "cleverhans", "torchattacks", "adv_lib", "autoattack"]
Given: TypeAlias = Mapping[str, object]

PACKAGES: dict[Library, str] = {
    "art": "adversarial-robustness-toolbox",
    "foolbox": "foolbox",
    "cleverhans": "cleverhans",
    "torchattacks": "torchattacks",
    "adv_lib": "adv-lib",
    "autoattack": "git+https://github.com/fra31/auto-attack",
}
"""What pip installs for each."""

_ROUNDING = 1e-6
"""Share of a radius or range by which a peer that stays in its ball may seem to leave it."""

ORDERS = {"linf": math.inf, "l2": 2.0, "l1": 1.0, "l0": 0.0}
LETTERS = {"linf": "Linf", "l2": "L2", "l1": "L1", "l0": "L0"}


@dataclass(frozen=True, slots=True)
class Question:
    """What a peer is asked. model: inputs in `bounds` → logits. x: (n, *shape). y: (n,), right or wanted classes."""

    model: nn.Module
    x: Tensor
    y: Tensor
    classes: int
    bounds: tuple[float, float]
    norm: str
    radius: float | None
    targeted: bool

    def known(self, norms: Mapping[str, object]) -> Given:
        """Say what peers call what a threat fixes; norms: how this one writes them."""
        low, high = self.bounds
        named: dict[str, object] = {"targeted": self.targeted, "clip_min": low, "clip_max": high, "verbose": False}
        named |= {"n_classes": self.classes, "nb_classes": self.classes, "norm": norms[self.norm]}
        return named if self.radius is None else {**named, "eps": self.radius}


class _Model(nn.Module):
    """A target as the module peers expect: no parameter of the target can be reached through it.

    One without gradients answers all the same: a peer's black box needs no more.
    """

    def __init__(self, target: Target, device: torch.device) -> None:
        super().__init__()
        self._target = target
        self.anchor = nn.Parameter(torch.zeros(1, device=device))  # by which peers tell the device

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits, under autograd where the target can."""
        if isinstance(self._target, Differentiable):
            return self._target.forward(x)
        return self._target.predict(x)


@dataclass(frozen=True, slots=True)
class Peer:
    """An attack of another library.

    library: "art", "foolbox", "cleverhans", "torchattacks", "adv_lib" or "autoattack" (fra31); it must be installed.
    attack: its class or function there, such as "LinfPGD". settings: a JSON object of the arguments it takes;
    what the threat fixes (radius, norm, target, bounds) is passed under the names the libraries use, unless given.
    A number of queries is never passed: an attack that asks for more than the threat has is stopped.
    norm: "linf", "l2", "l1" or "l0", where the threat has no ball and the attack wants to know.
    """

    card: ClassVar[Card] = Card(
        title="Attack of another library",
        summary="Runs ART, Foolbox, CleverHans, torchattacks, adv-lib or AutoAttack; every claim is checked again.",
        paper="the library's own documentation",
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    library: Literal["art", "foolbox", "cleverhans", "torchattacks", "adv_lib", "autoattack"] = "foolbox"
    attack: str = "LinfPGD"
    settings: str = ""
    norm: Literal["linf", "l2", "l1", "l0"] = "linf"

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return what the peer returned, of x's shape; it may lie outside the ball."""
        return self.claim(target, x, y, threat, rng).x

    def claim(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Claim:
        """Return what the peer found and which samples it calls broken: by its own word, else by what it returned.

        Raises UsageError where the library is not installed, has no such attack or refuses its settings.
        """
        given = _given(self.settings)
        module = self._module()
        if not len(x):
            return Claim(x.clone(), y != y)
        wanted = threat.target_class is not None
        question = Question(
            model=_Model(target, x.device).eval(),
            x=x.detach().clone(),
            y=torch.full_like(y, threat.target_class) if threat.target_class is not None else y.clone(),
            classes=target.spec.classes,
            bounds=target.spec.bounds,
            norm=threat.ball.norm if threat.ball else self.norm,
            radius=threat.ball.radius if threat.ball else None,
            targeted=wanted,
        )
        with _own_chance(rng), torch.enable_grad():
            found, said = _called(lambda: ASK[self.library](module, self.attack, question, given), self.attack)
        found = found.detach().to(x).reshape(x.shape)
        if said is None:
            answer = target.predict(found.nan_to_num()).argmax(1)
            said = answer == question.y if wanted else answer != y
        return Claim(_rounded(found, x, threat, target.spec.bounds), said)

    def _module(self) -> object:
        """Import the library, only now."""
        name = "cleverhans.torch.attacks" if self.library == "cleverhans" else self.library
        try:
            return importlib.import_module({"art": "art.attacks.evasion", "adv_lib": "adv_lib.attacks"}.get(name, name))
        except ImportError as error:
            fix = f"pip install {PACKAGES[self.library]}"
            raise UsageError(f"{self.library} cannot be imported: {error}", where="evasion.peer", fix=fix) from error


def _rounded(found: Tensor, x: Tensor, threat: Threat, bounds: tuple[float, float]) -> Tensor:
    """Bring points that are outside the ball by float32 rounding alone back into it; the others stay as they are."""
    if threat.ball is None:
        return found
    where = region(threat.ball, x, bounds)
    low, high = bounds
    spare = _ROUNDING * (threat.ball.radius + high - low)
    near = (where.distance(found) <= threat.ball.radius + spare) & (
        (found >= low - spare) & (found <= high + spare)
    ).flatten(1).all(1)
    return torch.where(near.reshape(-1, *[1] * (x.ndim - 1)), where.project(found), found)


def _called(ask: Callable[[], tuple[Tensor, Tensor | None]], attack: str) -> tuple[Tensor, Tensor | None]:
    """Run a peer's code: settings it does not know are the user's fault, what it raises on the way is its own."""
    try:
        return ask()
    except TypeError as error:
        raise UsageError(f"{attack}: {error}", where="evasion.peer", fix="look at its arguments") from error
    except (RuntimeError, ValueError, AssertionError, NotImplementedError, IndexError, ImportError) as error:
        raise MeasurementError(f"{attack} raised {type(error).__name__}: {error}", where="evasion.peer") from error


def _given(settings: str) -> Given:
    if not settings:
        return {}
    try:
        return msgspec.json.decode(settings, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise UsageError(f"settings are no JSON object: {error}", where="evasion.peer", fix='{"steps": 40}') from error


def _member(module: object, name: str) -> Callable[..., object]:
    found = getattr(module, name, None)
    if name.startswith("_") or not callable(found):
        there = [key for key, value in vars(module).items() if not key.startswith("_") and callable(value)]
        raise UnknownName(f'{getattr(module, "__name__", "it")} has no attack "{name}"', fix=nearest(name, there))
    member: Callable[..., object] = found
    return member


def _arguments(member: Callable[..., object], known: Given, given: Given) -> dict[str, object]:
    """Offer what is known under the names a peer's signature has; what the user gives goes before it."""
    names = inspect.signature(member).parameters
    return {key: value for key, value in known.items() if key in names} | dict(given)


@contextmanager
def _own_chance(rng: torch.Generator) -> Iterator[None]:
    """Let a peer draw from the global sources, seeded by ours, and put them back as they were."""
    seed = int(torch.randint(2**31, (1,), generator=rng, device=rng.device))
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _tensor(value: object) -> Tensor:
    if isinstance(value, tuple):
        return _tensor(value[0])
    return value if isinstance(value, Tensor) else torch.from_numpy(np.asarray(value))


def _art(module: object, attack: str, ask: Question, given: Given) -> tuple[Tensor, Tensor | None]:
    kind = importlib.import_module("art.estimators.classification").PyTorchClassifier
    shape = tuple(ask.x.shape[1:])
    loss = nn.CrossEntropyLoss()
    device = "gpu" if ask.x.is_cuda else "cpu"
    classifier = kind(ask.model, loss, shape, ask.classes, clip_values=ask.bounds, device_type=device)
    member = _member(module, attack)
    made = member(classifier, **_arguments(member, ask.known(ORDERS), given))
    hot = nn.functional.one_hot(ask.y.cpu(), ask.classes).float().numpy()
    found = _member(made, "generate")(x=ask.x.cpu().numpy().astype(np.float32), y=hot)
    return _tensor(found), None


def _foolbox(module: object, attack: str, ask: Question, given: Given) -> tuple[Tensor, Tensor | None]:
    top = importlib.import_module("foolbox")
    model = top.PyTorchModel(ask.model, bounds=ask.bounds, device=ask.x.device)
    criterion = (top.criteria.TargetedMisclassification if ask.targeted else top.criteria.Misclassification)(ask.y)
    made = _member(getattr(module, "attacks", module), attack)(**given)
    assert callable(made)
    _, found, broken = made(model, ask.x, criterion, epsilons=ask.radius)
    return _tensor(found), _tensor(broken).bool()


def _cleverhans(_: object, attack: str, ask: Question, given: Given) -> tuple[Tensor, Tensor | None]:
    try:
        part = importlib.import_module(f"cleverhans.torch.attacks.{attack}")
    except ModuleNotFoundError as error:
        raise UnknownName(f'cleverhans.torch.attacks has no attack "{attack}"', fix="such as spsa") from error
    member = _member(part, attack)
    known = {**ask.known(ORDERS), "y": ask.y, "y_target": ask.y if ask.targeted else None, "x": ask.x}
    return _tensor(member(**_arguments(member, {**known, "model_fn": ask.model}, given))), None


def _torchattacks(module: object, attack: str, ask: Question, given: Given) -> tuple[Tensor, Tensor | None]:
    member = _member(module, attack)
    made = member(ask.model, **_arguments(member, ask.known(LETTERS), given))
    if ask.targeted:
        _member(made, "set_mode_targeted_by_label")(quiet=True)
    assert callable(made)
    return _tensor(made(ask.x, ask.y)), None


def _adv_lib(module: object, attack: str, ask: Question, given: Given) -> tuple[Tensor, Tensor | None]:
    member = _member(module, attack)
    known = dict(ask.known(ORDERS))
    if attack == "pgd_linf":  # elsewhere ε is an overshoot
        known["ε"] = ask.radius
    return _tensor(member(ask.model, ask.x, ask.y, **_arguments(member, known, given))), None


def _autoattack(module: object, attack: str, ask: Question, given: Given) -> tuple[Tensor, Tensor | None]:
    member = _member(module, attack)
    made = member(ask.model, **_arguments(member, {**ask.known(LETTERS), "device": str(ask.x.device)}, given))
    return _tensor(_member(made, "run_standard_evaluation")(ask.x, ask.y)), None


ASK: dict[Library, Callable[[object, str, Question, Given], tuple[Tensor, Tensor | None]]] = {
    "art": _art,
    "foolbox": _foolbox,
    "cleverhans": _cleverhans,
    "torchattacks": _torchattacks,
    "adv_lib": _adv_lib,
    "autoattack": _autoattack,
}
"""How each library is asked: (its module, attack, question, arguments) → points, and which it calls broken."""
