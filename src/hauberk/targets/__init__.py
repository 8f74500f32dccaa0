"""Ways to reach a model under test, one file each; frameworks live only here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hauberk.targets.python_callable import from_callable as from_callable
    from hauberk.targets.pytorch import from_torch as from_torch
    from hauberk.targets.scikit import from_sklearn as from_sklearn

_WHERE = {
    "from_callable": "hauberk.targets.python_callable",
    "from_sklearn": "hauberk.targets.scikit",
    "from_torch": "hauberk.targets.pytorch",
}

__all__ = ["from_callable", "from_sklearn", "from_torch"]


def __getattr__(name: str) -> object:
    """Load a way to make a target on first use."""
    if name not in _WHERE:
        raise AttributeError(f"module 'hauberk.targets' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
