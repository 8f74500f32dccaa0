"""Take personal data out of texts: redact it, mask it, or put a keyed pseudonym in its place."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from hauberk.scanning.pii.columns import PersonalColumns, joined
from hauberk.scanning.pii.engine import KINDS, POSSIBLE, Found, search
from hauberk.scanning.pii.kinds import Kind
from hauberk.scanning.pii.names import NAME

Manner: TypeAlias = Literal["redact", "mask", "pseudonym"]
"""redact: [CARD]. mask: all but the last four digits or letters become *. pseudonym: the same value gives the same
token wherever the key is the same, and without the key nobody can tell which."""

_KEPT = 4
_TOKEN = 10
"""Characters of a pseudonym: fifty bits, so that a million people share none but by a chance of one in two thousand."""
_WORD = re.compile(r"[^\W_]")


class Masked(NamedTuple):
    """A batch of a column without its personal data. replaced: how many values."""

    texts: list[str | None]
    replaced: int


class Masker:
    """Replaces what is found.

    key: for pseudonyms, at least 16 bytes. keep_format: digits stay digits, letters letters.
    """

    def __init__(self, manner: Manner, key: bytes = b"", *, keep_format: bool = False) -> None:
        if manner == "pseudonym" and len(key) < 16:
            raise ValueError("a pseudonym needs a key of at least 16 bytes")
        self._manner, self._key, self._keep = manner, key, keep_format

    def text(self, text: str) -> str:
        """Replace what is sure in one text."""
        return self.batch("", [text]).texts[0] or ""

    def batch(self, column: str, texts: Sequence[str | None], seen: PersonalColumns | None = None) -> Masked:
        """Replace what is found in a batch of a column. seen: what the whole column showed, if it was looked at."""
        if not texts:
            return Masked([], 0)
        if seen is not None and seen.holds_names(column):
            whole = [self._replaced(NAME, text) if text else text for text in texts]
            return Masked(whole, sum(1 for text in texts if text))
        raw, _ = joined(texts)
        found = search(raw, column, with_names=True)
        kept = found.sure > POSSIBLE
        if seen is not None:
            kept |= np.isin(found.kinds, list(seen.accepted(column)))
            kept &= ~np.isin(found.kinds, list(seen.doubted(column)))
        found = Found(*(part[kept] for part in found))
        changed = bytearray()
        last = 0
        for kind, start, end in zip(found.kinds.tolist(), found.starts.tolist(), found.ends.tolist(), strict=True):
            changed += raw[last:start]
            changed += self._replaced(KINDS[kind], raw[start:end].decode("utf-8", "replace")).encode()
            last = end
        changed += raw[last:]
        values = changed.decode("utf-8", "replace").split("\0")
        kept_texts = [None if text is None else value for text, value in zip(texts, values, strict=True)]
        return Masked(kept_texts, len(found.starts))

    def _replaced(self, kind: Kind, value: str) -> str:
        label = kind.family.upper().replace(" ", "_").replace("-", "")
        if self._manner == "redact":
            return f"[{label}]"
        if self._manner == "mask":
            return masked(value)
        digest = self._digest(kind, value)
        if self._keep:
            return _formed(value, digest, self._key)
        return f"{label.lower()}_{base64.b32encode(digest).decode().lower()[:_TOKEN]}"

    def _digest(self, kind: Kind, value: str) -> bytes:
        """HMAC-SHA256 over family and value, the value without its separators and in lower case."""
        plain = value.lower() if kind.family in ("e-mail", "name") else "".join(_WORD.findall(value)).lower()
        return hmac.digest(self._key, f"{kind.family}\0{plain}".encode(), hashlib.sha256)


def masked(value: str) -> str:
    """Star digits and letters but the last four, or but the last quarter where there are few."""
    shown = min(_KEPT, len(_WORD.findall(value)) // 4)
    left = len(_WORD.findall(value)) - shown
    out = []
    for mark in value:
        if _WORD.match(mark) and left > 0:
            out.append("*")
            left -= 1
        else:
            out.append(mark)
    return "".join(out)


def _formed(value: str, digest: bytes, key: bytes) -> str:
    """Put other digits for digits and other letters for letters, drawn from the value's own digest."""
    need = 2 * len(value)
    stream = b"".join(
        hmac.digest(key, digest + block.to_bytes(4, "big"), hashlib.sha256) for block in range(need // 32 + 1)
    )
    out = []
    for place, mark in enumerate(value):
        draw = int.from_bytes(stream[2 * place : 2 * place + 2], "big")
        if mark.isdigit():
            out.append(str(draw % 10))
        elif mark.isalpha():
            out.append(chr(draw % 26 + (ord("A") if mark.isupper() else ord("a"))))
        else:
            out.append(mark)
    return "".join(out)
