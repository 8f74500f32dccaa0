"""Self-checks of a membership audit: what would make its figures mean something else than memory."""

from __future__ import annotations

from hashlib import blake2b

import msgspec
import torch

from hauberk.attacks.recording import Samples, decisions
from hauberk.core.evidence import Indicator
from hauberk.core.protocols import References, Target, TargetSpec
from hauberk.numeric.membership import Kind, kind_of
from hauberk.numeric.roc import area
from hauberk.numeric.two_sample import separability

SHIFTED = 0.55
"""Area above which train and test inputs differ so much that "member" may just mean "from the other source"."""
COMPARED = 750
"""Samples a side for that comparison: its cost grows with the cube."""
SURE = 0.9999
"""Level of the self-check on shuffled membership: it should cry wolf in one run of ten thousand."""
ALIKE = 0.1
"""By how much the reference models' accuracies, in and out of their training data, may differ from the target's."""
WATCHED = 1000
"""Records on which reference models are compared with the target."""


def shuffled(inside: torch.Tensor, outside: torch.Tensor, rng: torch.Generator) -> Indicator:
    """Say whether the attack guesses once membership is shuffled; scores (n,) of members and others."""
    pooled = torch.cat((inside, outside))
    pooled = pooled[torch.randperm(len(pooled), generator=rng)]
    half = area(pooled[: len(inside)], pooled[len(inside) :], SURE)
    return Indicator(
        name="with membership shuffled the attack guesses",
        passed=half.low <= 0.5 <= half.high,
        detail=f"area {half.value:.3f} [{half.low:.3f}, {half.high:.3f}] on shuffled membership",
    )


def shift(members: Samples, others: Samples, rng: torch.Generator) -> Indicator:
    """Say whether train and test inputs can be told apart without the model."""
    name = "train and test inputs come from one distribution"
    size = min(len(members.y), COMPARED)
    if size < 20:
        return Indicator(name=name, passed=None, detail=f"{size} samples a side are too few to tell")
    if not members.x[0].numel():
        return Indicator(name=name, passed=None, detail="only answers were given, not the records")
    found = separability(members.x[:size], others.x[:size], rng)
    consequence = "" if found.low <= SHIFTED else ": the membership figures may show this difference, not memory"
    return Indicator(
        name=name,
        passed=found.low <= SHIFTED,
        detail=f"a classifier tells them apart with area {found.value:.3f} [{found.low:.3f}, {found.high:.3f}], "
        f"without asking the model{consequence}",
    )


def overlap(train: Samples, test: Samples) -> Indicator:
    """Say how many test records are also training records, input and label alike: they are no non-members."""
    name = "no record is both a member and a non-member"
    if not train.x[:1].numel():
        return Indicator(name=name, passed=None, detail="only answers were given, not the records")
    seen = set(_keys(train))
    both = sum(key in seen for key in _keys(test))
    consequence = "" if not both else ": they count as non-members and hide leakage; take them out of the test data"
    return Indicator(
        name=name,
        passed=not both,
        detail=f"{both} of {len(test.y)} test records are in the training data too{consequence}",
    )


def relabelled(target: Target, told: torch.Tensor) -> tuple[Target, Indicator | None]:
    """Return the target, read as its answers told (n, classes) show, and a failed check where it declares others.

    A membership attack on logits read as probabilities falls to chance, and so does one on probabilities read as
    logits: whoever does not notice reports a model as safe.
    """
    declared, found = target.spec.answers, kind_of(told)
    if found == declared or "labels" in (declared, found):
        return target, None
    detail = f"they are declared as {declared} and are {found}; they were read as {found}"
    return read_as(target, found), Indicator(name="answers are what they are declared as", passed=False, detail=detail)


def read_as(target: Target, kind: Kind) -> Target:
    """Return the target, its answers read as of this kind."""
    return target if target.spec.answers == kind else _Read(target, kind)


def similar(references: References, members: Samples, others: Samples, right: torch.Tensor) -> Indicator:
    """Say whether reference models err as the target does, on records they were trained on and on others.

    right (2n,): whether the target is right about members, then others. Attacks with models that do not mimic the
    target understate what leaks.
    """
    n = len(members.y)
    rows = torch.cat((torch.arange(n)[: WATCHED // 2], n + torch.arange(len(others.y))[: WATCHED // 2]))
    x, y = torch.cat((members.x, others.x))[rows], torch.cat((members.y, others.y))[rows]
    hits = torch.stack([decisions(model, x) == y for model in references.models])
    member = references.member[:, rows]
    inside, outside = (
        float(hits[side].double().mean()) if bool(side.any()) else float("nan") for side in (member, ~member)
    )
    own, unseen = float(right[:n].double().mean()), float(right[n:].double().mean())
    known = not (member.all() or (~member).all())
    passed = None if not known else abs(inside - own) <= ALIKE and abs(outside - unseen) <= ALIKE
    consequence = "" if passed is not False else ": they do not mimic it, so these figures understate what leaks"
    return Indicator(
        name="reference models do as the target does",
        passed=passed,
        detail=f"they are right about {inside:.1%} of their own training records and {outside:.1%} of others, the "
        f"target about {own:.1%} and {unseen:.1%}{consequence}",
    )


class _Read:
    """A target whose answers are read as another kind than it declares."""

    def __init__(self, target: Target, kind: Kind) -> None:
        self._target, self._kind = target, kind

    @property
    def spec(self) -> TargetSpec:
        """What the target is, with the kind of answers it was seen to give."""
        return msgspec.structs.replace(self._target.spec, answers=self._kind)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Ask the target."""
        return self._target.predict(x)


def _keys(part: Samples) -> list[bytes]:
    rows = part.x.contiguous().numpy()
    return [
        blake2b(row.tobytes() + int(label).to_bytes(8, "little", signed=True), digest_size=16).digest()
        for row, label in zip(rows, part.y.tolist(), strict=True)
    ]
