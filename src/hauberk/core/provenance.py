"""Make the provenance that engines stamp on evidence: one clock, one seed, one set of digests a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from hauberk.core.evidence import Digest, Provenance, Setting
from hauberk.core.version import __version__

Clock: TypeAlias = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """Read the machine's clock in UTC."""
    return dt.datetime.now(dt.UTC)


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all evidence of a run."""

    clock: Clock = utc_now
    seed: int | None = None
    digests: tuple[Digest, ...] = ()

    def of(self, recipe: str, settings: tuple[Setting, ...] = (), seed: int | None = None) -> Provenance:
        """Stamp evidence made by `recipe` now."""
        return Provenance(
            tool="hauberk",
            version=__version__,
            recipe=recipe,
            time=self.clock().isoformat(timespec="seconds"),
            settings=settings,
            seed=self.seed if seed is None else seed,
            digests=self.digests,
        )
