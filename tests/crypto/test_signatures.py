"""Keys: made once, kept to their owner, refused where they are wrong; checkpoints: no byte can be changed."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hauberk.core.errors import StoreError
from hauberk.crypto import checkpoints, signatures

KEY = signatures.SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
CHECKPOINT = checkpoints.sign(
    checkpoints.SignedCheckpoint(
        origin="log", size=7, root="ab" * 32, time="2026-11-23T12:00:00+00:00", key=KEY.public.id, previous="cd" * 32
    ),
    KEY,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".hauberk" / "keys" / "evidence.key"


def test_the_published_rfc_8032_vector():
    """RFC 8032 §7.1, test 2."""
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key = signatures.SigningKey(Ed25519PrivateKey.from_private_bytes(secret))
    assert key.sign(b"\x72") == signature
    assert key.public.verify(b"\x72", signature)
    assert not key.public.verify(b"\x73", signature)


def test_the_id_is_a_digest_of_the_public_key():
    raw = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
    assert KEY.public.id == "ed25519:" + hashlib.sha256(raw).hexdigest()[:16]


def test_a_key_is_made_on_first_use_and_kept(path):
    made = signatures.load_or_create(path)
    assert signatures.load_or_create(path).public.id == made.public.id
    assert signatures.load_public(path.with_suffix(".pub")).id == made.public.id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(item.name for item in path.parent.iterdir()) == [".gitignore", "evidence.key", "evidence.pub"]
    assert "*" in (path.parent / ".gitignore").read_text().splitlines()


def test_all_who_come_first_get_the_same_key(path):
    with ThreadPoolExecutor(8) as pool:
        assert len({key.public.id for key in pool.map(signatures.load_or_create, [path] * 8)}) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_open_to_others_is_refused(path, mode):
    signatures.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(StoreError, match=f"mode {mode:04o}") as caught:
        signatures.load(path)
    assert caught.value.fix == "chmod 600 evidence.key"
    assert caught.value.where == str(path)


def test_a_missing_key_is_named(path):
    with pytest.raises(StoreError, match="signing key is missing"):
        signatures.load(path)
    with pytest.raises(StoreError, match="public key is missing"):
        signatures.load_public(path)


def _pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "PKCS #8 PEM"),
        (b"\x80\x04not a key", "PKCS #8 PEM"),
        (_pem(Ed25519PrivateKey.generate())[:60], "PKCS #8 PEM"),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "Ed25519"),
    ],
    ids=["empty", "pickle", "cut short", "another curve"],
)
def test_a_malformed_key_is_refused(path, content, message):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreError, match=message):
        signatures.load(path)


def test_an_encrypted_key_is_refused(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    path.chmod(0o600)
    with pytest.raises(StoreError, match="unencrypted"):
        signatures.load(path)


def test_a_public_half_of_another_key_is_refused(path):
    signatures.load_or_create(path)
    path.with_suffix(".pub").write_bytes(KEY.public.pem())
    with pytest.raises(StoreError, match="does not belong"):
        signatures.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)]
)  # fmt: skip
def test_a_malformed_public_key_is_refused(tmp_path, content):
    (tmp_path / "evidence.pub").write_bytes(content)
    with pytest.raises(StoreError, match="public key"):
        signatures.load_public(tmp_path / "evidence.pub")


def test_a_lost_public_half_is_written_again(path):
    made = signatures.load_or_create(path)
    path.with_suffix(".pub").unlink()
    signatures.load(path)
    assert signatures.load_public(path.with_suffix(".pub")).id == made.public.id


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "keys").write_text("a file, not a folder")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        signatures.load_or_create(tmp_path / "keys" / "evidence.key")
    assert "writable" in caught.value.fix


def test_a_file_system_without_hard_links(path, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert signatures.load_or_create(path).public.id == signatures.load(path).public.id


def test_a_checkpoint_is_signed_by_its_key_only():
    assert checkpoints.is_signed_by(CHECKPOINT, KEY.public)
    assert not checkpoints.is_signed_by(CHECKPOINT, signatures.generate().public)


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "lag"},
        {"size": 8},
        {"root": "ab" * 31 + "ac"},
        {"time": "2026-11-23T12:00:01+00:00"},
        {"key": "ed25519:0000000000000000"},
        {"previous": ""},
        {"signature": ""},
        {"signature": "zz"},
        {"signature": CHECKPOINT.signature.upper()},
        {"signature": CHECKPOINT.signature + " "},
    ],
)
def test_no_field_of_a_checkpoint_can_be_changed(change):
    changed = msgspec.structs.replace(CHECKPOINT, **change)
    assert not checkpoints.is_signed_by(changed, KEY.public)
    assert checkpoints.digest(changed) != checkpoints.digest(CHECKPOINT)


@given(st.integers(0, 511))
def test_no_bit_of_a_signature_can_be_flipped(bit):
    raw = bytearray(bytes.fromhex(CHECKPOINT.signature))
    raw[bit // 8] ^= 1 << bit % 8
    assert not checkpoints.is_signed_by(msgspec.structs.replace(CHECKPOINT, signature=raw.hex()), KEY.public)


def test_a_signature_means_nothing_without_its_context():
    unsigned = msgspec.json.encode(msgspec.structs.replace(CHECKPOINT, signature=""), order="sorted")
    signature = KEY.sign(unsigned).hex()
    assert not checkpoints.is_signed_by(msgspec.structs.replace(CHECKPOINT, signature=signature), KEY.public)
