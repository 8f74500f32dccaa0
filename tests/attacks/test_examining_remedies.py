"""Remedies are judged on a backdoor that was really planted, after which the model is attacked again."""

import torch

from hauberk.attacks.examining_remedies import Remedy, examine_remedies
from hauberk.attacks.poisoning.badnets import BadNets
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.poisoning import Suspicion
from hauberk.core.threat import Threat

THREAT = Threat(name="backdoor", family="poisoning", poison_rate=0.05, target_class=3)


class Oracle:
    """Flags what it is told, to see that the examiner counts and trains as it says."""

    def __init__(self, share):
        self.share = share

    card = BadNets.card
    blind = ()

    def suspect(self, x, y, target, rng):
        # A planted row bears the corner pattern: its last pixel is bright.
        planted = ((x[:, 0, -1, -1] == 1) & (x[:, 0, -1, -2] == 0) & (x[:, 0, -2, -2] == 1)).nonzero().squeeze(1)
        flagged = torch.zeros(len(y), dtype=torch.bool)
        flagged[planted[: round(self.share * len(planted))]] = True
        return Suspicion(flagged.double(), flagged, 2.0, 3, "told")


def examine(digits, digits_net, stamp, remedies, threat=THREAT):
    return list(examine_remedies(digits_net, digits, BadNets(), remedies, threat, walk=None, stamp=stamp, seed=0))


def values(entries):
    return {entry.name: entry for entry in entries if isinstance(entry, Measurement)}


def test_all_rows_found_takes_the_backdoor_away(digits, digits_net, stamp):
    found = values(examine(digits, digits_net, stamp, [Remedy("poison.oracle", Oracle(1.0))]))
    assert found["poison_caught"].value > 0.95
    assert found["poison_precision"].value == 1
    assert found["backdoor_success_remedied"].value < 0.15
    assert found["clean_accuracy_remedied"].value > 0.85
    assert found["backdoor_success_remedied"].low <= found["backdoor_success_remedied"].value
    assert found["backdoor_success_remedied"].indicators[0].passed


def test_a_detector_that_flags_nothing_is_said_to(digits, digits_net, stamp):
    entries = examine(digits, digits_net, stamp, [Remedy("poison.oracle", Oracle(0.0))])
    assert values(entries)["poison_caught"].value == 0
    gaps = [entry for entry in entries if isinstance(entry, Skipped)]
    assert any("no row was flagged" in gap.reason for gap in gaps)


def test_without_a_working_backdoor_there_is_nothing_to_measure(digits, digits_net, stamp):
    threat = Threat(name="backdoor", family="poisoning", poison_rate=0.001, target_class=3)
    entries = examine(digits, digits_net, stamp, [Remedy("poison.oracle", Oracle(1.0))], threat)
    assert not values(entries)
    assert isinstance(entries[0], Skipped)
