"""hauberk: security for machine-learning projects in one tool.

The verbs and the vocabulary, each loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from hauberk.core.version import __version__

if TYPE_CHECKING:
    from hauberk.api.attacking import attack as attack
    from hauberk.api.checking import check as check
    from hauberk.api.encrypting import encrypt as encrypt
    from hauberk.api.hardening import harden as harden
    from hauberk.api.masking import mask as mask
    from hauberk.api.reporting import report as report
    from hauberk.api.scanning import scan as scan
    from hauberk.api.seal_differences import diff as diff
    from hauberk.api.sealing import seal as seal
    from hauberk.api.unsealing import unseal as unseal
    from hauberk.api.verifying import verify as verify
    from hauberk.api.watching import watch as watch
    from hauberk.core.evidence import Finding as Finding
    from hauberk.core.evidence import Measurement as Measurement
    from hauberk.core.evidence import Skipped as Skipped
    from hauberk.core.policy import Policy as Policy
    from hauberk.core.policy import Verdict as Verdict
    from hauberk.core.report import Report as Report
    from hauberk.core.threat import Ball as Ball
    from hauberk.core.threat import Threat as Threat

_WHERE = {
    "attack": "hauberk.api.attacking",
    "check": "hauberk.api.checking",
    "diff": "hauberk.api.seal_differences",
    "encrypt": "hauberk.api.encrypting",
    "harden": "hauberk.api.hardening",
    "mask": "hauberk.api.masking",
    "report": "hauberk.api.reporting",
    "scan": "hauberk.api.scanning",
    "seal": "hauberk.api.sealing",
    "unseal": "hauberk.api.unsealing",
    "verify": "hauberk.api.verifying",
    "watch": "hauberk.api.watching",
    "Finding": "hauberk.core.evidence",
    "Measurement": "hauberk.core.evidence",
    "Skipped": "hauberk.core.evidence",
    "Policy": "hauberk.core.policy",
    "Verdict": "hauberk.core.policy",
    "Report": "hauberk.core.report",
    "Ball": "hauberk.core.threat",
    "Threat": "hauberk.core.threat",
}

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _WHERE:
        raise AttributeError(f"module 'hauberk' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
