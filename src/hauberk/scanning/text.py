"""Text files read whole within the limits, whatever their encoding."""

from __future__ import annotations

import codecs
import hashlib
from typing import NamedTuple

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Blob

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Text(NamedTuple):
    """A text and the digest of its bytes, "sha256:…"."""

    text: str
    digest: str
    data: bytes


def read_text(blob: Blob, limits: Limits) -> Text:
    """Read and decode a text file; bytes that are no text become replacement characters.

    Raises LimitExceeded above limits.text_bytes.
    """
    if blob.size > limits.text_bytes:
        raise LimitExceeded(
            f"{blob.size} bytes of text are more than the {limits.text_bytes} read at once", fix="look by hand"
        )
    data = blob.read()
    return Text(decode(data), f"sha256:{hashlib.sha256(data).hexdigest()}", data)


def decode(data: bytes, encoding: str = "utf-8") -> str:
    """Decode by byte-order mark, else as `encoding`; line ends become line feeds."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), encoding)
    return data.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def is_text(head: bytes) -> bool:
    """Tell from its first bytes whether a file is text: no control bytes, and UTF-8 or marked UTF-16/32."""
    if any(head.startswith(mark) for mark, _ in _MARKS[1:]):
        return True
    if not head or b"\x00" in head:
        return False
    if sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head) > len(head) // 100:
        return False
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head)
    except UnicodeDecodeError:
        return _mostly_printable(head)
    return True


def _mostly_printable(head: bytes) -> bool:
    """Tell an older one-byte encoding from binary: few bytes beyond ASCII."""
    return sum(byte > 126 for byte in head) <= len(head) // 10
