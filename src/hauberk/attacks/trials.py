"""What a self-check is: what it looks at, what it answers, and how shares of samples are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch

from hauberk.attacks.chunks import Bench, Outcome, Samples
from hauberk.attacks.tally import Scope
from hauberk.core.evidence import Indicator, Measurement
from hauberk.core.protocols import EvasionAttack


class Trial(NamedTuple):
    """One self-check, and the measurements it was made by where people should see them."""

    indicator: Indicator
    shown: tuple[Measurement, ...] = ()


@dataclass(frozen=True, slots=True)
class Ground:
    """What the checks look at: a few samples of any kind, some the model gets right, some no attack broke."""

    bench: Bench
    scope: Scope
    outcomes: Sequence[Outcome]
    some: Samples
    right: Samples
    robust: Samples

    @property
    def gradients(self) -> EvasionAttack | None:
        """The last attack of the cascade that uses gradients."""
        found = [attack for attack in self.bench.attacks if "gradients" in attack.card.needs]
        return found[-1] if found else None


Check: TypeAlias = Callable[[Ground], tuple[Trial, ...]]


def trial(name: str, passed: bool, detail: str) -> tuple[Trial, ...]:
    """Answer a check."""
    return (Trial(Indicator(name=name, passed=passed, detail=detail)),)


def unanswered(name: str, detail: str) -> Trial:
    """Say why a check could not be made."""
    return Trial(Indicator(name=name, passed=None, detail=detail))


def share(name: str, bad: torch.Tensor, most: float, what: str) -> tuple[Trial, ...]:
    """Pass where at most a share `most` (0–1) of the samples (n,) is bad."""
    count = int(bad.sum())
    return trial(name, count <= most * len(bad), f"{count} of {len(bad)} {what}")


def beaten(name: str, broken: torch.Tensor, what: str) -> tuple[Trial, ...]:
    """Fail where more than chance would break (n,): two samples at least, and more than 5 %."""
    count = int(broken.sum())
    return trial(name, count < 2 or count <= 0.05 * len(broken), f"{count} of {len(broken)} {what}")
