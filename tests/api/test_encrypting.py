"""`seal --encrypt`, `unseal`, rotation, and data sets and models that open encrypted files in memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from hauberk.api.encrypting import encrypt, locks, new_key_file, rotate
from hauberk.api.unsealing import unseal
from hauberk.cli.seal_command import command as seal_command
from hauberk.cli.unseal_command import command as unseal_command
from hauberk.core.errors import UsageError
from hauberk.core.project import DataSection, ModelSection
from hauberk.datasets.opening import open_dataset
from hauberk.targets.opening import open_target

MARK = b"plain-text-canary-8241"


@pytest.fixture
def key(tmp_path, monkeypatch) -> str:
    path = new_key_file(tmp_path / "data.key")
    assert path.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("HAUBERK_OPEN_WITH", f"file:{path}")
    return f"file:{path}"


def filled(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "a.bin").write_bytes(MARK * 100)
    (folder / "sub" / "b.bin").write_bytes(b"")
    return folder


def test_a_folder_keeps_its_tree_both_ways(tmp_path, key):
    folder = filled(tmp_path / "data")
    done = encrypt(folder, [key])
    assert (done.path, done.files, done.size) == (tmp_path / "data.sealed", 2, 2200)
    assert sorted(path.name for path in done.path.rglob("*.sealed")) == ["a.bin.sealed", "b.bin.sealed"]
    assert all(MARK not in path.read_bytes() for path in done.path.rglob("*.sealed"))
    back = unseal(done.path, [key], output=tmp_path / "back")
    assert (back.files, back.size) == (2, 2200)
    assert (tmp_path / "back" / "a.bin").read_bytes() == MARK * 100
    assert (tmp_path / "back" / "sub" / "b.bin").read_bytes() == b""


def test_rotation_of_a_folder_leaves_the_old_key_without_use(tmp_path, key):
    sealed = encrypt(filled(tmp_path / "data"), [key]).path
    fresh = f"file:{new_key_file(tmp_path / 'fresh.key')}"
    assert rotate(sealed, [key], [fresh]).files == 2
    with pytest.raises(UsageError, match="none of the keys"):
        unseal(sealed, [key], output=tmp_path / "x")
    assert unseal(sealed, [fresh], output=tmp_path / "y").files == 2
    with pytest.raises(UsageError, match="no new key"):
        rotate(sealed, [fresh], [])


def test_what_cannot_be_encrypted_says_so(tmp_path, key):
    folder = filled(tmp_path / "data")
    with pytest.raises(UsageError, match="inside"):
        encrypt(folder, [key], output=folder / "out")
    with pytest.raises(UsageError, match="no such"):
        encrypt(tmp_path / "gone", [key])
    with pytest.raises(UsageError, match="no key"):
        encrypt(folder / "a.bin", [])
    (folder / "link").symlink_to("a.bin")
    with pytest.raises(UsageError, match="link"):
        encrypt(folder, [key])
    with pytest.raises(UsageError, match="holds no encrypted file"):
        unseal(folder, [key], output=tmp_path / "x")
    with pytest.raises(UsageError, match="does not end in"):
        unseal(folder / "a.bin", [key])


def plain_files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.fixture
def watched(tmp_path, monkeypatch) -> Path:
    """A folder for temporary files in which nothing plain may ever lie."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((40, 3)).astype(np.float32), rng.integers(0, 2, 40)


@pytest.mark.parametrize("kind", ["npz", "csv", "parquet"])
def test_a_data_set_opens_encrypted_as_it_does_plain(tmp_path, key, watched, kind):
    import polars as pl

    x, y = rows()
    path = tmp_path / f"train.{kind}"
    if kind == "npz":
        np.savez(path, x=x, y=y)
    else:
        frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y})
        frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    section = DataSection(source=path.name, label="" if kind == "npz" else "y")
    plain = open_dataset(section, tmp_path, bounds=(0, 1))
    encrypt(path, [key])
    path.unlink()
    found = open_dataset(DataSection(source=path.name + ".sealed", label=section.label), tmp_path, bounds=(0, 1))
    assert found.spec.digest == plain.spec.digest
    assert np.array_equal(found.test.x, plain.test.x)
    assert not list(watched.iterdir())
    os.environ["HAUBERK_OPEN_WITH"] = "env:HAUBERK_NO_SUCH_KEY"
    with pytest.raises(UsageError, match="is not set"):
        open_dataset(DataSection(source=path.name + ".sealed", label=section.label), tmp_path)


