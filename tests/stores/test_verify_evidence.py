"""The stand-alone verifier: proves what the store proves, and nothing that was touched."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hauberk.core.encoding import canonical
from hauberk.crypto import signatures

TOOL = Path(__file__).resolve().parents[2] / "tools" / "verify_evidence.py"
_SPEC = importlib.util.spec_from_file_location("verify_evidence", TOOL)
verifier = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(verifier)


@pytest.fixture
def proofs(filled, tmp_path):
    """Proofs of a log of 14 entries as bytes, a kept checkpoint, and the public key's file."""
    with filled.open(read_only=True) as store:
        inclusion, consistency = store.prove_inclusion(5), store.prove_consistency(9)
    return {
        "inclusion": canonical(inclusion),
        "consistency": canonical(consistency),
        "same": canonical(_same(filled)),
        "old": canonical(consistency.old),
        "head": canonical(consistency.checkpoint),
        "key": filled.key.with_suffix(".pub"),
        "folder": tmp_path,
    }


def _same(log):
    with log.open(read_only=True) as store:
        return store.prove_consistency(14)


def run(proofs, proof: bytes, head: bytes | None = None, key: Path | None = None) -> int:
    path = proofs["folder"] / "proof.json"
    path.write_bytes(proof)
    arguments = [str(path), "--key", str(key or proofs["key"])]
    if head is not None:
        (proofs["folder"] / "kept.head").write_bytes(head)
        arguments += ["--head", str(proofs["folder"] / "kept.head")]
    return verifier.main(arguments)


def test_it_needs_only_python_and_cryptography():
    tree = ast.parse(TOOL.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    outside = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert outside == {"cryptography"}


def test_it_runs_by_itself(proofs):
    path = proofs["folder"] / "proof.json"
    path.write_bytes(proofs["inclusion"])
    command = [sys.executable, "-I", str(TOOL), str(path), "--key", str(proofs["key"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("PROVED: entry 5 (checkpoint of run run-1) is in the log hauberk/")
    path.write_bytes(proofs["inclusion"].replace(b"state-1", b"state-2"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "NOT PROVED: the entry and its path do not give the root that was signed\n"


def test_every_proof_of_the_store_verifies(filled, proofs):
    with filled.open(read_only=True) as store:
        for index in range(14):
            assert run(proofs, canonical(store.prove_inclusion(index))) == 0
        for size in (1, 4, 7, 8, 9, 13, 14):
            assert run(proofs, canonical(store.prove_consistency(size))) == 0


def test_every_kind_of_entry_verifies(sqlite_log, header, every_kind, tmp_path):
    with sqlite_log.open() as store:
        store.begin(header())
        store.append("run-1", every_kind)
        for index in range(6):
            (tmp_path / "proof.json").write_bytes(canonical(store.prove_inclusion(index)))
            assert verifier.main([str(tmp_path / "proof.json"), "--key", str(sqlite_log.key.with_suffix(".pub"))]) == 0


def test_a_kept_checkpoint_is_held_against_the_proof(proofs, capsys):
    assert run(proofs, proofs["consistency"], proofs["old"]) == 0
    assert "still holds all 9 entries" in capsys.readouterr().out
    assert run(proofs, proofs["inclusion"], proofs["head"]) == 0
    assert run(proofs, proofs["consistency"], proofs["head"]) == 1
    assert "does not go on from the checkpoint you kept" in capsys.readouterr().err
    assert run(proofs, proofs["inclusion"], proofs["old"]) == 1
    assert run(proofs, proofs["consistency"], proofs["old"].replace(b'"size":9', b'"size":8')) == 1


def test_another_key_proves_nothing(proofs, capsys):
    other = proofs["folder"] / "other.pub"
    other.write_bytes(signatures.generate().public.pem())
    assert run(proofs, proofs["inclusion"], key=other) == 1
    assert "not signed by this key" in capsys.readouterr().err
    other.write_bytes(b"not a key")
    assert run(proofs, proofs["inclusion"], key=other) == 1
    assert run(proofs, proofs["inclusion"], key=proofs["folder"] / "missing.pub") == 1


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b'{"type":"inclusion"}', b'{"type":"other"}', b"\xff", b"[" * 100_000]
)
def test_what_is_no_proof_proves_nothing(proofs, content):
    assert run(proofs, content) == 1


def changed(proof: bytes, change) -> bytes:
    value = json.loads(proof)
    change(value)
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof.update(index=4),
        lambda proof: proof.update(index=-1),
        lambda proof: proof.update(index=14),
        lambda proof: proof.update(index=True),
        lambda proof: proof.update(data=proof["data"] + " "),
        lambda proof: proof["path"].pop(),
        lambda proof: proof["path"].append("00" * 32),
        lambda proof: proof["path"].reverse(),
        lambda proof: proof["path"].__setitem__(0, "00"),
        lambda proof: proof["checkpoint"].update(size=13),
        lambda proof: proof["checkpoint"].update(extra=1),
        lambda proof: proof["checkpoint"].pop("previous"),
    ],
)
def test_a_changed_inclusion_proof_proves_nothing(proofs, change):
    assert run(proofs, changed(proofs["inclusion"], lambda proof: None)) == 0
    assert run(proofs, changed(proofs["inclusion"], change)) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof["path"].pop(),
        lambda proof: proof["path"].clear(),
        lambda proof: proof["path"].append("00" * 32),
        lambda proof: proof["path"].reverse(),
        lambda proof: proof.update(old=proof["checkpoint"]),
        lambda proof: proof.update(old=proof["checkpoint"], checkpoint=proof["old"]),
        lambda proof: proof["old"].update(size=8),
    ],
)
def test_a_changed_consistency_proof_proves_nothing(proofs, change):
    assert run(proofs, changed(proofs["consistency"], lambda proof: None)) == 0
    assert run(proofs, changed(proofs["consistency"], change)) == 1


def test_a_rewritten_history_proves_nothing(filled, proofs, gap, capsys):
    """Both checkpoints are honestly signed, of two histories: the path cannot lead from one to the other."""
    import msgspec

    from hauberk.crypto import checkpoints, merkle

    with filled.open(read_only=True) as store:
        honest = store.prove_consistency(9)
    forged = merkle.Tree(merkle.leaf_hash(b"%d" % index) for index in range(14))
    head = msgspec.structs.replace(honest.checkpoint, root=forged.root().hex())
    lie = msgspec.structs.replace(
        honest,
        checkpoint=checkpoints.sign(head, signatures.load(filled.key)),
        path=tuple(step.hex() for step in forged.consistency(9)),
    )
    assert run(proofs, canonical(lie)) == 1
    assert "history was rewritten" in capsys.readouterr().err


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["inclusion", "consistency", "same"]),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_no_flipped_bit_proves_anything(proofs, kind, where, bit):
    """The proof's JSON is canonical, so every bit of it counts, but for the bits that make it the same JSON again."""
    proof = bytearray(proofs[kind])
    proof[int(where * len(proof))] ^= 1 << bit
    try:
        same = json.loads(proof) == json.loads(proofs[kind])
    except ValueError:
        same = False
    assert run(proofs, bytes(proof)) == (0 if same else 1)
