"""Load safetensors weights into a network, strictly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from hauberk.core.errors import ProjectError, nearest


def load_weights(net: nn.Module, path: Path) -> None:
    """Fill every parameter and buffer from the file; raises ProjectError naming what is missing, extra or misshapen."""
    state = _read(path)
    want = net.state_dict()
    tied = {value.data_ptr() for name, value in want.items() if name in state and value.numel()}
    missing = [name for name, value in want.items() if name not in state and value.data_ptr() not in tied]
    extra = [name for name in state if name not in want]
    shapes = [
        f"{name} {tuple(state[name].shape)} for {tuple(want[name].shape)}"
        for name in state
        if name in want and state[name].shape != want[name].shape
    ]
    faults = (("missing", missing), ("unexpected", extra), ("of another shape", shapes))
    if any(names for _, names in faults):
        raise ProjectError(
            "the weights do not fit the network: "
            + "; ".join(f"{kind}: {_some(names)}" for kind, names in faults if names),
            where=str(path.name),
            fix="name the factory these weights were saved from, with the same settings",
        )
    net.load_state_dict(state, strict=False)  # strictness is held above, but for tied weights that are kept once


def tensor_names(path: Path) -> tuple[str, ...]:
    """Name the tensors a safetensors file holds, in the file's order."""
    return tuple(_read(path))


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except FileNotFoundError:
        near = nearest(path.name, (other.name for other in path.parent.glob("*.safetensors")))
        raise ProjectError("no such file", where=f"model.source {path.name}", fix=near) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ProjectError(f"cannot be read as safetensors: {error}", where=path.name) from error
    return tensors


def _some(names: Iterable[str]) -> str:
    rows = list(names)
    return ", ".join(rows[:4]) + (f" and {len(rows) - 4} more" if len(rows) > 4 else "")
