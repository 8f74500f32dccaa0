"""YAML read event by event into plain trees: tags are facts, aliases point to what they name, nothing is built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import yaml

from hauberk.core.errors import LimitExceeded
from hauberk.scanning.artifact import Lookup, Place
from hauberk.scanning.settings_pairs import Pairs, Tree
from hauberk.scanning.watch import Watch

_LOADER: type[yaml.BaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DEEPEST = 200
PYTHON = "tag:yaml.org,2002:python/"
_PLAIN = frozenset("none bool bytes str unicode int long float complex list tuple dict".split())  # noqa: SIM905
_OTHERS = ("tag:yaml.org,2002:ruby/", "tag:yaml.org,2002:perl/", "tag:yaml.org,2002:java", "tag:yaml.org,2002:javax")
_MAKING = ("!new:", "!name:", "!apply:", "!module:", "!call:", "!obj:", "!func:", "!class:", "!import:")
"""Local tags by which HyperPyYAML and its like make what they name."""
_SHOWN = 160
_ANCHORS = 10_000


class _Open(NamedTuple):
    """A collection being read. key: waiting for its value, None between pairs. weight: nodes with aliases expanded."""

    value: Pairs | list[Tree]
    key: list[str]
    lookup: int
    anchor: str | None
    weight: list[float]


class YamlTrees:
    """The documents of one text. lookups: what tags name; weight: nodes of the heaviest, with its aliases expanded."""

    def __init__(self, text: str, watch: Watch) -> None:
        self.lookups: list[Lookup] = []
        self.documents: list[Tree] = []
        self.aliases = 0
        self.weight = 0.0
        self._weights: dict[str, float] = {}
        self._named: dict[str, Tree] = {}
        self._open: list[_Open] = []
        self._text, self._watch = text, watch

    def read(self) -> None:
        """Go through all events; raises yaml.YAMLError where the text stops being YAML, LimitExceeded."""
        for event in self._events():
            self._watch.tick()
            if isinstance(event, yaml.ScalarEvent):
                looked = self._tag(event)
                if looked >= 0:
                    self._argument(looked, event.value)
                self._place(event.anchor, str(event.value))
                self._weigh(1.0)
            elif isinstance(event, yaml.AliasEvent):
                self.aliases += 1
                held = self._named.get(str(event.anchor))
                self._place(None, held if isinstance(held, str) else None)
                self._weigh(self._weights.get(str(event.anchor), 1.0))
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(self._open) >= _DEEPEST:
                    raise LimitExceeded(f"YAML nested deeper than {_DEEPEST}", fix="look by hand")
                value: Pairs | list[Tree] = Pairs() if isinstance(event, yaml.MappingStartEvent) else []
                looked = self._tag(event)
                self._place(event.anchor, value)
                self._open.append(_Open(value, [], looked, event.anchor, [1.0]))
            elif isinstance(event, yaml.CollectionEndEvent) and self._open:
                closed = self._open.pop()
                if closed.anchor is not None and len(self._weights) < _ANCHORS:
                    self._weights[closed.anchor] = closed.weight[0]
                self._weigh(closed.weight[0])
            elif isinstance(event, yaml.DocumentStartEvent):
                self._open.clear()
                self._named.clear()
                self._weights.clear()

    def _weigh(self, nodes: float) -> None:
        """Count nodes to the collection around them."""
        if self._open:
            self._open[-1].weight[0] += nodes
        self.weight = max(self.weight, nodes)

    def _events(self) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(self._text, Loader=_LOADER)
        except (RecursionError, ValueError) as error:
            raise yaml.YAMLError(str(error)[:100]) from None

    def _place(self, anchor: str | None, value: Tree) -> None:
        """Put a node where it stands: under its key, in its list, or as a document."""
        if anchor is not None and len(self._named) < _ANCHORS:
            self._named[anchor] = value
        if not self._open:
            self.documents.append(value)
            return
        outer = self._open[-1]
        if isinstance(value, str) and outer.lookup >= 0:
            self._argument(outer.lookup, value)
        if not isinstance(outer.value, Pairs):
            outer.value.append(value)
        elif outer.key:
            outer.value.items.append((outer.key.pop(), value))
        else:
            outer.key.append(value if isinstance(value, str) else "<no text>")

    def _tag(self, event: yaml.NodeEvent) -> int:
        """State what a tag names; return the number of the fact, or that of the one around it, -1 without."""
        tag = getattr(event, "tag", None)
        line = event.start_mark.line + 1 if event.start_mark is not None else 1
        around = self._open[-1].lookup if self._open else -1
        if not isinstance(tag, str):
            return around if isinstance(event, yaml.CollectionStartEvent) else -1
        verb, name = "", ""
        if tag.startswith(PYTHON):
            verb, _, name = tag[len(PYTHON) :].partition(":")
            if verb in _PLAIN:
                return -1
        elif tag.startswith(_OTHERS):
            verb, _, name = tag.removeprefix("tag:yaml.org,2002:").partition(":")
            verb = f"other {verb}"
        elif tag.startswith(_MAKING):
            verb, _, name = tag.partition(":")
        if not verb:
            return -1
        name = name or (str(event.value) if isinstance(event, yaml.ScalarEvent) else "")
        module, _, last = name.rpartition(".")
        if len(self.lookups) >= 1000:
            raise LimitExceeded("more than 1000 tags that name objects", fix="look by hand")
        place = Place(line=line)
        self.lookups.append(Lookup(kind="yaml", module=module, name=last[:200], verb=verb, place=place))
        return len(self.lookups) - 1

    def _argument(self, number: int, value: str) -> None:
        fact = self.lookups[number]
        if value and len(fact.arguments) < _SHOWN:
            shown = f"{fact.arguments}, {value[:80]!r}" if fact.arguments else repr(value[:80])
            place = fact.place
            self.lookups[number] = Lookup(
                kind=fact.kind, module=fact.module, name=fact.name, verb=fact.verb, arguments=shown, place=place
            )
