"""HotFlip: exchange the token whose gradient promises most, one after the other, in texts of token ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hauberk.attacks.driver import ball_norm
from hauberk.attacks.inquiry import Inquiry
from hauberk.attacks.vocabulary import table_of
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Modular, Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.losses import LOSSES, Aim

Tensor = torch.Tensor

_VALUES = 2**25
"""Promises (samples × positions × tokens) held at once: 128 MiB of float32."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts still searched. rows: (n,) their places in the batch. clean, ids: (n, length) int64. y: (n,)."""

    rows: Tensor
    clean: Tensor
    ids: Tensor
    y: Tensor


@dataclass(frozen=True, slots=True)
class Reader:
    """A model that reads. module: of the target. table: its embedding. vectors: (v, e) of the tokens there are."""

    module: nn.Module
    table: nn.Embedding
    vectors: Tensor


@dataclass(frozen=True, slots=True)
class HotFlip:
    """HotFlip.

    steps: exchanges at most; the ball's radius says how many positions may differ. candidates: exchanges of largest
    first-order promise that are really tried in each step, the best of which is made. similarity: least cosine, in
    the model's own embedding, of a token and what replaces it; -1 allows any. blank: the id of padding, which is
    neither replaced nor written. embedding: dotted name of the module's embedding, where it has several.
    """

    card: ClassVar[Card] = Card(
        title="HotFlip",
        summary="Exchanges tokens of a text by the gradient of its embedding: the white-box attack on text models.",
        paper="Ebrahimi et al. 2018, arXiv:1712.06751",
        needs=("module",),
        norms=("l0",),
        inputs=("tokens",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 20
    candidates: int = 16
    similarity: float = -1.0
    blank: int = 0
    embedding: str = ""

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return texts of x's shape (n, length) whose error leads most; a sample leaves once it is broken.

        Raises MissingPower for a target that is no torch module, UsageError for a threat without an l0 ball.
        """
        ball_norm(threat, self.card.norms, "evasion.hotflip")
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} is no torch module", fix="evasion.text_substitution asks only")
        assert threat.ball is not None
        out, most = x.clone(), int(threat.ball.radius)
        inquiry = Inquiry(target, x, y, threat, (self.steps + 1) * (self.candidates + 1))
        if not len(x) or most < 1 or not inquiry.charge():
            return out
        module = target.module().requires_grad_(False)
        tokens = int(target.spec.bounds[1]) + 1
        table = table_of(module, self.embedding, tokens)
        reader = Reader(module, table, table.weight[:tokens].to(x.device))
        best = inquiry.lead(x, torch.arange(len(x), device=x.device))
        every = Texts(torch.arange(len(x), device=x.device), x.long(), x.long(), y)
        texts = take(every, (best <= 0).nonzero().squeeze(1))
        for _ in range(self.steps):
            if not len(texts.rows) or not inquiry.charge(1 + self.candidates):
                break
            texts, lead = self._step(texts, reader, threat, most, inquiry)
            gained = lead > best[texts.rows]
            rows = texts.rows[gained]
            best[rows], out[rows] = lead[gained], texts.ids[gained].to(x)
            texts = take(texts, (lead <= 0).nonzero().squeeze(1))
        return out

    def _step(self, texts: Texts, reader: Reader, threat: Threat, most: int, inquiry: Inquiry) -> tuple[Texts, Tensor]:
        """Make the best of the promising exchanges in each text, and say by how much the error leads then (n,)."""
        tried = []
        size = max(1, _VALUES // (texts.ids.shape[1] * len(reader.vectors)))
        for rows in torch.split(torch.arange(len(texts.rows), device=texts.ids.device), size):
            part = take(texts, rows)
            tried.append(self._promising(part, _slopes(part, reader, threat), reader.vectors, most))
        points = torch.cat(tried)
        lead, which = inquiry.lead(points.to(torch.float32), texts.rows).max(1)
        chosen = points[torch.arange(len(points), device=points.device), which]
        return Texts(texts.rows, texts.clean, chosen, texts.y), lead

    def _promising(self, texts: Texts, slope: Tensor, vectors: Tensor, most: int) -> Tensor:
        """Make the exchanges of largest first-order gain (section 3, equation 10): (n, candidates, length)."""
        gain = slope @ vectors.T - (slope * vectors[texts.ids]).sum(2, keepdim=True)
        changed = texts.ids != texts.clean
        # Where all changes that may be are made, only those can be made otherwise.
        full = (changed.sum(1, keepdim=True) >= most) & ~changed
        gain = gain.masked_fill((full | (texts.clean == self.blank)).unsqueeze(2), -torch.inf)
        gain.scatter_(2, texts.ids.unsqueeze(2), -torch.inf)
        if 0 <= self.blank < gain.shape[2]:
            gain[:, :, self.blank] = -torch.inf
        if self.similarity > -1:
            unit = nn.functional.normalize(vectors, dim=1)
            gain = gain.masked_fill(unit[texts.clean] @ unit.T < self.similarity, -torch.inf)
        promise, which = gain.flatten(1).topk(min(self.candidates, gain[0].numel()), dim=1)
        place, token = which // gain.shape[2], which % gain.shape[2]
        points = texts.ids.unsqueeze(1).repeat(1, which.shape[1], 1)
        # An exchange that is not allowed leaves the text as it is.
        token = torch.where(promise.isinf(), texts.ids.gather(1, place), token)
        return points.scatter(2, place.unsqueeze(2), token.unsqueeze(2))


def _slopes(texts: Texts, reader: Reader, threat: Threat) -> Tensor:
    """Differentiate the margin by the vectors of the texts' tokens (n, length, e)."""
    wanted = None if threat.target_class is None else torch.full_like(texts.y, threat.target_class)
    with _vectors(reader.table) as seen, torch.enable_grad():
        logits = reader.module(texts.ids.to(torch.float32)).to(texts.y.device)
    if not seen:
        raise MissingPower("the module never looked its tokens up", fix="name the embedding it uses: embedding")
    climb = LOSSES["margin"](logits.detach(), Aim(texts.y, wanted, strict=wanted is not None))
    (slope,) = torch.autograd.grad(logits, seen[0], climb.slope)
    return slope.to(texts.ids.device).nan_to_num(nan=0.0)


@contextmanager
def _vectors(table: nn.Embedding) -> Iterator[list[Tensor]]:
    """Make what an embedding answers the leaves of the graph, and list them."""
    seen: list[Tensor] = []

    def leaf(_: nn.Module, __: tuple[Tensor, ...], vectors: Tensor) -> Tensor:
        seen.append(vectors.detach().requires_grad_(True))
        return seen[-1]

    hook = table.register_forward_hook(leaf)
    try:
        yield seen
    finally:
        hook.remove()
