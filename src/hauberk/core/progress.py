"""Progress for callers that want none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hauberk.core.protocols import Step


class _Quiet:
    def advance(self, amount: int = 1, note: str = "") -> None:
        """Say nothing."""


class Silent:
    """Progress that says nothing."""

    @contextmanager
    def step(self, name: str, total: int | None, unit: str) -> Iterator[Step]:  # noqa: ARG002
        """Open a step that says nothing."""
        yield _Quiet()
