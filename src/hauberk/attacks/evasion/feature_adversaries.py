"""Feature adversaries: make an input look, to an inner layer, like one of another class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hauberk.attacks.driver import ball_norm
from hauberk.attacks.driving_oracle import batch_size
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower, UsageError, nearest
from hauberk.core.protocols import Modular, Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, region, steepest
from hauberk.numeric.losses import Aim

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class FeatureAdversaries:
    """Feature adversaries.

    steps: gradients, one of them at the input's guide. layer: dotted name of the layer whose output is matched, as
    `named_modules` has it under the target's own network; empty for the last but one, where there are two. pace: length
    of a step as a share of the radius. pool: inputs among which the guide is looked for, which is the one of another
    class (of the wanted class, where the threat names one) whose features are nearest.
    """

    card: ClassVar[Card] = Card(
        title="Feature adversaries",
        summary="Imitates another input inside the network, for detectors that look there; else weaker than PGD.",
        paper="Sabour et al. 2016, arXiv:1511.05122",
        needs=("gradients", "module"),
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 50
    layer: str = ""
    pace: float = 0.1
    pool: int = 512

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return inputs with another input's features, (n, *shape), inside the ball; x itself where no guide is found.

        Raises MissingPower where the target is no torch module, UsageError for a layer it has not.
        """
        ball_norm(threat, self.card.norms, "evasion.feature_adversaries")
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} is no torch module", fix="choose another gradient attack")
        x, y = x.detach().float(), y.to(x.device)
        steps = self.steps if threat.queries is None else min(self.steps, threat.queries - 2)
        if not len(x) or steps < 1:
            return x.clone()
        net = target.module().requires_grad_(False).eval()
        inner = Inner(net, _named(net, self.layer))
        pool = torch.randperm(len(x), generator=rng, device=rng.device)[: self.pool].to(x.device)
        size = batch_size(x.shape[1:], x.device)
        known = torch.cat([inner.see(part).features for part in torch.split(x[pool], size)])
        parts = []
        for rows in torch.split(torch.arange(len(x), device=x.device), size):
            features = inner.see(x[rows]).features
            guide = _guides(features, y[rows], known, y[pool], threat.target_class)
            where = region(threat.ball, x[rows], target.spec.bounds)
            parts.append(self._imitated(inner, where, y[rows], guide, steps, threat))
        return torch.cat(parts)

    def _imitated(self, inner: Inner, where: Region, y: Tensor, guide: Tensor, steps: int, threat: Threat) -> Tensor:
        """Go down ½‖features − guide‖² (equation 1), pace by pace; an input that errs stays as it is."""
        point = where.center
        wanted = None if threat.target_class is None else torch.full_like(y, threat.target_class)
        aim = Aim(y, wanted, strict=wanted is not None)
        for _ in range(steps):
            seen = inner.look(point, guide)
            open_ = (aim.lead(seen.scores) <= 0).reshape(-1, *[1] * (point.ndim - 1))
            if not bool(open_.any()):
                break
            way = steepest(-seen.gradient.nan_to_num(nan=0.0), where.norm)
            point = torch.where(open_, where.project(point + self.pace * where.radius * way), point)
        return point


@dataclass(frozen=True, slots=True)
class Insight:
    """What was seen inside.

    features: (n, k). scores: (n, classes). gradient: (n, *shape), empty where none was asked for.
    """

    features: Tensor
    scores: Tensor
    gradient: Tensor


@dataclass(frozen=True, slots=True)
class Inner:
    """A network and the layer in it that is watched."""

    net: nn.Module
    layer: nn.Module

    def see(self, x: Tensor) -> Insight:
        """Look without gradient."""
        with torch.no_grad():
            return self._forward(x)

    def look(self, x: Tensor, guide: Tensor) -> Insight:
        """Look, with the gradient of half the squared distance of the features to `guide` (n, k)."""
        point = x.detach().requires_grad_(True)
        with torch.enable_grad():
            seen = self._forward(point)
        (gradient,) = torch.autograd.grad(seen.features, point, seen.features.detach() - guide)
        return Insight(seen.features.detach(), seen.scores.detach(), gradient)

    def _forward(self, x: Tensor) -> Insight:
        found: list[Tensor] = []
        handle = self.layer.register_forward_hook(lambda _module, _inputs, output: found.append(output))
        try:
            scores: Tensor = self.net(x)
        finally:
            handle.remove()
        if not found or not isinstance(found[-1], Tensor):
            raise UsageError("the layer gave no tensor", where="evasion.feature_adversaries", fix="name another layer")
        return Insight(found[-1].flatten(1), scores, x.new_empty(0))


def _named(net: nn.Module, name: str) -> nn.Module:
    """Find a layer by its name, or by the end of it; the last leaf but one where there is none."""
    layers: dict[str, nn.Module] = {key: module for key, module in net.named_modules() if key}
    if name:
        found = [module for key, module in layers.items() if key == name or key.endswith(f".{name}")]
        if not found:
            raise UsageError(f'no layer "{name}"', where="evasion.feature_adversaries", fix=nearest(name, layers))
        return found[0]
    leaves = [module for module in layers.values() if not list(module.children())] or [net]
    return leaves[max(0, len(leaves) - 2)]


def _guides(features: Tensor, y: Tensor, known: Tensor, labels: Tensor, wanted: int | None) -> Tensor:
    """Return for each of n features (n, k) the nearest known ones of another class; its own where there are none."""
    far = torch.cdist(features, known)
    fit = labels.unsqueeze(0) != y.unsqueeze(1)
    if wanted is not None:
        fit &= labels.unsqueeze(0) == wanted
    found = known[far.masked_fill(~fit, torch.inf).argmin(1)]
    return torch.where(fit.any(1, keepdim=True), found, features)
