"""Where keys come from, as a user writes it: file:PATH, env:NAME, passphrase or a token of PKCS#11."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from hauberk.core.errors import UsageError
from hauberk.crypto.key_wrapping import KeySource, Passphrase, SecretKey

OPEN_WITH = "HAUBERK_OPEN_WITH"
"""Names the sources that sealed data and models are opened with, parted by blanks."""


def source(text: str, ask: Callable[[], str] | None = None) -> KeySource:
    """Read one source; ask: for a passphrase that HAUBERK_PASSPHRASE does not hold. Raises UsageError."""
    kind, _, rest = text.partition(":")
    if kind == "file" and rest:
        return SecretKey.of_file(Path(rest))
    if kind == "env" and rest:
        return SecretKey.of_environment(rest)
    if text == "passphrase":
        return Passphrase(os.environ.get("HAUBERK_PASSPHRASE", "") or (ask() if ask is not None else ""))
    if kind == "pkcs11":
        from hauberk.crypto.token_keys import TokenKey

        return TokenKey(text)
    raise UsageError(
        f'"{text}" is no source of a key',
        fix="file:PATH, env:NAME, passphrase, or pkcs11:token=…;object=…?module-path=…",
    )


def sources(texts: Sequence[str], ask: Callable[[], str] | None = None) -> tuple[KeySource, ...]:
    """Read sources; none at all: those the environment names. Raises UsageError."""
    given = list(texts) or os.environ.get(OPEN_WITH, "").split()
    if not given:
        given += ["env:HAUBERK_KEY"] if os.environ.get("HAUBERK_KEY") else []
        given += ["passphrase"] if os.environ.get("HAUBERK_PASSPHRASE") else []
    if not given:
        raise UsageError(
            "no key is named that could open it",
            fix=f"set {OPEN_WITH} to file:PATH, env:NAME, passphrase or pkcs11:…, or give --with",
        )
    return tuple(source(text, ask) for text in given)