def test_while_it_is_open_only_a_name_is_on_disk(tmp_path, key, watched):
    from hauberk.crypto.memory_files import unsealed

    (tmp_path / "a.txt").write_bytes(MARK)
    encrypt(tmp_path / "a.txt", [key])
    with unsealed(tmp_path, ("a.txt.sealed", "", "other.npz")) as (name, empty, other):
        assert Path(name).read_bytes() == MARK
        assert Path(name).name == "a.txt"
        assert (empty, other) == ("", "other.npz")
        assert plain_files(watched) == set()
        assert [path.is_symlink() for path in watched.rglob("a.txt")] == [True]
    assert not list(watched.iterdir())


def test_a_model_opens_encrypted_as_it_does_plain(tmp_path, key, watched):
    from safetensors.torch import save_file

    net = torch.nn.Linear(3, 2)
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "build_it.py").write_text("import torch\n\ndef build():\n    return torch.nn.Linear(3, 2)\n")
    section = ModelSection(source="net.safetensors", factory="build_it:build", bounds=(0, 1), shape=(3,), classes=2)
    plain = open_target(section, tmp_path)
    encrypt(tmp_path / "net.safetensors", [key])
    (tmp_path / "net.safetensors").unlink()
    sealed = ModelSection(
        source="net.safetensors.sealed", factory="build_it:build", bounds=(0, 1), shape=(3,), classes=2
    )
    found = open_target(sealed, tmp_path)
    x = torch.rand(5, 3)
    assert torch.equal(found.predict(x), plain.predict(x))
    assert (found.spec.digest, found.spec.name) == (plain.spec.digest, "net.safetensors")
    assert not list(watched.iterdir())


def test_a_scikit_learn_model_opens_encrypted(tmp_path, key, watched):
    import skops.io
    from sklearn.linear_model import LogisticRegression

    x, y = rows()
    skops.io.dump(LogisticRegression().fit(x, y), tmp_path / "m.skops")
    encrypt(tmp_path / "m.skops", [key])
    (tmp_path / "m.skops").unlink()
    target = open_target(ModelSection(source="m.skops.sealed", bounds=(0, 1)), tmp_path)
    assert target.predict(torch.from_numpy(x)).shape == (40, 2)
    assert not list(watched.iterdir())


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_an_audit_reads_an_encrypted_data_set_and_calls_it_by_its_name(tmp_path, key, watched, kind):
    import polars as pl

    from hauberk.api.auditing import audit

    frame = pl.DataFrame({"mail": [f"a{i}@example.org" for i in range(40)], "n": list(range(40))})
    path = tmp_path / f"people.{kind}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson}[kind](path)
    plain = audit(path.name, folder=tmp_path)
    encrypt(path, [key])
    path.unlink()
    report = audit(f"{path.name}.sealed", folder=tmp_path)
    assert {finding.rule for finding in report.findings} == {finding.rule for finding in plain.findings}
    assert {finding.location.path for finding in report.findings} == {f"people.{kind}.sealed"}
    assert str(watched) not in repr(report)
    assert not list(watched.iterdir())


def run(command, *arguments: str, **settings):
    return CliRunner().invoke(command, list(arguments), standalone_mode=False, **settings)


def test_the_commands(tmp_path, monkeypatch):
    data, secret = tmp_path / "a.csv", tmp_path / "k"
    data.write_bytes(MARK)
    assert "without it nothing opens" in run(seal_command, "--new-secret", str(secret)).output
    done = run(seal_command, "--encrypt", str(data), "--with", f"file:{secret}", "-q")
    assert (done.return_value, done.output) == (0, "")
    assert locks(f"{data}.sealed")[0].kind == "file"
    assert run(unseal_command, "--locks", f"{data}.sealed").output.startswith("file ")
    monkeypatch.setenv("HAUBERK_PASSPHRASE", "correct horse")
    turned = run(seal_command, "--rotate", f"{data}.sealed", "--with", f"file:{secret}", "--to", "passphrase")
    assert "1 files locked with other keys" in turned.output
    back = run(unseal_command, f"{data}.sealed", "--with", "passphrase", "-o", str(tmp_path / "b"), "--format", "json")
    assert '"bytes":22' in back.output
    assert (tmp_path / "b").read_bytes() == MARK
    assert run(seal_command, str(data), "--with", "passphrase").exception is not None
    assert MARK.decode() not in done.output + turned.output + back.output
