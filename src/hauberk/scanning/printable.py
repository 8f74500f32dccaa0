"""Text taken from hostile files, made fit for reports and terminals."""

from __future__ import annotations


def plain(text: str) -> str:
    """Escape what does not print: control and direction characters, lone surrogates; line feeds stay."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else character.encode("unicode-escape").decode("ascii")
        for character in text
    )
