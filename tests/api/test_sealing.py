"""Seal and verify: each way of changing what was sealed, and each way of signing wrongly, is named."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hauberk.api.sealed_models import gate
from hauberk.api.sealing import SealingFailed, beside, new_key, seal
from hauberk.api.verifying import Trust, Verified, verify
from hauberk.core.errors import TargetError, UsageError
from hauberk.core.project import ModelSection, Project, SealSection

NOON = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


def noon() -> dt.datetime:
    return NOON


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"w" * 3_000_000)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "a\u202e b.txt").write_text("x") if os.name != "nt" else None
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
def key(tmp_path: Path) -> Path:
    new_key(tmp_path / "key.pem")
    return tmp_path / "key.pem"


def sealed(model: Path, key: Path) -> Path:
    (model / "sub" / "a\u202e b.txt").rename(model / "sub" / "a b.txt")
    return seal(model, key=key, clock=noon).path


def held(model: Path, key: Path, **more: object) -> Verified:
    trust = Trust(keys=(key.with_name(key.name + ".pub"),))
    return verify(model, trust, clock=noon, **more)  # type: ignore[arg-type]


def kinds(found: Verified) -> set[tuple[str, str]]:
    return {(fault.kind, fault.path) for fault in found.faults}


def test_what_was_sealed_holds_and_says_who_signed(model: Path, key: Path) -> None:
    place = sealed(model, key)
    found = held(model, key)
    assert place == beside(model)
    assert found.exit_status == 0
    assert found.files == 3
    assert found.signature is not None
    assert found.signature.key.startswith("sha256:")


def replace(model: Path) -> None:
    (model / "weights.bin").write_bytes(b"v" + b"w" * 2_999_999)


def link(model: Path) -> None:
    (model / "config.json").unlink()
    (model / "config.json").symlink_to("weights.bin")


def swap(model: Path) -> None:
    (model / "config.json").rename(model / "x")
    (model / "weights.bin").rename(model / "config.json")
    (model / "x").rename(model / "weights.bin")


def rename(model: Path) -> None:
    (model / "sub" / "a b.txt").rename(model / "a b.txt")


CHANGES: list[tuple[Callable[[Path], object], set[tuple[str, str]]]] = [
    (replace, {("changed", "weights.bin")}),
    (lambda model: (model / "config.json").unlink(), {("missing", "config.json")}),
    (lambda model: (model / "new.py").write_text(""), {("extra", "new.py")}),
    (lambda model: (model / "empty").rmdir(), {("missing", "empty")}),
    (rename, {("missing", "sub/a b.txt"), ("extra", "a b.txt")}),
    (link, {("kind", "config.json")}),
    (swap, {("changed", "config.json"), ("changed", "weights.bin")}),
    (lambda model: (model / "weights.bin").write_bytes(b"w" * 2_999_999), {("changed", "weights.bin")}),
    (lambda model: os.mkfifo(model / "pipe"), {("extra", "pipe")}),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_each_change_is_named(
    model: Path, key: Path, change: Callable[[Path], object], expected: set[tuple[str, str]]
) -> None:
    sealed(model, key)
    change(model)
    found = held(model, key)
    assert expected <= kinds(found)
    assert found.exit_status == 1


def test_a_folder_that_was_sealed_holds_after_it_is_moved(model: Path, key: Path, tmp_path: Path) -> None:
    place = sealed(model, key)
    moved = tmp_path / "elsewhere"
    shutil.copytree(model, moved)
    assert held(moved, key, seal=place).exit_status == 0


def test_a_seal_of_another_folder_is_no_seal_of_this_one(model: Path, key: Path, tmp_path: Path) -> None:
    place = sealed(model, key)
    other = tmp_path / "other"
    other.mkdir()
    (other / "weights.bin").write_bytes(b"evil")
    assert ("changed", "weights.bin") in kinds(held(other, key, seal=place))


def test_another_key_is_not_trusted(model: Path, key: Path, tmp_path: Path) -> None:
    sealed(model, key)
    new_key(tmp_path / "other.pem")
    assert {fault.kind for fault in held(model, tmp_path / "other.pem").faults} == {"untrusted"}


def edited(place: Path, change: Callable[[dict[str, object]], object]) -> None:
    import base64

    bundle = json.loads(place.read_text())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(statement)
    raw = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(raw).decode()
    place.write_text(json.dumps(bundle))


def test_an_edited_list_breaks_its_signature(model: Path, key: Path) -> None:
    place = sealed(model, key)
    edited(place, lambda statement: statement["predicate"]["hauberk"].update(expires="2030-01-01T00:00:00+00:00"))  # type: ignore[index]
    assert "signature" in {fault.kind for fault in held(model, key).faults}


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", ""])
def test_names_that_lead_out_are_malformed(model: Path, key: Path, name: str) -> None:
    place = sealed(model, key)
    edited(place, lambda statement: statement["predicate"]["resources"][0].update(name=name))  # type: ignore[index]
    assert {fault.kind for fault in held(model, key).faults} == {"malformed"}


@pytest.mark.parametrize("text", ["", "{}", "[" * 5000, '{"a":1,"a":2}', "\xff", '{"mediaType": 3}'])
def test_a_seal_that_is_none(model: Path, key: Path, text: str) -> None:
    place = sealed(model, key)
    place.write_text(text, encoding="latin-1")
    assert {fault.kind for fault in held(model, key).faults} == {"malformed"}


def test_no_seal_at_all(model: Path, key: Path) -> None:
    assert {fault.kind for fault in held(model, key).faults} == {"unsealed"}


def test_unsigned_counts_only_where_it_may(model: Path, key: Path) -> None:
    sealed(model, key)
    seal(model, clock=noon)
    assert {fault.kind for fault in held(model, key).faults} == {"unsigned"}
    assert verify(model, Trust(unsigned=True), clock=noon).exit_status == 0
    replace(model)
    assert verify(model, Trust(unsigned=True), clock=noon).exit_status == 1
    with pytest.raises(UsageError, match="nobody is trusted"):
        verify(model, Trust())


def test_an_ended_seal(model: Path, key: Path) -> None:
    sealed(model, key)
    seal(model, key=key, clock=noon, expires=NOON + dt.timedelta(days=1))
    assert held(model, key).exit_status == 0
    trust = Trust(keys=(key.with_name("key.pem.pub"),))
    later = verify(model, trust, clock=lambda: NOON + dt.timedelta(days=2))
    assert {fault.kind for fault in later.faults} == {"expired"}


@pytest.mark.parametrize("target", ["weights.bin", "../outside", "loop"])
def test_links_are_refused_unless_asked_for(model: Path, key: Path, target: str) -> None:
    (model / "sub" / "a\u202e b.txt").unlink()
    (model / "loop").symlink_to(target)
    with pytest.raises(SealingFailed, match="loop"):
        seal(model, key=key, clock=noon)
    assert not beside(model).exists()


def test_a_recorded_link_may_not_lead_elsewhere_later(model: Path, key: Path) -> None:
    (model / "sub" / "a\u202e b.txt").unlink()
    (model / "latest").symlink_to("weights.bin")
    seal(model, key=key, links="record", clock=noon)
    assert held(model, key).exit_status == 0
    (model / "latest").unlink()
    (model / "latest").symlink_to("config.json")
    assert ("kind", "latest") in kinds(held(model, key))


def test_names_that_do_not_print_are_sealed_and_pipes_are_not(model: Path, key: Path) -> None:
    seal(model, key=key, clock=noon)
    assert held(model, key).exit_status == 0
    os.mkfifo(model / "pipe")
    with pytest.raises(SealingFailed, match="pipe"):
        seal(model, key=key, clock=noon)


def test_a_locked_key(model: Path, tmp_path: Path) -> None:
    (model / "sub" / "a\u202e b.txt").unlink()
    new_key(tmp_path / "locked.pem", passphrase="secret")
    assert b"ENCRYPTED" in (tmp_path / "locked.pem").read_bytes()
    assert (tmp_path / "locked.pem").stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="locked"):
        seal(model, key=tmp_path / "locked.pem")
    with pytest.raises(UsageError, match="wrong"):
        seal(model, key=tmp_path / "locked.pem", passphrase="guess")
    seal(model, key=tmp_path / "locked.pem", passphrase="secret")
    with pytest.raises(UsageError, match="file of that name"):
        new_key(tmp_path / "locked.pem")


def test_one_file(tmp_path: Path, key: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"abc")
    seal(tmp_path / "m.onnx", key=key, clock=noon)
    assert held(tmp_path / "m.onnx", key).exit_status == 0
    (tmp_path / "m.onnx").write_bytes(b"abd")
    assert held(tmp_path / "m.onnx", key).exit_status == 1


def certificate(
    name: str, public: object, issuer: str, signer: ec.EllipticCurvePrivateKey, ca: bool
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    made = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOON - dt.timedelta(days=1))
        .not_valid_after(NOON + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)  # type: ignore[arg-type]
    )
    if not ca:
        made = made.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(name)]), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    return made.sign(signer, hashes.SHA256())


def test_a_certificate_says_who_signed(model: Path, tmp_path: Path) -> None:
    (model / "sub" / "a\u202e b.txt").unlink()
    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = certificate("authority", root.public_key(), "authority", root, ca=True)
    leaf = certificate("release@example.org", own.public_key(), "authority", root, ca=False)
    pem = serialization.Encoding.PEM
    private = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "own.pem").write_bytes(private)
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(pem))
    (tmp_path / "ca.pem").write_bytes(authority.public_bytes(pem))
    seal(model, key=tmp_path / "own.pem", chain=tmp_path / "leaf.pem", clock=noon)
    found = verify(model, Trust(roots=(tmp_path / "ca.pem",), identity="release@example.org"), clock=noon)
    assert found.faults == ()
    assert found.signature is not None
    assert found.signature.signer == "release@example.org"
    other = verify(model, Trust(roots=(tmp_path / "ca.pem",), identity="someone@example.org"), clock=noon)
    assert {fault.kind for fault in other.faults} == {"untrusted"}
    late = verify(model, Trust(roots=(tmp_path / "ca.pem",)), clock=lambda: NOON + dt.timedelta(days=60))
    assert {fault.kind for fault in late.faults} == {"untrusted"}


def guarded(tmp_path: Path, **more: object) -> Project:
    section = SealSection(required=True, keys=("key.pem.pub",), **more)
    return Project(model=ModelSection(source="m.onnx"), seal=section)


def test_a_model_is_refused_before_it_is_loaded(tmp_path: Path, key: Path) -> None:
    model, project = tmp_path / "m.onnx", guarded(tmp_path)
    model.write_bytes(b"abc")
    with pytest.raises(TargetError, match="unsealed"), gate(project, tmp_path):
        pytest.fail("the model was opened")
    seal(model, key=key)
    with gate(project, tmp_path):
        pass
    model.write_bytes(b"abd")
    with pytest.raises(TargetError, match="changed"), gate(project, tmp_path):
        pytest.fail("the model was opened")


def test_a_model_swapped_while_it_is_loaded_is_found(tmp_path: Path, key: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"abc")
    seal(model, key=key)
    (tmp_path / "evil").write_bytes(b"abd")
    with pytest.raises(TargetError, match="changed while"), gate(guarded(tmp_path), tmp_path):
        (tmp_path / "evil").replace(model)


def test_a_model_covered_by_the_folder_seal_above_it(tmp_path: Path, key: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"abc")
    (tmp_path / "weights.data").write_bytes(b"abc")
    seal(tmp_path, key=key, ignore=["key.pem", "key.pem.pub"])
    with gate(guarded(tmp_path), tmp_path):
        pass
    (tmp_path / "weights.data").write_bytes(b"abd")
    with pytest.raises(TargetError, match="changed"), gate(guarded(tmp_path), tmp_path):
        pytest.fail("the model was opened")


def test_a_model_the_seal_leaves_out_is_refused(tmp_path: Path, key: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"abc")
    seal(tmp_path, key=key, ignore=["key.pem", "key.pem.pub", "m.onnx"])
    with pytest.raises(TargetError, match="leaves it out"), gate(guarded(tmp_path), tmp_path):
        pytest.fail("the model was opened")


@pytest.mark.parametrize("source", ["https://example.org/m.onnx", "module:make"])
def test_what_no_seal_can_cover_is_refused(tmp_path: Path, key: Path, source: str) -> None:
    project = Project(model=ModelSection(source=source), seal=SealSection(required=True, keys=("key.pem.pub",)))
    with pytest.raises(TargetError, match="no file"), gate(project, tmp_path):
        pytest.fail("the model was opened")
