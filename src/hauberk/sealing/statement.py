"""The in-toto statement of a seal as model-signing 1.x writes and reads it, with a hauberk part it leaves aside."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import Literal

import msgspec

from hauberk.crypto.file_digests import ALGORITHMS, Algorithm
from hauberk.sealing.faults import Malformed, shown
from hauberk.sealing.row_blocks import RowBlocks
from hauberk.sealing.row_blocks import check as check_rows
from hauberk.sealing.strict_json import record
from hauberk.sealing.tree import Links, is_proper, order

STATEMENT = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
SEAL = "https://model_signing/signature/v1.0"
"""The predicate type of OpenSSF model signing."""
PROVENANCE = "https://slsa.dev/provenance/v1"
REVOCATIONS = "urn:hauberk:revocations:v1"

_HEX_DIGITS: dict[Algorithm, int] = {"sha256": 64, "blake3": 64, "blake2b": 128}


class Subject(msgspec.Struct, frozen=True):
    """What a statement is about. name: informative only; it may be renamed. digest: algorithm → hexadecimal."""

    name: str = ""
    digest: dict[str, str] = {}


class Head(msgspec.Struct, frozen=True):
    """What every statement has."""

    type: str = msgspec.field(name="_type")
    predicateType: str
    subject: tuple[Subject, ...] = ()


class Resource(msgspec.Struct, frozen=True):
    """A file, or with method "shards" a piece of one as "path:start:end"."""

    name: str
    algorithm: str
    digest: str


class Serialization(msgspec.Struct, frozen=True):
    """How model-signing says the manifest was made."""

    method: Literal["files", "shards"]
    hash_type: str = "sha256"
    allow_symlinks: bool = False
    ignore_paths: tuple[str, ...] = ()
    shard_size: float | None = None


class More(msgspec.Struct, frozen=True, kw_only=True):
    """What hauberk says besides, in the same signed statement.

    sealed, expires: RFC 3339, by the signer's clock. blake3: name → digest. links: name → the link's text, where links
    were recorded. folders: empty ones. rows: name → the rows of a table.
    """

    version: int = 1
    sealed: str = ""
    expires: str = ""
    blake3: dict[str, str] = {}
    links: dict[str, str] = {}
    folders: tuple[str, ...] = ()
    link_rule: Links = "refuse"
    rows: dict[str, RowBlocks] = {}


class _Predicate(msgspec.Struct, frozen=True):
    serialization: Serialization
    resources: tuple[Resource, ...]
    hauberk: More | None = None


class _Statement(msgspec.Struct, frozen=True):
    subject: tuple[Subject, ...]
    predicate: _Predicate


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed: resources in the order of the statement, and the digest of them all."""

    subject: Subject
    serialization: Serialization
    resources: tuple[Resource, ...]
    more: More | None

    @property
    def root(self) -> str:
        """The digest that names the whole: SHA-256 over the digests in order."""
        return self.subject.digest["sha256"]

    @property
    def links(self) -> Links:
        """What became of links."""
        if self.more is not None:
            return self.more.link_rule
        return "follow" if self.serialization.allow_symlinks else "refuse"

    def expires(self) -> dt.datetime | None:
        """Return when the seal ends, if it does; raises Malformed."""
        return moment(self.more.expires) if self.more is not None and self.more.expires else None


def moment(text: str) -> dt.datetime:
    """Read an RFC 3339 moment with its zone; raises Malformed."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed(f"{shown(text, 40)!r} is no date") from error
    if found.tzinfo is None:
        raise Malformed(f"{shown(text, 40)!r} has no time zone")
    return found


def root_digest(resources: Sequence[Resource]) -> str:
    """Digest the resources' digests in their order."""
    chain = hashlib.sha256()
    for resource in resources:
        chain.update(bytes.fromhex(resource.digest))
    return chain.hexdigest()


def encode(manifest: Manifest) -> bytes:
    """Write the statement: exactly these bytes are signed."""
    rule = manifest.serialization
    serialization: dict[str, object] = {
        "method": rule.method,
        "hash_type": rule.hash_type,
        "allow_symlinks": rule.allow_symlinks,
        "ignore_paths": list(rule.ignore_paths),
    }
    resources = [{"name": row.name, "algorithm": row.algorithm, "digest": row.digest} for row in manifest.resources]
    predicate: dict[str, object] = {"serialization": serialization, "resources": resources}
    if manifest.more is not None:
        predicate["hauberk"] = msgspec.to_builtins(manifest.more)
    return statement(SEAL, manifest.subject, predicate)


