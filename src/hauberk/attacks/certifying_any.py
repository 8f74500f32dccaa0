"""The certificate that fits a target: of its trees, of its own, or by bounds of its network."""

from __future__ import annotations

from collections.abc import Iterator

from hauberk.attacks.certifying import certifiable, examine_certified
from hauberk.attacks.certifying_answers import examine_answers
from hauberk.attacks.certifying_networks import boundable, examine_bounded
from hauberk.core.defending import Certifying
from hauberk.core.evidence import Entry
from hauberk.core.protocols import Dataset, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat


def certificates(
    target: Target, data: Dataset, threat: Threat, *, stamp: Stamp, seed: int, samples: int
) -> Iterator[Entry]:
    """Yield certified_accuracy where something can be proven of this target under this threat, or why it cannot."""
    if isinstance(target, Certifying) and target.certifies(threat):
        yield examine_answers(target, data, threat, stamp=stamp, seed=seed, samples=samples)
    elif certifiable(target, threat):
        yield examine_certified(target, data, threat, stamp=stamp, seed=seed, samples=samples)
    elif boundable(target, threat):
        yield examine_bounded(target, data, threat, stamp=stamp, seed=seed, samples=samples)
