"""Pickle streams of protocols 0 to 5, whatever the file is called: what loading them would import and call."""

from __future__ import annotations

import io
from typing import ClassVar, Literal, NamedTuple

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Place, Problem, Reference
from hauberk.scanning.pickle_ledger import Ledger
from hauberk.scanning.pickle_machine import HIGHEST_PROTOCOL, OPCODES, Machine, scout
from hauberk.scanning.pickle_operands import Broken
from hauberk.scanning.pickle_values import Payload
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

SUFFIXES = (".pkl", ".pickle", ".pck", ".p", ".joblib", ".dill", ".pt", ".pth", ".ckpt", ".bin", ".model", ".sav")
_PLAIN = (".pkl", ".pickle", ".pck", ".joblib", ".dill")
"""Endings that only pickles have: what is so called and is no container is read as one, whatever its bytes."""
_CONTAINERS = (
    b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf", b"(\xb5/\xfd",
    b"\x04\x22\x4d\x18",
    b"\x93NUMPY", b"Rar!", b"]\x00\x00", b"\x89HDF", b"x\x01", b"x\x5e", b"x\x9c", b"x\xda",
)  # fmt: skip
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_STREAMS = 5
"""Legacy torch files: magic, protocol, system, object, storage keys; raw weights follow (torch/serialization.py)."""
_TRIAL = Limits(nodes=10_000, seconds=10.0)
_PADDING = 1 << 20


class PickleStream:
    """Read pickles with an abstract machine: real stack, memo and marks, every call recorded when it would happen."""

    card: ClassVar[Card] = Card(
        title="Pickle stream",
        summary="Python pickles of protocols 0 to 5, several in a row, legacy torch files and joblib dumps.",
        paper="CPython Lib/pickle.py and Modules/_pickle.c; PEP 3154; PEP 574",
        suffixes=(".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept what runs as a pickle for as far as its head goes, and what is only ever called a pickle."""
        head = blob.head
        if not head:
            return False
        contained = head.startswith(_CONTAINERS) or head[257:262] == b"ustar"
        if blob.name.endswith(_PLAIN) and not contained:
            return True
        if head[0] not in OPCODES or head.startswith(b"PK"):
            return False  # as a pickle, "PK…" is a persistent id that the standard loader refuses before it goes on
        trial = scout(Window(io.BytesIO(head), blob.size), 0, Watch(_TRIAL))
        if trial.ledger.executed:
            return True
        running = trial.broken is None or trial.broken.kind == "cut"
        if _has_magic(head):
            return running or trial.steps > 3 or blob.name.endswith(SUFFIXES)
        return not contained and trial.broken is not None and trial.broken.kind == "cut"

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Run every stream of the file on the abstract machine, then read the bytes that reach a loader call."""
        with blob.open() as stream:
            window = Window(stream, blob.size)
            reading = _read(window, Watch(limits))
            parts, unread = _nested(reading.ledger, window, limits, descend)
        ledger = reading.ledger
        sure = _has_magic(blob.head) or blob.name.endswith(_PLAIN) or bool(ledger.executed)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="pickle_stream",
            size=blob.size,
            imports=tuple(ledger.imports.values()) if sure else (),
            calls=tuple(ledger.calls) if sure else (),
            references=tuple(
                Reference(kind="data-beside", value=name, place=Place(offset=offset))
                for name, offset in ledger.files.items()
            ),
            problems=(*reading.problems, *unread) if sure else (),
            parts=parts,
        )


class _Reading(NamedTuple):
    ledger: Ledger
    problems: tuple[Problem, ...]


def _has_magic(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0x80 and head[1] <= HIGHEST_PROTOCOL


def _read(window: Window, watch: Watch) -> _Reading:
    """Run one stream after another; what was recorded before a limit or a break stays."""
    ledger = Ledger()
    machine = Machine(window, watch, ledger)
    problems: list[Problem] = []
    try:
        _streams(machine, problems)
    except LimitExceeded as error:
        problems.append(Problem(kind="limit", message=error.what, place=Place(offset=machine.opcode_at)))
    taken = [
        Problem(kind="exhaustion", message=what, place=Place(offset=offset))
        for what, offset in ledger.exhausting.items()
    ]
    return _Reading(ledger, (*machine.problems, *taken, *problems))


def _streams(machine: Machine, problems: list[Problem]) -> None:
    window, position, count, legacy = machine.window, 0, 0, False
    while position < window.size:
        if count and not _goes_on(machine, position, problems):
            return
        outcome = machine.run(position)
        if outcome.broken is not None:
            problems.append(_as_problem(outcome.broken, machine.opcode_at))
            return
        count += 1
        legacy = legacy or (count == 1 and outcome.value == _TORCH_MAGIC)
        if legacy and count == _TORCH_STREAMS:
            return
        position = outcome.end


def _goes_on(machine: Machine, position: int, problems: list[Problem]) -> bool:
    """Decide whether another pickle begins here, or say what else does."""
    if _has_magic(machine.window.at(position, 2)):
        return True
    trial = scout(machine.window, position, machine.watch, machine)
    if trial.ledger.executed or trial.broken is None:
        return True
    rest = machine.window.size - position
    if rest > _PADDING or machine.window.at(position, rest).strip(b"\x00 \r\n\t"):
        message = f"{rest} bytes that are no pickle follow the last one"
        problems.append(Problem(kind="malformed", message=message, place=Place(offset=position)))
    return False


def _as_problem(broken: Broken, offset: int) -> Problem:
    kind: Literal["malformed", "truncated"] = "malformed" if broken.kind == "malformed" else "truncated"
    return Problem(kind=kind, message=broken.message, place=Place(offset=offset))


def _nested(
    ledger: Ledger, window: Window, limits: Limits, descend: Descend
) -> tuple[tuple[Artifact, ...], tuple[Problem, ...]]:
    """Read what reaches a loader call; array bytes never do, so they are never taken for pickles."""
    parts: list[Artifact] = []
    unread: list[Problem] = []
    for number, (loader, payload) in enumerate(ledger.payloads):
        place = Place(offset=payload.offset) if isinstance(payload, Payload) else Place()
        data = _bytes_of(payload, window, limits)
        if data is None:
            message = f"{loader} is given more bytes than the {limits.member_bytes} read at once"
            unread.append(Problem(kind="limit", message=message, place=place))
            continue
        found = descend(f"{loader} argument {number + 1}.pkl", data)
        parts.extend(found)
        if not found:
            message = f"{loader} is given {len(data)} bytes that no format reads"
            unread.append(Problem(kind="malformed", message=message, place=place))
    return tuple(parts), tuple(unread)


def _bytes_of(payload: Payload | str, window: Window, limits: Limits) -> bytes | None:
    if isinstance(payload, str):
        try:
            return payload.encode("latin-1")
        except UnicodeEncodeError:
            return payload.encode("utf-8", "surrogatepass")
    if payload.size > limits.member_bytes:
        return None
    data = window.at(payload.offset, payload.size)
    try:
        return data.decode(payload.coding).encode("latin-1") if payload.coding else data
    except UnicodeError:
        return data
