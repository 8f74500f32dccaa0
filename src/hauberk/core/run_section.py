"""The section [run] of hauberk.toml: how a run is carried out, whatever is attacked."""

from __future__ import annotations

from typing import Literal

import msgspec

from hauberk.core.executing import ExecutorName


class RunSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[run]: seed of everything random; threads for torch (None: what the machine gives).

    executor: where chunks of samples are attacked: "serial" (here), "processes" (of this machine) or "ray" (a cluster);
    all three give the same numbers, with any number of workers. Empty: here, in larger chunks. workers: how many at
    once (0: one for each core, or the cluster's). address: of a running Ray cluster; empty begins one here.
    chunk: samples attacked at once; it decides how random numbers are dealt out (0: 512, 128 with an executor).
    """

    seed: int = 0
    threads: int | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    executor: Literal[""] | ExecutorName = ""
    workers: int = 0
    address: str = ""
    chunk: int = 0
