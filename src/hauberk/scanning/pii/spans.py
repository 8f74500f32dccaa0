"""Where one kind of personal data stands in a text, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hauberk.scanning.pii.groups import Flags, Ints


class Spans(NamedTuple):
    """Places of one kind. starts, ends: in the padded text. sure: whether it needs no word beside it."""

    kind: str
    starts: Ints
    ends: Ints
    sure: Flags

    @classmethod
    def none(cls, kind: str) -> Spans:
        """Make an empty one."""
        return cls(kind, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_))
