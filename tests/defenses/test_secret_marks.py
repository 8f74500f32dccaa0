"""False claims of ownership: p-values of suspects that are independent of the secret are no smaller than chance."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.defenses.secret_marks import LEAST_SECRET, marks, p_value
from hauberk.targets import from_torch

SECRETS, MARKS, CLASSES = 1000, 50, 4


def independent(*, biased: bool) -> Target:
    """A network that never saw a secret; a biased one answers one class whatever it is asked."""
    torch.manual_seed(0)
    last = nn.Linear(36, CLASSES)
    net = nn.Sequential(nn.Flatten(), last).eval()
    if biased:
        with torch.no_grad():
            last.bias[2] = 100.0
    return from_torch(net, bounds=(0.0, 1.0), shape=(1, 6, 6), classes=CLASSES)


@pytest.mark.parametrize("biased", [False, True])
def test_an_independent_suspect_is_claimed_no_more_often_than_the_p_value_says(biased: bool) -> None:
    suspect = independent(biased=biased)
    found = [p_value(suspect, f"a secret of its own, number {one}", MARKS) for one in range(SECRETS)]
    for level in (0.5, 0.2, 0.05, 0.01):
        claimed = sum(p <= level for _, p in found)
        spread = (SECRETS * level * (1 - level)) ** 0.5
        assert claimed <= SECRETS * level + 4 * spread, level
    mean = sum(matches for matches, _ in found) / SECRETS
    assert mean == pytest.approx(MARKS / CLASSES, abs=4 * (MARKS * 0.25 * 0.75 / SECRETS) ** 0.5)


def test_marks_of_another_secret_are_others_and_of_the_same_are_the_same() -> None:
    spec = independent(biased=False).spec
    one, same, other = (marks(secret, spec, MARKS) for secret in ("first " * 4, "first " * 4, "other " * 4))
    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
    assert not torch.equal(one[0], other[0])
    assert not torch.equal(one[1], other[1])


def test_a_secret_too_short_to_be_unguessable_is_refused() -> None:
    with pytest.raises(UsageError, match="characters"):
        p_value(independent(biased=False), "x" * (LEAST_SECRET - 1), MARKS)
