"""Who may sign what: paths, statements, dates, numbers of signers, revocations, provenance; and hostile attempts."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hauberk.api.origins import origin
from hauberk.api.sealed_models import evidence
from hauberk.api.sealing import SealingFailed, beside, new_key, revoke, seal
from hauberk.api.verifying import Trust, Verified, verify
from hauberk.core.errors import ProjectError, UsageError
from hauberk.core.evidence import Finding, Measurement, Skipped
from hauberk.core.progress import Silent
from hauberk.core.project import ModelSection, Project, SealSection, TrustSection, parse
from hauberk.core.protocols import Step
from hauberk.core.provenance import Stamp

NOON = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


def noon() -> dt.datetime:
    return NOON


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "models" / "fraud").mkdir(parents=True)
    (tmp_path / "models" / "fraud" / "net.bin").write_bytes(b"net")
    for name in ("one", "two", "evil"):
        new_key(tmp_path / f"{name}.pem")
    return tmp_path


def model(home: Path) -> Path:
    return home / "models" / "fraud"


def row(name: str, **more: object) -> TrustSection:
    return TrustSection(name=name, key=f"{name}.pem.pub", **more)  # type: ignore[arg-type]


def held(home: Path, *rows: TrustSection, now: dt.datetime = NOON, **more: object) -> Verified:
    return verify(model(home), Trust(rows=rows, folder=home, **more), clock=lambda: now)  # type: ignore[arg-type]


def kinds(found: Verified) -> list[str]:
    return sorted(fault.kind for fault in found.faults)


def test_a_signer_for_other_paths(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    assert held(home, row("one", paths=("models/*",))).faults == ()
    assert kinds(held(home, row("one", paths=("models/toys/*",)))) == ["untrusted"]


def test_a_signer_for_other_statements(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    assert kinds(held(home, row("one", statements=("provenance",)))) == ["untrusted"]


def test_a_signer_trusted_until_yesterday(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    assert held(home, row("one", until=NOON.date())).faults == ()
    assert kinds(held(home, row("one", until=dt.date(2026, 11, 24)))) == ["untrusted"]


def test_two_signers_and_neither_counts_twice(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    rows = (row("one"), row("two"))
    assert kinds(held(home, *rows, signatures=2)) == ["untrusted"]
    seal(model(home), key=home / "one.pem", output=model(home) / "model.again.sig", clock=noon)
    assert kinds(held(home, *rows, signatures=2)) == ["untrusted"]
    seal(model(home), key=home / "two.pem", output=model(home) / "model.two.sig", clock=noon)
    assert held(home, *rows, signatures=2).faults == ()


def test_two_signers_of_different_files_both_count(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    (model(home) / "net.bin").write_bytes(b"other")
    seal(model(home), key=home / "two.pem", output=model(home) / "model.two.sig", clock=noon)
    assert kinds(held(home, row("one"), row("two"), signatures=2)) == ["changed"]


def test_a_strangers_seal_beside_a_good_one_is_left_aside_and_said(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    seal(model(home), key=home / "evil.pem", output=model(home) / "model.evil.sig", clock=noon)
    found = held(home, row("one"))
    assert found.faults == ()
    assert "model.evil.sig does not count" in found.notes[0]


def test_a_strangers_seal_instead_of_the_good_one(home: Path) -> None:
    (model(home) / "net.bin").write_bytes(b"evil")
    seal(model(home), key=home / "evil.pem", clock=noon)
    assert kinds(held(home, row("one"))) == ["untrusted"]


def test_payload_of_one_bundle_under_the_signature_of_another(home: Path) -> None:
    place = seal(model(home), key=home / "one.pem", clock=noon).path
    good = json.loads(place.read_text())
    (model(home) / "net.bin").write_bytes(b"evil")
    evil = json.loads(seal(model(home), key=home / "evil.pem", clock=noon).path.read_text())
    good["dsseEnvelope"]["payload"] = evil["dsseEnvelope"]["payload"]
    place.write_text(json.dumps(good))
    assert "signature" in kinds(held(home, row("one")))


def test_a_provenance_statement_is_no_seal(home: Path) -> None:
    place = seal(model(home), key=home / "one.pem", origin=origin(home), clock=noon)
    assert place.provenance is not None
    place.provenance.replace(place.path)
    assert kinds(held(home, row("one"))) == ["unsealed"]


def test_provenance_that_is_asked_for(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    assert kinds(held(home, row("one"), provenance=True)) == ["provenance"]
    made = origin(home, parameters=["epochs=3"], data=["train=" + "ab" * 32], run="r1")
    done = seal(model(home), key=home / "one.pem", origin=made, clock=noon)
    assert held(home, row("one"), provenance=True).faults == ()
    assert done.provenance is not None
    bundle = json.loads(done.provenance.read_text())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    build = statement["predicate"]["buildDefinition"]
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert build["externalParameters"] == {"epochs": "3"}
    assert build["resolvedDependencies"][0] == {"name": "train", "digest": {"sha256": "ab" * 32}}


def test_provenance_of_an_older_model_is_not_of_this_one(home: Path) -> None:
    seal(model(home), key=home / "one.pem", origin=origin(home), clock=noon)
    (model(home) / "net.bin").write_bytes(b"newer")
    seal(model(home), key=home / "one.pem", clock=noon)
    assert kinds(held(home, row("one"), provenance=True)) == ["provenance"]


@pytest.mark.parametrize("what", ["key", "seal", "file"])
def test_what_is_revoked(home: Path, what: str) -> None:
    done = seal(model(home), key=home / "one.pem", clock=noon)
    net = hashlib.sha256(b"net").hexdigest()
    target = {"key": f"key:{done.signer}", "seal": f"digest:{done.digest}", "file": f"digest:sha256:{net}"}[what]
    revoke(home / "revoked.sig", [target], reason="lost", key=home / "two.pem", clock=noon)
    lister = row("two", statements=("revocations",))
    assert kinds(held(home, row("one"), lister, revocations="revoked.sig")) == ["revoked"]
    before = held(home, row("one"), lister, revocations="revoked.sig", now=NOON - dt.timedelta(days=1))
    assert before.faults == ()


def test_a_revocation_list_that_is_missing_or_a_strangers(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    lister = row("two", statements=("revocations",))
    assert kinds(held(home, row("one"), lister, revocations="revoked.sig")) == ["malformed"]
    revoke(home / "revoked.sig", ["serial:1f"], reason="", key=home / "evil.pem", clock=noon)
    assert kinds(held(home, row("one"), lister, revocations="revoked.sig")) == ["untrusted"]
    with pytest.raises(UsageError, match="of this key"):
        revoke(home / "revoked.sig", ["serial:2f"], reason="", key=home / "two.pem")


def test_a_seals_signer_may_not_write_the_list(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    revoke(home / "revoked.sig", ["serial:1f"], reason="", key=home / "one.pem", clock=noon)
    assert kinds(held(home, row("one"), revocations="revoked.sig")) == ["untrusted"]


def test_a_list_grows(home: Path) -> None:
    assert revoke(home / "r.sig", ["serial:001F"], reason="", key=home / "one.pem").number == 1
    found = revoke(home / "r.sig", ["serial:1f", "digest:" + "0a" * 32], reason="", key=home / "one.pem")
    assert (found.number, [entry.value for entry in found.entries]) == (2, ["1f", "0a" * 32])
    with pytest.raises(UsageError, match="is not key:ID"):
        revoke(home / "r.sig", ["digest:xyz"], reason="", key=home / "one.pem")


def test_a_file_that_changes_while_it_is_hashed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hauberk.crypto import file_digests

    target, real = model(home) / "net.bin", file_digests._one_by_one

    def slow(*arguments: object) -> int:
        count = real(*arguments)  # type: ignore[arg-type]
        target.write_bytes(b"new")
        os.utime(target, ns=(1, 1))
        return count

    monkeypatch.setattr(file_digests, "_one_by_one", slow)
    with pytest.raises(SealingFailed, match="changed while"):
        seal(model(home), key=home / "one.pem")
    assert not beside(model(home)).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_not_measured(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    (model(home) / "net.bin").chmod(0)
    assert held(home, row("one")).exit_status == 3


def test_a_file_that_cannot_be_read_is_not_measured(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)

    def refuse(*arguments: object, **more: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hauberk.sealing.hashing.digest_file", refuse)
    found = held(home, row("one"))
    assert (kinds(found), found.exit_status) == (["unreadable"], 3)


def test_a_name_that_is_not_utf8(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    try:
        (model(home) / os.fsdecode(b"\xff.bin")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    found = held(home, row("one"))
    assert kinds(found) == ["extra"]
    json.dumps([fault.path for fault in found.faults]).encode("utf-8")
    with pytest.raises(SealingFailed, match="not UTF-8"):
        seal(model(home), key=home / "one.pem")


def test_names_that_lie_to_the_reader_are_shown_bare(home: Path) -> None:
    seal(model(home), key=home / "one.pem", clock=noon)
    (model(home) / "a\n\x1b[2Jb\u202e.txt").write_bytes(b"x")
    assert [fault.path for fault in held(home, row("one")).faults] == ["a\\n\\x1b[2Jb\\u202e.txt"]


def test_a_folder_that_became_a_link(home: Path) -> None:
    (model(home) / "sub").mkdir()
    (model(home) / "sub" / "x").write_bytes(b"x")
    seal(model(home), key=home / "one.pem", clock=noon)
    (model(home) / "sub").rename(home / "moved")
    (model(home) / "sub").symlink_to(home / "moved")
    assert kinds(held(home, row("one"))) == ["extra", "missing"]


def test_links_that_are_refused_whatever_is_asked(home: Path) -> None:
    (home / "outside").write_bytes(b"x")
    (model(home) / "out").symlink_to(home / "outside")
    with pytest.raises(SealingFailed, match="out of the folder"):
        seal(model(home), key=home / "one.pem", links="record")
    assert seal(model(home), key=home / "one.pem", links="follow").files == 2
    (model(home) / "folder").symlink_to(home)
    with pytest.raises(SealingFailed, match="link to a folder"):
        seal(model(home), key=home / "one.pem", links="follow")
    (model(home) / "folder").unlink()
    (model(home) / "round").symlink_to("round")
    with pytest.raises(SealingFailed, match="in a circle"):
        seal(model(home), key=home / "one.pem", links="follow")


def test_what_links_lead_to_is_held_too(home: Path) -> None:
    (home / "blob").write_bytes(b"x")
    (model(home) / "weights").symlink_to(home / "blob")
    seal(model(home), key=home / "one.pem", links="follow", clock=noon)
    assert held(home, row("one")).faults == ()
    (home / "blob").write_bytes(b"y")
    assert kinds(held(home, row("one"))) == ["changed"]


def test_names_that_differ_by_case_are_said(home: Path) -> None:
    (model(home) / "Net.bin").write_bytes(b"x")
    if len(list(model(home).iterdir())) == 1:
        pytest.skip("this file system has no case")
    assert "one name" in seal(model(home), key=home / "one.pem").notes[0]


def test_an_interruption_leaves_the_older_seal(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = seal(model(home), key=home / "one.pem").path
    before = place.read_bytes()

    def stop(*arguments: object, **more: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("hauberk.sealing.writing.os.fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        seal(model(home), key=home / "two.pem")
    assert place.read_bytes() == before
    assert sorted(path.name for path in model(home).iterdir()) == ["model.sig", "net.bin"]


def test_an_interruption_stops_a_file_in_the_middle(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (model(home) / "huge.bin").open("wb") as file:
        file.truncate(40 << 30)

    class Stopping(Silent):
        @contextmanager
        def step(self, name: str, total: int | None, unit: str) -> Iterator[Step]:
            class Stop:
                def advance(self, amount: int = 1, note: str = "") -> None:
                    raise KeyboardInterrupt

            yield Stop()

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        seal(model(home), key=home / "one.pem", progress=Stopping())
    while any("ThreadPool" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() - start < 20
        time.sleep(0.05)


def test_many_files_and_a_large_one_hold(home: Path) -> None:
    for index in range(300):
        (model(home) / f"{index}.txt").write_bytes(b"%d" % index)
    (model(home) / "large.bin").write_bytes(os.urandom(17 << 20))
    seal(model(home), key=home / "one.pem", clock=noon)
    assert held(home, row("one")).faults == ()
    with (model(home) / "large.bin").open("r+b") as file:
        file.seek((17 << 20) - 1)
        byte = file.read(1)
        file.seek((17 << 20) - 1)
        file.write(bytes([byte[0] ^ 1]))
    found = verify(model(home), Trust(rows=(row("one"),), folder=home), quick=True, clock=noon)
    assert [(fault.kind, fault.path) for fault in found.faults] == [("changed", "large.bin")]


@pytest.mark.parametrize(
    "text",
    [
        "[[seal.trust]]\nname = 'x'\n",
        "[[seal.trust]]\nkey = 'a'\nroots = 'b'\n",
        "[[seal.trust]]\nkey = 'a'\nidentity = 'me'\n",
        "[[seal.trust]]\ntrusted_root = 'a'\nidentity = 'me'\n",
    ],
)
def test_rows_that_trust_nobody_or_anybody(text: str) -> None:
    with pytest.raises(ProjectError, match=r"seal\.trust\.0"):
        parse(text)


def stated(home: Path, **more: object) -> list[object]:
    project = Project(
        model=ModelSection(source="models/fraud/net.bin"),
        seal=SealSection(keys=("one.pem.pub",), **more),  # type: ignore[arg-type]
    )
    return list(evidence(project, home, Stamp(clock=noon)))


def test_a_seals_state_is_evidence(home: Path) -> None:
    (missing,) = stated(home)
    assert isinstance(missing, Finding) and (missing.rule, missing.severity) == ("seal.missing", "low")
    (missing,) = stated(home, required=True)
    assert isinstance(missing, Finding) and missing.severity == "high"
    seal(model(home), key=home / "one.pem", clock=noon)
    (count,) = stated(home)
    assert isinstance(count, Measurement) and (count.name, count.value) == ("sealed_files", 1.0)
    (model(home) / "net.bin").write_bytes(b"evil")
    (broken,) = stated(home)
    assert isinstance(broken, Finding) and (broken.rule, broken.severity) == ("seal.broken", "critical")
    seal(model(home), key=home / "evil.pem", clock=noon)
    (stranger,) = stated(home)
    assert isinstance(stranger, Finding) and stranger.rule == "seal.untrusted"
    (home / "one.pem.pub").unlink()
    (gap,) = stated(home)
    assert isinstance(gap, Skipped)
