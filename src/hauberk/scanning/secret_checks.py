"""What can be verified of a secret without asking anybody: checksums, headers that decode, ids inside."""

from __future__ import annotations

import base64
import binascii
import json
import zlib

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def crc_base62(token: str) -> bool:
    """Check the last six characters of a GitHub or npm token: CRC-32 of the 30 before them, in base 62."""
    body = token.rsplit("_", 1)[-1]
    number, digits = zlib.crc32(body[:-6].encode()), ""
    while number:
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits.rjust(6, "0") == body[-6:]


def is_web_token(token: str) -> bool:
    """Tell whether the first part decodes to a JSON header with an algorithm, and the body is no textbook example."""
    head, body = (_decoded(part) for part in token.split(".")[:2])
    try:
        header = json.loads(head)
    except (ValueError, RecursionError):
        return False
    signed = isinstance(header, dict) and isinstance(header.get("alg"), str) and header["alg"].lower() != "none"
    return signed and b"1234567890" not in body and b"John Doe" not in body


def is_bot_token(token: str) -> bool:
    """Tell whether the first part of a Discord token decodes to the number of an account."""
    return _decoded(token.split(".", 1)[0]).isdigit()


def is_address_token(token: str) -> bool:
    """Tell whether a Neptune token decodes to JSON with an address in it."""
    return b"api_address" in _decoded(token)


def is_login(text: str) -> bool:
    """Tell whether base64 of a login decodes to `name:password`, neither of them a placeholder."""
    plain = _decoded(text)
    name, colon, password = plain.partition(b":")
    return bool(name and colon and len(password) >= 6 and plain.isascii() and plain.decode().isprintable())


def unwrapped(text: str) -> str:
    """Return the text that base64 spells; "" where it spells none."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (ValueError, binascii.Error):
        return ""


def _decoded(text: str) -> bytes:
    """Decode base64 of either alphabet; b"" where it is none."""
    plain = text.replace("+", "-").replace("/", "_").rstrip("=")
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except (ValueError, binascii.Error):
        return b""
