"""All a training run needs to go on, as one safetensors file: tensors, and a small JSON in its header."""

from __future__ import annotations

import copy
from typing import NamedTuple

import msgspec
import safetensors
import safetensors.torch
import torch

from hauberk.core.errors import StoreError
from hauberk.defenses.training_log import Point
from hauberk.defenses.weight_averaging import Averaged

Tensor = torch.Tensor

FORMAT = 1
"""Changes when a checkpoint of an older hauberk can no longer be read."""


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a run stands.

    key: digest of all that must be the same for a run to go on. epoch, index: the next batch. step: steps done.
    elapsed: seconds spent. scale: of the learning rate, halved by each rollback. stale: looks without improvement.
    best: index in `history` of the state kept. followed: steps of the average. memory: of the lesson.
    """

    key: str
    epoch: int = 0
    index: int = 0
    step: int = 0
    elapsed: float = 0.0
    scale: float = 1.0
    stale: int = 0
    best: int = 0
    followed: int = 0
    history: tuple[Point, ...] = ()
    rollbacks: tuple[str, ...] = ()
    memory: dict[str, float] = {}
    format: int = FORMAT


class Saved(NamedTuple):
    """A checkpoint read back: the parts by name, each a state dict, and the position."""

    parts: dict[str, dict[str, Tensor]]
    position: Position


class Snapshot:
    """Weights, optimiser and average as they were at one moment, in memory."""

    def __init__(self, module: torch.nn.Module, optimizer: torch.optim.Optimizer, average: Averaged) -> None:
        self._module = copy.deepcopy(module.state_dict())
        self._optimizer = copy.deepcopy(optimizer.state_dict())
        self._average = copy.deepcopy(average.module.state_dict()) if average.module is not module else None
        self._followed = average.steps

    def restore(self, module: torch.nn.Module, optimizer: torch.optim.Optimizer, average: Averaged) -> None:
        """Put everything back."""
        module.load_state_dict(self._module)
        optimizer.load_state_dict(self._optimizer)
        if self._average is not None:
            average.module.load_state_dict(self._average)
        average.steps = self._followed


def pack(parts: dict[str, dict[str, Tensor]], position: Position) -> bytes:
    """Write state dicts and a position as safetensors."""
    tensors = {
        f"{part}/{name}": value.detach().cpu().clone().contiguous()
        for part, state in parts.items()
        for name, value in state.items()
    }
    return safetensors.torch.save(tensors, {"position": msgspec.json.encode(position).decode()})


def unpack(data: bytes) -> Saved:
    """Read a checkpoint back; raises StoreError where it is none, or one of another format."""
    try:
        size = int.from_bytes(data[:8], "little")
        header = msgspec.json.decode(data[8 : 8 + size])
        position = msgspec.json.decode(header["__metadata__"]["position"], type=Position)
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise StoreError("the checkpoint cannot be read", fix="delete it and train anew") from error
    if position.format != FORMAT:
        raise StoreError(f"the checkpoint has format {position.format}, not {FORMAT}", fix="delete it and train anew")
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = value
    return Saved(parts, position)


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Name an optimiser's tensors: number of the parameter and name of the moment."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{name}": value for number, row in state.items() for name, value in row.items()}


def set_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimiser its tensors back."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
