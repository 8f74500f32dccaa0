"""Updates: by file, by folder, from a server on this machine, and everything that can go wrong on the way."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.server
import json
import threading
import zipfile

import msgspec
import pytest
from packaging.version import Version

from hauberk.api import updating
from hauberk.api.fetching import fetch
from hauberk.cli.update_command import command
from hauberk.core.errors import DataError, LimitExceeded, MeasurementError, UsageError
from hauberk.scanning.known_vulnerable import cache_folder, snapshot
from hauberk.scanning.release_index import release_index


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")


def record(number, name="torch", day="2026-11-20T00:00:00Z", **more):
    return {
        "id": f"GHSA-{number}",
        "modified": day,
        "summary": "a test",
        "affected": [
            {
                "package": {"name": name, "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
            }
        ],
        **more,
    }


def archive(path, rows):
    with zipfile.ZipFile(path, "w") as target:
        for number, row in enumerate(rows):
            target.writestr(f"{number}.json", row if isinstance(row, bytes) else json.dumps(row))
    return path


@pytest.fixture
def whole(tmp_path):
    """An archive with as many packages as the shipped list."""
    names = sorted(snapshot().packages)
    return archive(tmp_path / "all.zip", [record(number, name) for number, name in enumerate(names)])


@pytest.fixture
def server(tmp_path):
    """Answers paths from a table; "slow" bodies declare more than they send."""
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}", answers
    made.shutdown()
    made.server_close()


def test_an_archive_replaces_the_list_and_says_what_it_read(whole):
    done = updating.update(whole)
    assert (done.checked_on, done.broken) == (dt.date(2026, 11, 20), 0)
    assert done.digest == f"sha256:{hashlib.sha256(whole.read_bytes()).hexdigest()}"
    assert snapshot().source.name == "OSV"
    assert "GHSA-" in snapshot().affecting("aiohttp", Version("98.0"))[0].id
    assert [path.name for path in cache_folder().iterdir()] == ["pypi.json.gz"]


def test_a_folder_of_records_and_a_file_of_ours_do_too(whole, tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    with zipfile.ZipFile(whole) as opened:
        opened.extractall(folder)
    first = updating.update(folder)
    kept = tmp_path / "kept.json.gz"
    kept.write_bytes(first.path.read_bytes())
    first.path.unlink()
    assert updating.update(kept).packages == first.packages


def test_from_a_server(whole, server):
    address, answers = server
    answers["/all.zip"] = (200, {}, whole.read_bytes())
    assert updating.update(address=f"{address}/all.zip").packages > 500


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: path.write_bytes(b"not a zip"), DataError),
        (lambda path: archive(path, []), DataError),
        (lambda path: archive(path, [record(1)]), DataError),
        (lambda path: archive(path, [record(1), b"{", b"[]"]), DataError),
        (lambda path: archive(path, [record(1, "x", affected=[])]), DataError),
    ],
)
def test_what_is_no_list_changes_nothing(make, error, tmp_path):
    path = tmp_path / "bad.zip"
    make(path)
    before = snapshot().digest
    with pytest.raises(error):
        updating.update(path)
    assert snapshot().digest == before
    assert list(cache_folder().iterdir()) == []


def test_an_older_list_is_refused_unless_it_is_meant(tmp_path):
    names = sorted(snapshot().packages)
    old = archive(tmp_path / "old.zip", [record(n, name, "2020-01-01T00:00:00Z") for n, name in enumerate(names)])
    with pytest.raises(DataError, match="older"):
        updating.update(old)
    assert updating.update(old, older=True).checked_on == dt.date(2020, 1, 1)


def test_no_network_is_a_clear_message_and_status_3(tmp_path):
    with pytest.raises(MeasurementError, match="nothing could be fetched") as caught:
        updating.update(address="http://127.0.0.1:9/all.zip")
    assert caught.value.exit_status == 3
    assert "--from" in caught.value.fix


@pytest.mark.parametrize("address", ["http://example.org/all.zip", "file:///etc/passwd", "ftp://example.org/x"])
def test_only_protected_channels(address, tmp_path):
    with pytest.raises(UsageError):
        fetch(address, tmp_path / "x", 10)


def test_a_server_that_lies_stops_or_leads_away(server, tmp_path):
    address, answers = server
    answers["/big"] = (200, {}, b"x" * 1000)
    answers["/endless"] = (200, {"Content-Length": ""}, b"x" * 1000)
    answers["/short"] = (200, {"Content-Length": "5000"}, b"x" * 10)
    answers["/away"] = (302, {"Location": "http://example.org/all.zip"}, b"")
    for path, error in (("/big", LimitExceeded), ("/away", UsageError), ("/none", MeasurementError)):
        with pytest.raises(error):
            fetch(f"{address}{path}", tmp_path / "x", 100, timeout=5)
    with pytest.raises(MeasurementError):
        fetch(f"{address}/short", tmp_path / "x", 10_000, timeout=5)


def test_releases_are_asked_for_by_name_and_kept(server, clock):
    address, answers = server
    body = {
        "releases": {
            "1.0": [{"upload_time_iso_8601": "2020-01-02T00:00:00Z", "digests": {"sha256": "aa"}, "yanked": True,
                     "yanked_reason": "broken"}],
            "2.0": [{"upload_time_iso_8601": "2021-01-02T00:00:00Z", "digests": {"sha256": "bb"}}],
            "3.0": [],
        }
    }  # fmt: skip
    answers["/torch/json"] = (200, {}, msgspec.json.encode(body))
    came, failed = updating.update_releases(["torch", "nothing"], address=f"{address}/{{name}}/json", clock=clock)
    assert came == 1
    assert failed[0].startswith("nothing: ")
    found = release_index().of("torch")
    assert found is not None
    assert found.of(Version("1.0")).yanked == "broken"
    assert found.last_day == dt.date(2021, 1, 2)
    assert found.of(Version("3.0")) is None


def test_the_command_tells_the_age_without_a_network(capsys):
    assert command.main(["--age"], standalone_mode=False) == 0
    assert snapshot().checked_on.isoformat() in capsys.readouterr().out


def test_the_command_updates_from_a_file(whole, capsys):
    assert command.main(["--from", str(whole)], standalone_mode=False) == 0
    assert "2026-11-20" in capsys.readouterr().out
