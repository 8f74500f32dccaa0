"""What rules share about build instructions: which of them run commands, and which image a FROM names."""

from __future__ import annotations

COMMANDS = ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK", "ONBUILD")
"""Instructions whose value is a command line; a script's and a notebook's commands are RUN too."""


def image_of(value: str) -> str:
    """Return the image of `FROM [--platform=…] image [AS name]`."""
    words = [word for word in value.split() if not word.startswith("--")]
    return words[0] if words else ""
