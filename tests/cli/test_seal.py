"""`hauberk seal` and `hauberk verify` from the command line: exit statuses, what is printed, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hauberk.cli.main import cli
from hauberk.core.errors import HauberkError


def run(*arguments: str) -> tuple[int, Result]:
    result = CliRunner().invoke(cli, list(arguments), standalone_mode=False)
    if isinstance(result.exception, HauberkError):
        return result.exception.exit_status, result
    if result.exception is not None:
        return 2, result
    return int(result.return_value or 0), result


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "net.bin").write_bytes(b"net")
    assert run("seal", "--new-key", "key.pem")[0] == 0
    return tmp_path


def test_seal_then_verify(home: Path) -> None:
    status, result = run("seal", "m", "--key", "key.pem", "--quiet", "--format", "json")
    assert status == 0
    assert json.loads(result.stdout)["files"] == 1
    status, result = run("verify", "m", "--key", "key.pem.pub")
    assert status == 0
    assert "holds" in result.stdout
    (home / "m" / "net.bin").write_bytes(b"evil")
    status, result = run("verify", "m", "--key", "key.pem.pub", "--quiet")
    assert (status, result.stdout) == (1, "changed: net.bin: the content is not what was sealed\n")
    status, result = run("verify", "m", "--key", "key.pem.pub", "--format", "json")
    found = json.loads(result.stdout)
    assert (status, found["status"], found["verified"]["faults"][0]["path"]) == (1, "not met", "net.bin")
    assert run("verify", "m", "--key", "key.pem.pub", "--ignore", "net.bin")[0] == 0


def test_the_projects_policy_is_used(home: Path) -> None:
    run("seal", "m", "--key", "key.pem")
    assert run("verify", "m")[0] == 2
    (home / "hauberk.toml").write_text('[[seal.trust]]\nkey = "key.pem.pub"\npaths = ["m"]\n')
    assert run("verify", "m")[0] == 0


def test_unsigned(home: Path) -> None:
    assert run("seal", "m", "--unsigned")[0] == 0
    assert run("verify", "m", "--key", "key.pem.pub")[0] == 1
    assert run("verify", "m", "--allow-unsigned")[0] == 0


def test_a_locked_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAUBERK_PASSPHRASE", "secret")
    assert run("seal", "--new-key", "locked.pem", "--passphrase", "--kind", "p256")[0] == 0
    assert run("seal", "m", "--key", "locked.pem")[0] == 0
    monkeypatch.setenv("HAUBERK_PASSPHRASE", "guess")
    assert run("seal", "m", "--key", "locked.pem")[0] == 2


def test_expiry_provenance_and_revocation(home: Path) -> None:
    status, result = run(
        "seal",
        "m",
        "--key",
        "key.pem",
        "--expires",
        "30d",
        "--provenance",
        "--parameter",
        "a=1",
        "--data",
        "t=m/net.bin",
    )
    assert status == 0, result.output
    assert (home / "m" / "model.provenance.sig").exists()
    assert run("verify", "m", "--key", "key.pem.pub")[0] == 0
    assert run("seal", "--revoke", "serial:1f", "--key", "key.pem", "--output", "revoked.sig", "--reason", "x")[0] == 0
    assert run("seal", "m", "--key", "key.pem", "--expires", "2020-01-01")[0] == 0
    assert run("verify", "m", "--key", "key.pem.pub")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["seal"],
        ["seal", "m"],
        ["seal", "m", "--key", "key.pem", "--unsigned"],
        ["seal", "m", "--key", "key.pem.pub"],
        ["seal", "m", "--key", "nowhere.pem"],
        ["seal", "m", "--key", "m/net.bin"],
        ["seal", "nowhere", "--key", "key.pem"],
        ["seal", "m", "--key", "key.pem", "--expires", "soon"],
        ["seal", "m", "--key", "key.pem", "--parameter", "a=1"],
        ["seal", "m", "--key", "key.pem", "--ignore", "../x"],
        ["seal", "m", "--key", "key.pem", "--provenance", "--data", "x=nowhere"],
        ["seal", "m", "--key", "key.pem", "--output", "nowhere/x.sig"],
        ["seal", "--new-key", "key.pem"],
        ["seal", "--revoke", "x", "--key", "key.pem"],
        ["verify", "nowhere", "--key", "key.pem.pub"],
        ["verify", "m"],
        ["verify", "m", "--key", "key.pem"],
        ["verify", "m", "--identity", "x"],
        ["verify", "m", "--trusted-root", "x", "--identity", "*", "--issuer", "y"],
    ],
)
def test_usage(home: Path, arguments: list[str]) -> None:
    status, result = run(*arguments)
    assert status == 2, result.output
    assert not (home / "m" / "model.sig").exists()


def test_a_pipe_cannot_be_sealed(home: Path) -> None:
    import os

    os.mkfifo(home / "m" / "pipe")
    assert run("seal", "m", "--key", "key.pem")[0] == 3
