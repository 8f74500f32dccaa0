"""Keys that sign files: made, locked, read again; and every file that is not one."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa

from hauberk.core.errors import UsageError
from hauberk.crypto import keys

PEM = serialization.Encoding.PEM


@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384"])
def test_a_key_signs_and_only_its_own_half_verifies(kind: keys.Kind) -> None:
    one, two = keys.new(kind), keys.new(kind)
    signature = one.sign(b"text")
    assert one.public.verify(b"text", signature)
    assert not one.public.verify(b"texts", signature)
    assert not two.public.verify(b"text", signature)
    assert not one.public.verify(b"text", signature[:-1])
    assert not one.public.verify(b"text", b"")
    assert one.public.id != two.public.id


@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384"])
def test_it_is_the_same_key_when_read_again(tmp_path: Path, kind: keys.Kind) -> None:
    key = keys.new(kind)
    (tmp_path / "k.pem").write_bytes(key.pem(b"secret"))
    (tmp_path / "k.pub").write_bytes(key.public.pem())
    assert keys.read_private(tmp_path / "k.pem", b"secret").public.id == key.public.id
    assert keys.read_public(tmp_path / "k.pub").id == key.public.id


WRONG = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "dsa": dsa.generate_private_key(2048),
    "ed448": ed448.Ed448PrivateKey.generate(),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()),
}


@pytest.mark.parametrize("name", WRONG)
def test_keys_of_other_kinds(tmp_path: Path, name: str) -> None:
    key, path = WRONG[name], tmp_path / "k.pem"
    path.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    with pytest.raises(UsageError, match="use"):
        keys.read_private(path)
    path.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(UsageError, match="use"):
        keys.read_public(path)


@pytest.mark.parametrize("content", [b"", b"x", b"-----BEGIN PUBLIC KEY-----\n", b"\0" * 100, b"x" * 100_000])
def test_files_that_are_no_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(UsageError):
        keys.read_private(tmp_path / "k")
    with pytest.raises(UsageError):
        keys.read_public(tmp_path / "k")


def test_a_key_cut_anywhere(tmp_path: Path) -> None:
    pem, path = keys.new("p256").pem(), tmp_path / "k"
    for cut in range(0, len(pem) - 20, 7):
        path.write_bytes(pem[:cut])
        with pytest.raises(UsageError):
            keys.read_private(path)


def test_a_private_key_is_no_public_one_and_a_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(keys.new().pem())
    with pytest.raises(UsageError, match="private key"):
        keys.read_public(tmp_path / "k")
    with pytest.raises(UsageError, match="cannot be read"):
        keys.read_public(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        keys.read_private(tmp_path / "nowhere")
