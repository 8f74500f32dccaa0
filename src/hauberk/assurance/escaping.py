"""Text that others wrote, made harmless for each place it is printed in."""

from __future__ import annotations

import re
from urllib.parse import quote

_BLANKS = re.compile(r"[\t\n\r\f\v\x85]+")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_PINGS = re.compile(r"(\\[@#])")


def plain(text: str) -> str:
    """Make every character visible and every text one line.

    Terminal escapes, bidirectional overrides ("Trojan Source", CVE-2021-42574), zero-width characters and lone
    surrogates become their escapes, such as \\x1b; line breaks and tabs become a blank.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _BLANKS.sub(" ", text)
    return "".join(char if char.isprintable() else _visible(char) for char in text)


def _visible(char: str) -> str:
    code = ord(char)
    if code in (0xA0, 0x202F, 0x2009, 0x3000):  # blanks of typography: ours, and harmless
        return " "
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clipped(text: str, limit: int) -> str:
    """Cut a text to at most `limit` characters, and say so."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def markdown(text: str) -> str:
    """Escape text for GitHub's Markdown: no markup, no link, no table cell, no mention, no issue reference.

    A mention is found after rendering, so a backslash does not stop it; an empty character after the sign does.
    """
    escaped = _PUNCTUATION.sub(r"\\\1", plain(text))
    return _PINGS.sub(r"\1&#8203;", escaped)


def code(text: str) -> str:
    """Put text into a Markdown code span that it cannot leave, in a table cell either."""
    shown = plain(text) or " "
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|")


def uri(path: str) -> str:
    """Write a project's relative POSIX path as a relative URI reference (RFC 3986).

    A leading slash, a scheme and steps upwards lose their meaning: the path stays below the project.
    """
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    safe = ["%2E%2E" if part == ".." else quote(part, safe="", errors="surrogatepass") for part in parts]
    return "/".join(safe) or "."
