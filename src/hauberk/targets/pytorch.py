"""PyTorch modules: in memory, from "module:callable", or from safetensors weights and a factory."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

import msgspec
import torch
from torch import nn

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower, ProjectError
from hauberk.core.project import ModelSection
from hauberk.core.protocols import TargetSpec
from hauberk.core.sources import made
from hauberk.crypto.digests import of_file
from hauberk.numeric.bpda import Step
from hauberk.numeric.fresh_start import started_anew
from hauberk.targets.answers import Answers
from hauberk.targets.fingerprints import of_state
from hauberk.targets.fitting import fit
from hauberk.targets.guarded import Guard
from hauberk.targets.hints import Device, Hints, device_of, guard_of, spec_of
from hauberk.targets.prepared import Prepared
from hauberk.targets.quickened import heavy, quickened
from hauberk.targets.weights import load_weights


class PyTorch:
    """A torch module, copied: the one given is never changed, and no gradient reaches parameters.

    guard: checks, batches, counts and times what is asked.
    """

    card: ClassVar[Card] = Card(
        title="PyTorch module",
        summary="Reaches a torch module in memory, by module:callable, or by safetensors weights and a factory.",
        suffixes=(".safetensors",),
        wraps=("torch.nn.modules.module.Module",),
        extra="models",
    )

    def __init__(self, prepared: Prepared, guard: Guard) -> None:
        self.guard = guard
        self._prepared = prepared.eval().requires_grad_(False)
        self._quick: PyTorch | None = None

    @classmethod
    def open(cls, section: ModelSection, folder: Path, hints: Hints) -> PyTorch:
        """Build the network and load its weights; raises ProjectError that names keys that do not fit."""
        net, digest = hints.made, ""
        if net is None:
            if not section.factory:
                raise ProjectError(
                    f"{section.source} holds weights, not a network",
                    where="model.factory",
                    fix='factory = "module:callable" that returns the torch module',
                )
            net = made(section.factory, folder, "model.factory", "targets")
        if not isinstance(net, nn.Module):
            origin = section.factory or section.source
            raise ProjectError(f"{origin} gave a {type(net).__name__}, not a torch module", where="model")
        notes = _mode(net) if hints.made is not None else ()
        net = _copied(net)
        if hints.made is None:
            load_weights(net, folder / section.source)
            digest = of_file(folder / section.source)
        spec = spec_of(section, hints, "pytorch", digest or of_state(net), *notes)
        return cls(_prepared(net, section, hints, spec), guard_of(section, spec, hints))

    @property
    def spec(self) -> TargetSpec:
        """What it is; shape () and classes 0 until they were said or the first input was answered."""
        return self.guard.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score x (n, *shape) without gradient; what comes back has been checked."""
        scores = self.guard.ask(self._prepared.scores, x)
        if self._prepared.answers != self.guard.spec.answers:  # a module's attribute is dear to set
            self._prepared.answers = self.guard.spec.answers
        return scores

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits under autograd.

        Raises MissingPower where the network cuts the gradient of its input, and what `predict` raises.
        """
        if not self.guard.learned:
            self.predict(x[:2])
        self.guard.check(x)
        self.guard.spend(len(x))
        logits: torch.Tensor = self.guard.call(lambda: self._prepared(x))
        if x.requires_grad and torch.is_grad_enabled() and not logits.requires_grad:
            raise MissingPower(
                f"{self.spec.name} cuts the gradient of its input",
                where=self.guard.where,
                fix="look for no_grad, detach, numpy or argmax in its forward, or attack it with knowledge = score",
            )
        return logits.to(x.device)

    def search_copy(self, x: torch.Tensor) -> PyTorch | None:
        """Return a quicker target of the same answers, counted with this one; this one itself where none is quicker."""
        if not heavy(self._prepared):
            return None
        if self._quick is None:
            if not self.guard.learned:
                self.predict(x[:2])
            quick = quickened(self._prepared, x[:2])
            self._quick = self if quick is None else PyTorch(quick, self.guard)
        return self._quick

    def module(self) -> nn.Module:
        """Return a deep copy, preprocessing included, parameters trainable, in eval mode."""
        return copy.deepcopy(self._prepared).requires_grad_(True)

    def rebuild(self, module: nn.Module, name: str) -> PyTorch:
        """Return a target like this one around a module that takes inputs in bounds and gives logits."""
        return self._around(Prepared(_copied(module)), name, ())

    def refit(self, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> PyTorch:
        """Train a fresh network of the same architecture, as `fitting` says; this one stays as it is."""
        self.guard.check(x)
        if not self.guard.learned:
            self.predict(x[:2])
        prepared = copy.deepcopy(self._prepared).requires_grad_(True)
        notes = started_anew(prepared.net, rng)
        self.guard.call(lambda: fit(prepared, x, y, rng, self.spec.classes))
        return self._around(prepared, f"{self.spec.name} refitted", notes)

    def _around(self, prepared: Prepared, name: str, notes: tuple[str, ...]) -> PyTorch:
        spec = msgspec.structs.replace(
            self.spec, name=name, digest=of_state(prepared), answers=prepared.answers, notes=notes
        )
        return PyTorch(prepared.to(self._prepared.mean.device), self.guard.fresh(spec, prepared.answers))


def from_torch(
    net: nn.Module,
    bounds: tuple[float, float] = (0.0, 1.0),
    shape: tuple[int, ...] | None = None,
    classes: int | None = None,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    *,
    name: str = "",
    answers: Answers | None = None,
    labels: tuple[str, ...] = (),
    device: Device = "auto",
    timeout: float | None = None,
    before: Step | None = None,
) -> PyTorch:
    """Make a target of a torch module in memory; what is not said of it is learned from the first input.

    net: (n, *shape) → (n, classes); copied, the given one is not changed. bounds: of every input value.
    mean, std: per channel, applied before the network. answers: None to tell logits from probabilities by their sums.
    timeout: seconds one answer may take. before: what the deployment does to an input ahead of all this, such as
    compression; wrap it with `numeric.bpda.straight_through` where it has no useful gradient.
    Raises ProjectError where these contradict each other.
    """
    section = ModelSection(
        source=name or type(net).__name__,
        bounds=bounds,
        shape=shape or (),
        classes=classes,
        labels=labels,
        answers=answers,
        mean=mean,
        std=std,
        timeout=timeout or 0.0,
    )
    return PyTorch.open(section, Path(), Hints(made=net, device=device, before=before))


def _prepared(net: nn.Module, section: ModelSection, hints: Hints, spec: TargetSpec) -> Prepared:
    if spec.answers == "labels":
        raise ProjectError(
            "a torch module gives scores, not labels", where="model.answers", fix='kind = "python_callable"'
        )
    return Prepared(net.to(device_of(hints.device)), section.mean, section.std, spec.answers, hints.before)


def _mode(net: nn.Module) -> tuple[str, ...]:
    """Say where a network in training mode would answer otherwise than the one that is asked."""
    moody = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
    if any(part.training and isinstance(part, moody) for part in net.modules()):
        return ("it was given in training mode and is asked in evaluation mode",)
    return ()


def _copied(net: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(net)
    except Exception as error:
        raise ProjectError(
            f"the network cannot be copied: {error}", where="model", fix="build it anew with a factory"
        ) from error
