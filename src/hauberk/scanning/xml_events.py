"""XML read as a stream of elements; entities are never expanded and nothing outside the file is opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NamedTuple
from xml.parsers import expat

from hauberk.core.errors import LimitExceeded
from hauberk.scanning.artifact import Place, Problem, Reference
from hauberk.scanning.watch import Watch

_CHUNK = 1 << 16
_DEPTH = 1_000
_TEXT = 1 << 16
_TOLD = 50

Began = Callable[[str, "dict[str, str]", Place], None]
Ended = Callable[[str, str, Place], None]


class XmlFacts(NamedTuple):
    """What reading met besides elements."""

    references: tuple[Reference, ...]
    problems: tuple[Problem, ...]


class _Stop(Exception):
    """Enough is known: an entity was declared, or nesting has no end."""


def read_xml(stream: BinaryIO, watch: Watch, began: Began, ended: Ended) -> XmlFacts:
    """Call `began(name, attributes, place)` and `ended(name, text, place)` for each element.

    Names lose their namespace. Reading ends at the first declared entity, whatever it would stand for, and at a limit,
    which is then a problem: what was read before it stays.
    """
    reading = _Reading(watch, began, ended)
    try:
        while chunk := stream.read(_CHUNK):
            watch.tick(len(chunk) >> 8)
            reading.parser.Parse(chunk, False)
        reading.parser.Parse(b"", True)
    except _Stop:
        pass
    except LimitExceeded as error:
        reading.problems.append(Problem(kind="limit", message=error.what))
    except (expat.ExpatError, ValueError, LookupError) as error:
        reading.tell(f"not well-formed XML: {str(error)[:120]}")
    return XmlFacts(tuple(reading.references), tuple(reading.problems))


class _Reading:
    """Handlers of one parser."""

    def __init__(self, watch: Watch, began: Began, ended: Ended) -> None:
        self._watch, self._began, self._ended = watch, began, ended
        self._open: list[list[str]] = []
        self.references: list[Reference] = []
        self.problems: list[Problem] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EntityDeclHandler = self._entity
        self.parser.ProcessingInstructionHandler = self._instruction

    def _place(self) -> Place:
        return Place(line=self.parser.CurrentLineNumber)

    def tell(self, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(kind="malformed", message=message, place=self._place()))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._watch.tick()
        if len(self._open) > _DEPTH:
            self.tell(f"elements nested more than {_DEPTH} deep")
            raise _Stop
        self._open.append([])
        local = name.rpartition(":")[2]
        if local == "include" and "href" in attributes:
            self._refer("xml-include", attributes["href"])
        self._began(local, attributes, self._place())

    def _end(self, name: str) -> None:
        pieces = self._open.pop() if self._open else []
        self._ended(name.rpartition(":")[2], "".join(pieces), self._place())

    def _characters(self, data: str) -> None:
        if self._open and len(self._open[-1]) < 256:
            self._open[-1].append(data[:_TEXT])

    def _refer(self, kind: str, value: str) -> None:
        if len(self.references) < _TOLD:
            self.references.append(Reference(kind=kind, value=value[:400], place=self._place()))

    def _doctype(self, name: str, system: str | None, public: str | None, internal: int) -> None:  # noqa: ARG002
        if system:
            self._refer("xml-doctype", system)

    def _entity(self, name: str, _parameter: object, _value: object, _base: object, system: str | None,
                _public: object, _notation: object) -> None:  # fmt: skip
        self._refer("xml-entity", f"{name}: {system}" if system else name)
        raise _Stop

    def _instruction(self, target: str, data: str) -> None:
        self._refer("xml-instruction", f"{target} {data}")
