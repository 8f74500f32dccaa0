"""Models of llama.cpp and its kin from before GGUF: GGML, GGMF, GGJT and GGLA files."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Place, Problem, Reference
from hauberk.scanning.fixed_fields import BrokenLayout, Fields
from hauberk.scanning.payloads import payloads
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_MAGICS = {b"lmgg": "ggml", b"fmgg": "ggmf", b"tjgg": "ggjt", b"algg": "ggla"}
"""The letters stand backwards: they are one little-endian number."""
_VERSIONS = {"ggmf": range(1, 2), "ggjt": range(1, 4), "ggla": range(1, 2)}
_SIZES: dict[int, tuple[int, tuple[int, ...]]] = {
    0: (1, (4,)), 1: (1, (2,)), 2: (32, (20, 18)), 3: (32, (24, 20)), 6: (32, (22, 24)), 7: (32, (24, 26)),
    8: (32, (36, 34)), 9: (32, (40, 44)), 10: (256, (84,)), 11: (256, (110,)), 12: (256, (144,)), 13: (256, (176,)),
    14: (256, (210,)), 15: (256, (292,)),
}  # fmt: skip
"""Elements and bytes of a block by type; formats changed sizes between versions, so more than one may hold."""
_LONGEST_NAME, _TENSORS = 512, 100_000
_ALIGNED = 32


class GgmlLegacy:
    """Hold vocabulary and tensors against the file; other programs' layouts under the same letters are said."""

    card: ClassVar[Card] = Card(
        title="GGML model (before GGUF)",
        summary="ggml, ggmf, ggjt and ggla files: vocabulary, tensors and what hides among them.",
        paper="llama.cpp, llama_file_loader before August 2023; docs/gguf.md, historical state of affairs",
        suffixes=(".ggml", ".bin"),
        begins=("lmgg", "fmgg", "tjgg", "algg"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the first four bytes."""
        return blob.head[:4] in _MAGICS

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure; weights are searched for what does not belong there."""
        references: list[Reference] = []
        problems: list[Problem] = []
        spans: list[tuple[int, int]] = []
        with blob.open() as stream:
            window, kind = Window(stream, blob.size), _MAGICS.get(blob.head[:4], "")
            try:
                _read(window, kind, Watch(limits), spans)
            except _OtherLayout:
                words = f"{kind} file of another program's layout: only searched for what does not belong there"
                references.append(Reference(kind="opaque-layout", value=words))
                spans = [(0, blob.size)]
            except BrokenLayout as error:
                problems.append(Problem(kind="malformed", message=str(error), place=Place(offset=error.offset)))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
            references.extend(payloads(stream, blob.size, spans))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="ggml_legacy",
            size=blob.size,
            references=tuple(references),
            problems=tuple(problems),
        )


class _OtherLayout(Exception):
    """The header is not llama.cpp's: whisper, GPT-2 and others used the same letters."""


def _read(window: Window, kind: str, watch: Watch, spans: list[tuple[int, int]]) -> None:
    if not kind:
        raise BrokenLayout("it begins with none of the four words", 0)
    at = Fields(window, 4)
    if kind != "ggml" and at.numbers("<I", "a version")[0] not in _VERSIONS[kind]:
        raise BrokenLayout("its version is none that was written", 4)
    if kind == "ggla":
        at.numbers("<2I", "rank and scale")
    else:
        _vocabulary(at, kind, watch)
    before = at.place
    try:
        while at.left:
            watch.tick()
            spans.append(_tensor(at, window, aligned=kind in ("ggjt", "ggla")))
            if len(spans) > _TENSORS:
                raise LimitExceeded(f"more than {_TENSORS} tensors", fix="look by hand")
    except BrokenLayout:
        if kind == "ggml" and at.place == before:
            raise _OtherLayout from None
        raise


def _vocabulary(at: Fields, kind: str, watch: Watch) -> None:
    """Pass over the words; raises _OtherLayout where the header cannot be llama.cpp's."""
    words, width, _, heads, layers, _, _ = at.numbers("<7i", "the header")
    plausible = 0 < words < 1 << 22 and 0 < width < 1 << 20 and 0 < heads < 1 << 12 and 0 < layers < 1 << 12
    if not plausible and kind == "ggml":
        raise _OtherLayout
    if not plausible:
        raise BrokenLayout("the sizes in its header are none of a model", 4)
    try:
        for _ in range(words):
            watch.tick()
            (size,) = at.numbers("<I", "a word's length")
            at.skip(size, "a word")
            if kind != "ggml":
                at.skip(4, "a score")
    except BrokenLayout:
        if kind == "ggml":
            raise _OtherLayout from None
        raise


def _tensor(at: Fields, window: Window, *, aligned: bool) -> tuple[int, int]:
    """Read one tensor's header and pass over its numbers."""
    begun = at.place
    dimensions, name_size, kind = at.numbers("<3I", "a tensor's header")
    if not 0 < dimensions <= 4 or name_size > _LONGEST_NAME or kind not in _SIZES:
        at.place = begun
        raise BrokenLayout("a tensor's header has sizes or a type that none has", begun)
    shape = at.numbers(f"<{dimensions}I", "a shape")
    at.skip(name_size, "a name")
    if aligned:
        at.skip(min(-at.place % _ALIGNED, at.left), "padding")
    elements, sizes = _SIZES[kind]
    blocks = prod(shape) // elements
    fitting = [size for size in sizes if _goes_on(window, at.place + blocks * size)]
    return at.skip(blocks * (fitting or sizes)[0], "a tensor")


def _goes_on(window: Window, place: int) -> bool:
    """Tell whether the file ends at an offset or another tensor begins there."""
    raw = window.at(place, 12) if place <= window.size else b""
    return place == window.size or (len(raw) == 12 and 0 < raw[0] <= 4 and raw[1:4] == b"\x00\x00\x00" and raw[8] < 16)
