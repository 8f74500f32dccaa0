"""Bytes that another format keeps as a mere value, and that a pickle loader would run."""

from __future__ import annotations

import io

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.pickle_machine import HIGHEST_PROTOCOL, OPCODES, scout
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_TRIAL = Limits(nodes=20_000, seconds=2.0)
_SHORTEST = 4


def is_pickle(data: bytes) -> bool:
    """Tell bytes that run as a pickle: to a call, or from the protocol's number to a clean end."""
    if len(data) < _SHORTEST or data[0] not in OPCODES:
        return False
    try:
        trial = scout(Window(io.BytesIO(data), len(data)), 0, Watch(_TRIAL))
    except LimitExceeded:
        return True
    begins = data[0] == 0x80 and data[1] <= HIGHEST_PROTOCOL
    return trial.ledger.executed > 0 or (begins and trial.broken is None)
