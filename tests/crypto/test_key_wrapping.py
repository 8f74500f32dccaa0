"""Keys by file, environment, passphrase and token."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hauberk.core.errors import MeasurementError, UsageError
from hauberk.crypto.key_sources import source, sources
from hauberk.crypto.key_wrapping import Passphrase, SecretKey, new_secret
from hauberk.crypto.sealed_layout import Fixed

KEY = bytes(range(32))
FIXED, ELSEWHERE = Fixed.new(1 << 20), Fixed.new(1 << 20)
QUICK = {"memory": 64, "passes": 1, "lanes": 1}


def test_a_key_file_and_the_same_text_in_the_environment_are_one_key(tmp_path, monkeypatch):
    path = tmp_path / "k"
    path.write_bytes(new_secret())
    monkeypatch.setenv("K", path.read_text())
    wrap = source(f"file:{path}").wrap(KEY, FIXED)
    assert source("env:K").unwrap(wrap, FIXED) == KEY
    assert source("env:K").unwrap(wrap, ELSEWHERE) is None
    monkeypatch.setenv("K", path.read_text().split()[1])
    assert source("env:K").unwrap(wrap, FIXED) == KEY


def test_another_key_does_not_open(tmp_path):
    wrap = SecretKey(KEY, "file").wrap(KEY, FIXED)
    assert SecretKey(bytes(32), "file").unwrap(wrap, FIXED) is None
    assert Passphrase("x", **QUICK).unwrap(wrap, FIXED) is None
    assert SecretKey(KEY, "file").wrap(KEY, FIXED).data != wrap.data


def test_the_id_of_a_key_does_not_tell_it():
    assert SecretKey(KEY, "file").id not in (KEY.hex(), KEY.hex()[:16])
    assert KEY not in SecretKey(KEY, "file").wrap(KEY, FIXED).data


def test_a_passphrase_opens_what_it_locked():
    words = Passphrase("correct horse battery staple", **QUICK)
    wrap = words.wrap(KEY, FIXED)
    assert words.unwrap(wrap, FIXED) == KEY
    assert Passphrase("correct horse battery stapl", **QUICK).unwrap(wrap, FIXED) is None
    assert (wrap.memory, wrap.passes, wrap.lanes, len(wrap.salt)) == (64, 1, 1, 16)


def test_argon2id_is_the_standards_with_its_second_recommended_option():
    wrap = Passphrase("x").wrap(KEY, FIXED)
    assert (wrap.memory, wrap.passes, wrap.lanes) == (64 * 1024, 3, 4)


def test_the_passphrase_comes_from_the_environment_or_is_asked_for(monkeypatch):
    monkeypatch.setenv("HAUBERK_PASSPHRASE", "a")
    assert isinstance(source("passphrase"), Passphrase)
    monkeypatch.delenv("HAUBERK_PASSPHRASE")
    assert isinstance(source("passphrase", lambda: "b"), Passphrase)
    with pytest.raises(UsageError, match="empty"):
        source("passphrase")


@pytest.mark.parametrize("text", ["", "file:", "env:", "passphrase:x", "http://x", "pkcs11:token=x"])
def test_what_is_no_source_says_so(text):
    with pytest.raises(UsageError):
        source(text)


@pytest.mark.parametrize("text", [b"", b"x", b"hauberk-secret-1 AAAA", b"other " + b"A" * 43 + b"=", b"\xff" * 50])
def test_what_is_no_key_file_says_so(tmp_path, text):
    (tmp_path / "k").write_bytes(text)
    with pytest.raises(UsageError, match="not a key file"):
        source(f"file:{tmp_path / 'k'}")


def test_a_lost_key_says_so(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        source(f"file:{tmp_path / 'gone'}")
    with pytest.raises(UsageError, match="is not set"):
        source("env:HAUBERK_NO_SUCH_KEY")


def test_without_sources_the_environment_names_them(tmp_path, monkeypatch):
    for name in ("HAUBERK_OPEN_WITH", "HAUBERK_KEY", "HAUBERK_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="no key is named"):
        sources(())
    (tmp_path / "k").write_bytes(new_secret())
    monkeypatch.setenv("HAUBERK_OPEN_WITH", f"file:{tmp_path / 'k'}")
    monkeypatch.setenv("HAUBERK_KEY", "unused")
    assert len(sources(())) == 1
    monkeypatch.delenv("HAUBERK_OPEN_WITH")
    monkeypatch.setenv("HAUBERK_KEY", (tmp_path / "k").read_text())
    monkeypatch.setenv("HAUBERK_PASSPHRASE", "x")
    assert len(sources(())) == 2


MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
MODULE = next((path for path in MODULES if Path(path).exists()), "")


@pytest.fixture
def token(tmp_path, monkeypatch) -> str:
    pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    if not MODULE or shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2 is not installed")
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
    monkeypatch.setenv("HAUBERK_PIN", "1234")
    make = ["softhsm2-util", "--init-token", "--free", "--label", "audit", "--pin", "1234", "--so-pin", "5678"]
    subprocess.run(make, check=True, capture_output=True, env={**os.environ})
    library = pkcs11.lib(MODULE)
    library.reinitialize()
    with library.get_token(token_label="audit").open(user_pin="1234", rw=True) as session:
        attributes = {pkcs11.Attribute.EXTRACTABLE: False, pkcs11.Attribute.SENSITIVE: True}
        session.generate_key(pkcs11.KeyType.AES, 256, label="data", store=True, template=attributes)
    return f"pkcs11:token=audit;object=data?module-path={MODULE}"


def test_a_token_locks_and_unlocks_with_a_key_that_never_leaves_it(token, monkeypatch):
    key = source(token)
    wrap = key.wrap(KEY, FIXED)
    assert (wrap.kind, wrap.token, wrap.label) == ("pkcs11", "audit", "data")
    assert key.unwrap(wrap, FIXED) == KEY
    assert key.unwrap(wrap, ELSEWHERE) is None
    assert source(token.replace("object=data", "object=other")).unwrap(wrap, FIXED) is None
    with pytest.raises(MeasurementError, match="no single secret key"):
        source(token.replace("object=data", "object=other")).wrap(KEY, FIXED)
    monkeypatch.setenv("HAUBERK_PIN", "0000")
    with pytest.raises(UsageError, match="cannot be opened"):
        key.wrap(KEY, FIXED)
    monkeypatch.delenv("HAUBERK_PIN")
    with pytest.raises(UsageError, match="PIN"):
        key.wrap(KEY, FIXED)
