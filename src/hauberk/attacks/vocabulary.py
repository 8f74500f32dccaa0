"""What an attacker on text knows of words: their spelling, their neighbours in meaning, and slips of the finger."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hauberk.core.errors import DataError, UsageError

Tensor = torch.Tensor

_ROWS = 1024
"""Words compared with all others at once: 1024 × 32,768 cosines are 128 MiB."""

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_STAGGER = 0.5
"""A row of keys stands half a key further right than the one above."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Vocabulary:
    """The words that token ids 0 … v − 1 stand for.

    words: v of them. vectors: (v, e) float32, such that words of like meaning have a large cosine; None where only
    their spelling is known.
    """

    words: tuple[str, ...]
    vectors: Tensor | None = None

    def __post_init__(self) -> None:
        if self.vectors is not None and len(self.vectors) != len(self.words):
            raise DataError(f"{len(self.words)} words and {len(self.vectors)} vectors", where="vocabulary")

    def __repr__(self) -> str:
        """Name it by size and content: a report's settings hold this."""
        state = hashlib.sha256("\x00".join(self.words).encode())
        if self.vectors is not None:
            state.update(self.vectors.detach().float().cpu().numpy().astype("<f4").tobytes())
        return f"{len(self.words)} words, sha256:{state.hexdigest()[:16]}"


def read(path: str) -> Vocabulary:
    """Read an .npz with `words` (v,) of text and, where there are some, `vectors` (v, e); raises DataError."""
    try:
        with np.load(Path(path), allow_pickle=False) as archive:
            words = tuple(str(word) for word in archive["words"])
            vectors = torch.from_numpy(archive["vectors"].astype(np.float32)) if "vectors" in archive.files else None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        fix = "np.savez(path, words=…, vectors=…)"
        raise DataError(f"holds no vocabulary: {error}", where=path, fix=fix) from error
    return Vocabulary(words, vectors)


def near(vectors: Tensor, count: int, least: float) -> Tensor:
    """List the nearest other words of each, by cosine, nearest first: (v, count) ids.

    Where fewer than `count` have a cosine of at least `least`, the word's own id fills the rest.
    """
    unit = nn.functional.normalize(vectors.float(), dim=1)
    own = torch.arange(len(unit), device=unit.device)
    found = []
    for rows in torch.split(own, _ROWS):
        cosine = unit[rows] @ unit.T
        cosine[torch.arange(len(rows)), rows] = -torch.inf
        top, which = cosine.topk(min(count, len(unit) - 1), dim=1)
        found.append(torch.where(top >= least, which, rows.unsqueeze(1)))
    return torch.cat(found)


def misspelt(words: tuple[str, ...], count: int, unknown: int) -> Tensor:
    """List what a slip of the finger makes of each word: (v, count) ids, a word's own id where there is no more.

    A neighbour swapped, a letter left out, doubled, or replaced by the one beside it on a keyboard. A spelling that is
    no word becomes `unknown`, once: the model cannot tell two of them apart.
    """
    ids = {word: index for index, word in enumerate(words)}
    table = torch.arange(len(words)).unsqueeze(1).repeat(1, count)
    for index, word in enumerate(words):
        made = dict.fromkeys(ids.get(slip, unknown) for slip in slips(word))
        made.pop(index, None)
        for place, other in enumerate(list(made)[:count]):
            table[index, place] = other
    return table


def slips(word: str) -> Iterator[str]:
    """Spell a word wrong by one slip; a word of one letter only has its neighbours on the keyboard.

    Source: Gao et al. 2018, arXiv:1801.04354 (DeepWordBug), section III-C; first and last letter stay where they are,
    by which people read on.
    """
    single = len(word) == 1
    for place in range(0 if single else 1, 1 if single else len(word) - 1):
        for other in _beside(word[place]):
            yield word[:place] + other + word[place + 1 :]
        if single:
            continue
        yield word[:place] + word[place + 1 :]
        yield word[: place + 1] + word[place:]
        if place + 2 < len(word):
            yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _beside(letter: str) -> list[str]:
    """Find the keys beside a letter on a QWERTY keyboard."""
    places = {key: (row, column + _STAGGER * row) for row, keys in enumerate(_KEYS) for column, key in enumerate(keys)}
    if letter not in places:
        return []
    row, column = places[letter]
    return [
        key
        for key, (other, along) in places.items()
        if key != letter and abs(other - row) <= 1 and abs(along - column) <= 1
    ]


def table_of(module: nn.Module, name: str, tokens: int) -> nn.Embedding:
    """Find the embedding a module looks its `tokens` ids up in: the one of that name, or the only one large enough.

    Raises UsageError where that is not one.
    """
    found = {path: part for path, part in module.named_modules() if isinstance(part, nn.Embedding)}
    fit = {
        path: part
        for path, part in found.items()
        if (f".{path}".endswith(f".{name}") if name else part.num_embeddings >= tokens)
    }
    if len(fit) != 1:
        there = ", ".join(found) or "none"
        raise UsageError(f"{len(fit)} embeddings of {tokens} tokens fit; there are: {there}", fix="name it: embedding")
    return next(iter(fit.values()))
