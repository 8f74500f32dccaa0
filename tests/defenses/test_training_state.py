"""Checkpoints: everything comes back, damage is said, nothing executable is in them."""

from __future__ import annotations

import msgspec
import pytest
import torch
from torch import nn

from hauberk.core.errors import StoreError
from hauberk.defenses.training_log import Point
from hauberk.defenses.training_state import Position, Snapshot, moments, pack, set_moments, unpack
from hauberk.defenses.weight_averaging import Averaged

POSITION = Position(
    key="sha256:1",
    epoch=3,
    index=2,
    step=50,
    elapsed=1.5,
    history=(Point(1.0, 0.4, 0.9),),
    rollbacks=("step 3: fell",),
    memory={"steps": 2.0},
)


def stepped() -> tuple[nn.Module, torch.optim.Optimizer]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    module(torch.rand(4, 3, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    optimizer.step()
    return module, optimizer


def test_parts_and_position_come_back() -> None:
    module, optimizer = stepped()
    saved = unpack(pack({"module": module.state_dict(), "optimizer": moments(optimizer)}, POSITION))
    assert saved.position == POSITION
    assert all(torch.equal(value, saved.parts["module"][name]) for name, value in module.state_dict().items())
    again = torch.optim.AdamW(module.parameters(), lr=0.1)
    set_moments(again, saved.parts["optimizer"])
    assert all(torch.equal(value, moments(again)[name]) for name, value in moments(optimizer).items())


def test_damage_is_said() -> None:
    data = pack({"module": {"weight": torch.ones(2)}}, POSITION)
    for cut in (0, 4, 20, len(data) - 1):
        with pytest.raises(StoreError, match="cannot be read"):
            unpack(data[:cut])
    with pytest.raises(StoreError, match="cannot be read"):
        unpack(b"\x80\x04" + data)
    old = pack({}, msgspec.structs.replace(POSITION, format=0))
    with pytest.raises(StoreError, match="format 0"):
        unpack(old)


def test_a_snapshot_puts_everything_back() -> None:
    module, optimizer = stepped()
    mean = Averaged(module, 0.5)
    mean.follow()
    kept = Snapshot(module, optimizer, mean)
    before = {name: value.clone() for name, value in (module.state_dict() | moments(optimizer)).items()}
    module(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    mean.follow()
    kept.restore(module, optimizer, mean)
    assert mean.steps == 1
    assert all(torch.equal(value, (module.state_dict() | moments(optimizer))[name]) for name, value in before.items())
