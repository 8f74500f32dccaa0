"""General Python rules: old ciphers and digests, unverified certificates and host keys in Python."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card


class Cryptography:
    """What ruff reports by the codes below, which are bandit's, where `--general` asks for it.

    Broken digests and ciphers, short keys, connections to anybody.

    Bad:

        hashlib.md5(token)

    Good:

        hashlib.blake2b(token)
    """

    card: ClassVar[Card] = Card(
        title="Weak cryptography",
        summary="Old ciphers and digests, unverified certificates and host keys in Python.",
        paper="CWE-327, CWE-295; bandit B303-B305, B323, B324, B501-B509",
        threats=("CWE-327", "CWE-295", "CWE-326"),
        severity="low",
        reads=("engine.rows",),
    )
    codes: ClassVar[frozenset[str]] = frozenset(
        "S303 S304 S305 S323 S324 S501 S502 S503 S504 S505 S507 S508 S509".split()  # noqa: SIM905
    )
