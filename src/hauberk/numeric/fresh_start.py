"""Start a network's parameters afresh, alike for the same generator."""

from __future__ import annotations

import torch
from torch import nn


def seed_from(rng: torch.Generator) -> int:
    """Draw a seed for what only takes the global generator."""
    return int(torch.randint(2**62, (1,), generator=rng))


def started_anew(net: nn.Module, rng: torch.Generator) -> tuple[str, ...]:
    """Initialise every parameter of `net` afresh in place; return notes on those started by rule of thumb.

    Modules that know how (`reset_parameters`) do it themselves. A parameter of a module that does not is drawn from
    N(0, 0.02²) if it has two dimensions or more; else it becomes 1 if its name ends in weight, scale or gamma, and 0
    otherwise.
    """
    orphans = []
    devices = sorted({p.device.index or 0 for p in net.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(seed_from(rng))
        for path, part in net.named_modules():
            reset = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
            if callable(reset):
                reset()
                continue
            for name, parameter in part.named_parameters(recurse=False):
                _start(name, parameter)
                orphans.append(f"{path}.{name}".lstrip("."))
    if not orphans:
        return ()
    shown = ", ".join(orphans[:4]) + (", …" if len(orphans) > 4 else "")
    return (f"refitted from a start by rule of thumb for {shown}: its modules have no reset_parameters",)


def _start(name: str, parameter: nn.Parameter) -> None:
    if parameter.ndim >= 2:
        nn.init.normal_(parameter, std=0.02)
    else:
        nn.init.constant_(parameter, float(name.endswith(("weight", "scale", "gamma"))))
