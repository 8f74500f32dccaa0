"""One artifact's allowance of nodes and seconds, spent by the loops that read it."""

from __future__ import annotations

import time

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits

_STRIDE = 512
"""Nodes between two looks at the clock: a look costs about as much as reading one opcode."""


class Watch:
    """Count nodes and seconds against the limits."""

    __slots__ = ("_deadline", "_limits", "_look", "nodes")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._deadline = time.monotonic() + limits.seconds
        self._look = 0
        self.nodes = 0

    def tick(self, nodes: int = 1) -> None:
        """Spend nodes (opcodes, entries, fields); raises LimitExceeded when nodes or seconds are used up."""
        self.nodes += nodes
        if self.nodes >= self._look:
            self._check()

    def _check(self) -> None:
        if self.nodes > self._limits.nodes:
            raise LimitExceeded(f"more than {self._limits.nodes} nodes", fix="raise the node limit or look by hand")
        if time.monotonic() > self._deadline:
            raise LimitExceeded(
                f"not read within {self._limits.seconds:.3g} seconds", fix="raise scan.max_seconds or look by hand"
            )
        self._look = min(self.nodes + _STRIDE, self._limits.nodes + 1)
