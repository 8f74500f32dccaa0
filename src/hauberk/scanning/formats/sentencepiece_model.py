"""SentencePiece vocabularies (tokenizer.model, spiece.model): pieces and settings, from the protobuf bytes alone."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Note, Place, Problem, Reference
from hauberk.scanning.payloads import payloads
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.wire import BYTES, FIXED32, VARINT, BrokenWire, Field, fields, text

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE_KINDS = {1: BYTES, 2: FIXED32, 3: VARINT}
_TOP = range(1, 6)
_LONGEST_PIECE = 1 << 16
_CONTROL = (3, 4)


class SentencepieceModel:
    """Walk the pieces; what is no text or score is searched for what does not belong there."""

    card: ClassVar[Card] = Card(
        title="SentencePiece model",
        summary="Tokenizer vocabularies: pieces, training settings and normalisation tables.",
        paper="google/sentencepiece, src/sentencepiece_model.proto",
        suffixes=(".model", ".spm"),
        begins=("\x0a",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept a first field that is a piece: a text and a score, and no more."""
        with blob.open() as stream:
            return blob.head[:1] == b"\x0a" and _first_is_piece(Window(stream, blob.size, 4096))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure."""
        others: list[Field] = []
        notes: list[Note] = []
        problems: list[Problem] = []
        found: tuple[Reference, ...] = ()
        with blob.open() as stream:
            window, watch = Window(stream, blob.size), Watch(limits)
            try:
                for field in fields(window, 0, window.size, watch):
                    if field.number == _PIECES and field.kind == BYTES:
                        _piece(window, field, watch, notes)
                    elif field.number in _TOP and field.kind == BYTES:
                        others.append(field)
                    else:
                        message = f"a field {field.number} that no vocabulary has"
                        problems.append(Problem(kind="malformed", message=message, place=Place(offset=field.start)))
                        break
            except BrokenWire as error:
                problems.append(Problem(kind="malformed", message=str(error), place=Place(offset=error.offset)))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
            found = payloads(stream, blob.size, [(field.start, field.stop) for field in others])
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="sentencepiece_model",
            size=blob.size,
            references=found,
            notes=tuple(notes),
            problems=tuple(problems),
        )


def _first_is_piece(window: Window) -> bool:
    watch = Watch(Limits(nodes=64, seconds=1.0))
    try:
        first = next(fields(window, 0, window.size, watch))
        if first.number != _PIECES or first.stop - first.start > _LONGEST_PIECE:
            return False
        kinds = {one.number: one.kind for one in fields(window, first.start, first.stop, watch)}
    except (BrokenWire, LimitExceeded, StopIteration):
        return False
    return {1, 2} <= kinds.keys() and all(_PIECE_KINDS.get(number) == kind for number, kind in kinds.items())


def _piece(window: Window, field: Field, watch: Watch, notes: list[Note]) -> None:
    """Hold one piece against the format; control pieces and those of users are kept as texts for the rules."""
    piece, kind = "", 1
    for one in fields(window, field.start, field.stop, watch):
        if one.number == 1 and one.kind == BYTES:
            piece = text(window, one, _LONGEST_PIECE)
        elif one.number == 3 and one.kind == VARINT:
            kind = one.value
    if kind in _CONTROL and len(notes) < 1000:
        notes.append(Note(name=f"piece:{len(notes)}", text=piece, place=Place(offset=field.start)))
