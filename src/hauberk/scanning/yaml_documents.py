"""YAML read as plain text values within limits: no tags, numbers, dates or merges are built."""

from __future__ import annotations

import yaml

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits

_LOADER: type[yaml.BaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Every scalar stays the text it is (1.10 is no number), and "<<" merges nothing: merges of merges grow without end."""
_DEEPEST = 100


def document(text: str, limits: Limits) -> object:
    """Read the first document; raises yaml.YAMLError where it is none, LimitExceeded where it is too large or deep."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST or count > limits.nodes:
            raise LimitExceeded(f"YAML nested deeper than {_DEEPEST} or of more than {limits.nodes} nodes")
        if isinstance(event, yaml.DocumentEndEvent):
            break
    loaded: object = next(iter(yaml.load_all(text, Loader=_LOADER)), None)
    return loaded
