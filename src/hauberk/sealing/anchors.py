"""Whom a signature is held to, a public key, certificate roots or Sigstore's trusted root; and who it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from hauberk.crypto.certificates import Certificate, Holder, Untrusted, from_der, hold, holder, key_of
from hauberk.crypto.dsse import pae
from hauberk.crypto.keys import Signer, Verifier
from hauberk.sealing.bundle import Bundle
from hauberk.sealing.statement import PAYLOAD_TYPE
from hauberk.sealing.transparency import TrustedRoot, logged

NOT_LOOKED_AT = "revocation of the certificate by CRL or OCSP"


class KeyAnchor(NamedTuple):
    """A public key that is trusted itself."""

    key: Verifier


class RootsAnchor(NamedTuple):
    """Certificate authorities that are trusted to name signers."""

    roots: tuple[Certificate, ...]


class SigstoreAnchor(NamedTuple):
    """Sigstore's authorities and logs, from a trusted_root.json."""

    root: TrustedRoot


Anchor: TypeAlias = KeyAnchor | RootsAnchor | SigstoreAnchor


class Attested(NamedTuple):
    """Who signed. key: its id. when: proven by a log; None where only the signer's own word would say.

    unchecked: what was not looked at, in words.
    """

    key: str
    holder: Holder | None
    when: dt.datetime | None
    unchecked: tuple[str, ...]


class BadSignature(Exception):
    """A signature that is not over these bytes, or not this key's."""


def sign(payload: bytes, signer: Signer, chain: Sequence[bytes] = ()) -> Bundle:
    """Sign a statement with a key; chain: certificates in DER, the signer's own first."""
    signature = signer.sign(pae(PAYLOAD_TYPE, payload))
    return Bundle(payload=payload, signature=signature, hint="" if chain else signer.public.hint, chain=tuple(chain))


def attest(bundle: Bundle, anchor: Anchor, now: dt.datetime) -> Attested:
    """Hold a bundle's signature to an anchor; raises BadSignature or Untrusted with the reason."""
    if bundle.signature is None:
        raise BadSignature("nobody signed it")
    if isinstance(anchor, KeyAnchor):
        return _by_key(bundle, bundle.signature, anchor.key)
    if not bundle.chain:
        raise Untrusted("it carries no certificate")
    leaf, *between = [from_der(data) for data in bundle.chain]
    key = key_of(leaf)
    if not key.verify(pae(PAYLOAD_TYPE, bundle.payload), bundle.signature):
        raise BadSignature("the signature is not of these bytes by the certified key")
    if isinstance(anchor, SigstoreAnchor):
        when = logged(bundle, leaf, anchor.root)
        hold(leaf, [*between, *anchor.root.between(when)], anchor.root.roots(when), when)
        unchecked: tuple[str, ...] = ("the certificate's own transparency log (SCT)",)
        unchecked += ("RFC 3161 timestamps",) if bundle.timestamped else ()
        return Attested(key.id, holder(leaf), when, unchecked)
    hold(leaf, between, anchor.roots, now)
    return Attested(key.id, holder(leaf), None, (NOT_LOOKED_AT,))


def _by_key(bundle: Bundle, signature: bytes, key: Verifier) -> Attested:
    if bundle.hint and bundle.hint != key.hint:
        raise Untrusted("it was signed with another key")
    if not key.verify(pae(PAYLOAD_TYPE, bundle.payload), signature):
        if not bundle.hint:
            raise Untrusted("the signature is not this key's, or not of these bytes")
        raise BadSignature("the signature is not of these bytes")
    return Attested(key.id, None, None, ())