def statement(kind: str, subject: Subject | None, predicate: object) -> bytes:
    """Write an in-toto statement."""
    about = [{"name": subject.name, "digest": subject.digest}] if subject is not None else []
    whole = {"_type": STATEMENT, "subject": about, "predicateType": kind, "predicate": predicate}
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def head(payload: bytes) -> Head:
    """Read what a statement is; raises Malformed."""
    found = record(payload, Head)
    if found.type != STATEMENT:
        raise Malformed(f"it is not an in-toto statement v1 but {shown(found.type, 80)!r}")
    return found


def decode(payload: bytes) -> Manifest:
    """Read a seal's statement and hold it to itself; raises Malformed."""
    kind = head(payload).predicateType
    if kind != SEAL:
        raise Malformed(f"it is not a seal but {shown(kind, 80)!r}")
    found = record(payload, _Statement)
    if len(found.subject) != 1 or "sha256" not in found.subject[0].digest:
        raise Malformed("it has not one subject with a SHA-256")
    predicate = found.predicate
    for resource in predicate.resources:
        _check(resource, predicate.serialization.method)
    names = [resource.name for resource in predicate.resources]
    if len(set(names)) != len(names):
        raise Malformed("a name stands twice in it")
    for path in predicate.serialization.ignore_paths:
        if path == "." or not is_proper(path):
            raise Malformed(f"it leaves out {shown(path, 80)!r}, which is no plain path")
    if root_digest(predicate.resources) != found.subject[0].digest["sha256"]:
        raise Malformed("its subject's digest is not that of its resources")
    if predicate.hauberk is not None:
        _check_more(predicate.hauberk, set(names))
    return Manifest(
        subject=found.subject[0],
        serialization=predicate.serialization,
        resources=predicate.resources,
        more=predicate.hauberk,
    )


def split_shard(name: str) -> tuple[str, int, int]:
    """Read "path:start:end"; raises Malformed."""
    path, _, rest = name.partition(":")
    start, _, end = rest.partition(":")
    if not (start.isascii() and start.isdigit() and end.isascii() and end.isdigit()):
        raise Malformed(f"the shard {shown(name, 80)!r} is not path:start:end")
    return path, int(start), int(end)


def algorithm_of(resource: Resource) -> Algorithm:
    """Return the digest's algorithm; raises Malformed where we have none of that name."""
    base = resource.algorithm.partition("-sharded-")[0]
    for name in ALGORITHMS:
        if name == base:
            return name
    raise Malformed(f"the digest {shown(resource.algorithm, 40)!r} is not known")


def _check(resource: Resource, method: str) -> None:
    path = split_shard(resource.name)[0] if method == "shards" else resource.name
    if not is_proper(path):
        raise Malformed(f"the name {shown(path, 80)!r} does not stay inside the folder")
    _check_hex(resource.digest, _HEX_DIGITS[algorithm_of(resource)])


def _check_hex(text: str, digits: int) -> None:
    if len(text) != digits or text.strip("0123456789abcdef"):
        raise Malformed("a digest is not lower-case hexadecimal of its length")


def _check_more(more: More, names: set[str]) -> None:
    if more.version != 1:
        raise Malformed(f"its hauberk part is of version {more.version}; this one reads 1")
    for name, value in more.blake3.items():
        _check_hex(value, 64)
        if name not in names:
            raise Malformed("its BLAKE3 digests are of other files")
    for name, rows in more.rows.items():
        check_rows(rows)
        if name not in names:
            raise Malformed("its rows are of other files")
    for name in (*more.links, *more.folders):
        if not is_proper(name):
            raise Malformed(f"the name {shown(name, 80)!r} does not stay inside the folder")
    if more.expires:
        moment(more.expires)


def sorted_resources(resources: Sequence[Resource]) -> tuple[Resource, ...]:
    """Sort resources as model-signing does."""
    return tuple(sorted(resources, key=lambda row: order(row.name)))
