"""Reference models as looked-up answers, from which membership shows as it does in real ones."""

from __future__ import annotations

import pytest
import torch

from hauberk.attacks.references import halves
from hauberk.core.protocols import References, TargetSpec

N, CLASSES = 600, 5


class Lookup:
    """A target that looks its scores up: the first value of an input is its row."""

    def __init__(self, scores: torch.Tensor, answers: str = "logits") -> None:
        self.scores = scores
        self.spec = TargetSpec(
            name="lookup", kind="test", shape=(1,), classes=scores.shape[1], bounds=(0.0, 1e6), answers=answers
        )

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores[x[:, 0].long()]


class World:
    """A target and k references: every record has a difficulty, and being trained on raises its class's logit."""

    def __init__(self, models: int = 8, lift: float = 2.0, answers: str = "logits", seed: int = 0) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.x = torch.arange(N).float()[:, None]
        self.y = torch.randint(CLASSES, (N,), generator=rng)
        difficulty = 3 * torch.randn(N, generator=rng)
        member = halves(N, models + 2, seed + 1)
        made = []
        for own in member:
            logits = torch.randn(N, CLASSES, generator=rng) * 0.5
            height = difficulty + lift * own + 0.7 * torch.randn(N, generator=rng)
            logits[torch.arange(N), self.y] += height
            made.append(Lookup(logits.softmax(1) if answers == "probabilities" else logits, answers))
        self.target, self.member = made[0], member[0]
        none = (self.x[:0], self.y[:0])
        self.references = References(tuple(made[2:]), member[2:], *none)

    def few(self, models: int) -> References:
        return self.references._replace(models=self.references.models[:models], member=self.references.member[:models])


@pytest.fixture(scope="session")
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def make_world():
    return World


@pytest.fixture(scope="session")
def lookup():
    return Lookup
