"""The neutral ground between formats and rules.

What a file would load, import, call or execute, and what was odd in it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal, NamedTuple, Protocol

import msgspec

from hauberk.core.card import Card
from hauberk.core.evidence import Confidence, Severity
from hauberk.core.limits import Limits
from hauberk.scanning.stretch import Content

if TYPE_CHECKING:
    from hauberk.scanning.containers import Container
    from hauberk.scanning.document_tree import Document
    from hauberk.scanning.python_values import Known


class Place(NamedTuple):
    """Where inside one artifact: 1-based line and column of text, or byte offset of a binary."""

    line: int | None = None
    column: int | None = None
    offset: int | None = None
    end_line: int | None = None


NOWHERE = Place()


class _Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the facts a format states: frozen, no judgement in them."""


class Import(_Fact, frozen=True):
    """A global the loader would resolve, such as ("posix", "system"). resolved.

    False if named but never reached the stack.
    """

    module: str
    name: str
    place: Place = NOWHERE


class Call(_Fact, frozen=True):
    """Something the loader would call. callable: dotted; arguments: decompiled text, shortened.

    effect: "call" (REDUCE, INST, OBJ, a Lambda layer), "new" (NEWOBJ and its kin: only __new__ runs, not __init__),
    "state" (BUILD → __setstate__ or __dict__), "persistent" (persistent id).
    """

    callable: str
    arguments: str = ""
    effect: Literal["call", "new", "state", "persistent"] = "call"
    place: Place = NOWHERE


class Reference(_Fact, frozen=True):
    """Something outside the file that it points to. kind: "external-data", "url", "file", "remote-code"."""

    kind: str
    value: str
    place: Place = NOWHERE


class Lookup(_Fact, frozen=True):
    """A name that a configuration has its loader look up, and then make or call.

    kind: "keras", "hydra", "yaml", "jsonpickle". module may be empty: a registered or project name. verb: how the
    file asks for it ("class", "function", "object/apply", …). arguments: what it is given, shortened.
    where: the keys that lead there.
    """

    kind: str
    module: str
    name: str
    verb: str = ""
    arguments: str = ""
    where: str = ""
    place: Place = NOWHERE


class Operator(_Fact, frozen=True):
    """A graph operator, by domain and type; count of its uses."""

    domain: str
    type: str
    count: int = 1


class Requirement(_Fact, frozen=True):
    """A dependency. name: normalised (PEP 503). specifier: as written. version: the exact pin or None. url.

    Direct reference.
    """

    name: str
    specifier: str
    version: str | None
    hashed: bool = False
    url: str = ""
    place: Place = NOWHERE


class Instruction(_Fact, frozen=True):
    """One instruction of a build or deployment file. keyword: upper case, such as "RUN"; stage.

    The build stage it belongs to.
    """

    keyword: str
    value: str
    stage: str = ""
    place: Place = NOWHERE


class Problem(_Fact, frozen=True):
    """What went wrong while reading. "limit" → Skipped by the engine; the others are facts that rules read.

    kind: "malformed", "truncated", "disagreement" (two readings of one file differ), "encrypted", "mismatch"
    (content contradicts name), "exhaustion" (a loader's memory or time would not suffice), "limit".
    """

    kind: Literal["malformed", "truncated", "disagreement", "encrypted", "mismatch", "exhaustion", "limit"]
    message: str
    place: Place = NOWHERE


class Note(_Fact, frozen=True):
    """A named text of the file (metadata, a chat template, an environment value), for rules that read text."""

    name: str
    text: str
    place: Place = NOWHERE


class Source(NamedTuple):
    """Program text and its syntax tree (None where it does not parse). lines are those of the artifact's own text.

    known: what the project's other modules say of this one, where that was asked for.
    """

    text: str
    tree: ast.Module | None
    known: Known | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One file, or one member of it. parts: nested artifacts, parsed by whichever formats accept them.

    path: relative to the scanned root, POSIX. part: member names joined by "!", empty for the file itself.
    containers: what a deployment file runs; documents: its trees, for what is no container.
    format: the name of the format that read it. digest: "sha256:…" of the bytes, empty where a limit forbade reading
    them.
    """

    path: str
    part: str
    format: str
    size: int
    digest: str = ""
    imports: tuple[Import, ...] = ()
    calls: tuple[Call, ...] = ()
    references: tuple[Reference, ...] = ()
    operators: tuple[Operator, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    instructions: tuple[Instruction, ...] = ()
    containers: tuple[Container, ...] = ()
    documents: tuple[Document, ...] = ()
    notes: tuple[Note, ...] = ()
    problems: tuple[Problem, ...] = ()
    source: Source | None = None
    parts: tuple[Artifact, ...] = ()

    def walk(self) -> Iterator[Artifact]:
        """Yield this artifact and all nested ones."""
        yield self
        for part in self.parts:
            yield from part.walk()


class Blob(Protocol):
    """Bytes to read: a file on disk or a member of an archive, never more than the limits allow."""

    path: str
    part: str
    size: int
    head: bytes
    """The first 4096 bytes, read once."""

    @property
    def name(self) -> str:
        """The last path segment of the innermost name, lower case, for guesses by suffix."""
        ...

    def open(self) -> BinaryIO:
        """Open for seekable binary reading."""
        ...

    def read(self) -> bytes:
        """Read all; raises LimitExceeded above limits.member_bytes (text_bytes for text is the format's own care)."""
        ...


Descend = Callable[[str, Content], "tuple[Artifact, ...]"]
"""Hand a member's name and bytes (or a stretch of them) back to the engine, which reads it within what is left."""


class Format(Protocol):
    """Bytes in, a neutral artifact out. Never judges, never executes, raises only LimitExceeded.

    Malformed input is a Problem.
    """

    card: ClassVar[Card]

    def sniff(self, blob: Blob) -> bool:
        """Say from name, size and head whether this format should read the bytes; every format that says yes does."""
        ...

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read the bytes."""
        ...


class Edit(NamedTuple):
    """A safe change of a text: what stands between two places, and what to put there instead.

    Lines and columns are 1-based; columns count UTF-8 bytes, as Python's own syntax trees do. The end is exclusive.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A finding as a rule words it; the engine adds rule name, path, part and provenance.

    severity: None for the card's. edits: a change that mends it and leaves what a well-meant program does, if any.
    """

    message: str
    fix: str
    severity: Severity | None = None
    confidence: Confidence = "high"
    place: Place = NOWHERE
    trace: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()


class Rule(Protocol):
    """Read one artifact (not its parts: the engine walks them) and yield what is wrong."""

    card: ClassVar[Card]

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield drafts; pure."""
        ...
