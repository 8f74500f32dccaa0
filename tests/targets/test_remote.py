"""Models behind HTTP: both protocols against a real server, and every way in which it can misbehave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hauberk.core.errors import BudgetSpent, ProjectError, TargetError, TargetOutput, TargetTimeout
from hauberk.core.project import HttpSection, ModelSection
from hauberk.core.protocols import powers
from hauberk.targets import exchange as exchange_file
from hauberk.targets.exchange import Pace
from hauberk.targets.hints import Hints
from hauberk.targets.opening import open_target
from hauberk.targets.remote import Remote

X = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
WANT = torch.stack((X[:, 0], 1 - X[:, 0]), 1)
HINTS = Hints(shape=(3,), bounds=(0.0, 1.0))


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.at, self.slept = 1000.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.at += seconds

    def pace(self):
        return Pace(now=lambda: self.at, wall=lambda: self.at, sleep=self.sleep, jitter=lambda: 1.0)


@pytest.fixture
def clockwork():
    return Time()


@pytest.fixture
def remote(server, clockwork):
    def make(path="/predict", *, timeout=5.0, queries=None, mean=(), std=(), **http):
        section = ModelSection(
            source=server.url + path, timeout=timeout, queries=queries, mean=mean, std=std, http=HttpSection(**http)
        )
        return Remote.open(section, Path(), HINTS, clockwork.pace())

    return make


def test_json_by_template_over_one_connection(server, remote):
    target = remote(batch=2)
    assert torch.allclose(target.predict(X), WANT)
    assert torch.allclose(target.predict(X), WANT)
    assert server.connections == 1
    assert len(server.requests) == 6
    assert powers(target) == {"scores"}
    assert target.spec.answers == "probabilities"
    assert any("over the network" in note for note in target.spec.notes)


def test_template_and_path_go_where_they_are_told(server, remote, acts):
    answer = json.dumps({"result": [{"scores": [0.25, 0.75]}, {"scores": [1, 0]}]}).encode()
    server.script = [acts.status(200, answer)]
    target = remote(request='{"rows": {{inputs}}, "model": "m"}', response="result.*.scores")
    assert target.predict(X[:2]).tolist() == [[0.25, 0.75], [1.0, 0.0]]
    assert json.loads(server.requests[0][3])["model"] == "m"


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("path", ["", "/v2", "/v2/models/m", "/v2/models/m/infer"])
@pytest.mark.parametrize("described", [True, False])
def test_open_inference_protocol(server, remote, binary, path, described):
    server.has_metadata = described
    target = remote(path, protocol="oip", model="m", binary=binary)
    assert torch.allclose(target.predict(X), WANT)
    assert [row[:2] for row in server.requests] == [("GET", "/v2/models/m"), ("POST", "/v2/models/m/infer")]


@pytest.mark.parametrize(
    ("head", "tail", "message"),
    [
        ({"outputs": [{"datatype": "FP32", "shape": [5, 2], "parameters": {"binary_data_size": 40}}]}, 39, "39 bytes"),
        ({"outputs": [{"datatype": "FP32", "shape": [5, 2], "parameters": {"binary_data_size": -4}}]}, 40, "gives -4"),
        ({"outputs": [{"datatype": "FP32", "shape": [10**12], "data": [1]}]}, 0, "does not fit shape"),
        ({"outputs": [{"datatype": "BYTES", "shape": [5], "data": ["a"]}]}, 0, "type BYTES"),
        ({"outputs": [3]}, 0, "not an object"),
        ({"error": "no"}, 0, "no list of outputs"),
    ],
)
def test_open_inference_replies_that_lie(server, remote, acts, head, tail, message):
    target = remote("/v2", protocol="oip", model="m", binary=True)
    body = json.dumps(head).encode()
    length = {"Inference-Header-Content-Length": str(len(body))}
    server.script = [acts.status(200, body + b"\0" * tail, **length)]
    with pytest.raises(TargetOutput, match=message):
        target.predict(X)


def test_a_refusal_for_now_is_waited_out(server, remote, clockwork, acts):
    server.script = [acts.status(429, Retry_After="7"), acts.status(503), acts.status(500)]
    assert torch.allclose(remote().predict(X), WANT)
    assert clockwork.slept == [7.0, 1.0, 2.0]  # what was asked, then 0.5 · 2^k at full jitter


def test_retry_after_may_be_a_date(server, remote, clockwork, acts):
    server.script = [acts.status(503, Retry_After="Thu, 01 Jan 1970 00:17:10 GMT")]  # second 1030
    remote().predict(X)
    assert clockwork.slept == [30.0]


def test_patience_ends(server, remote, clockwork, acts):
    server.script = [acts.status(500, b"out of memory")] * 9
    with pytest.raises(TargetError, match="answered 500: out of memory"):
        remote(retries=2).predict(X)
    assert len(server.requests) == 3
    server.script = [acts.status(429, Retry_After="99999")]
    with pytest.raises(TargetError, match="asks to wait 99999 s"):
        remote().predict(X)


def test_a_refusal_for_good_is_not_repeated(server, remote, acts):
    server.script = [acts.status(403, b"no such key")]
    with pytest.raises(TargetError, match="answered 403: no such key"):
        remote().predict(X)
    assert len(server.requests) == 1


def test_broken_and_truncated_answers_are_asked_again(server, remote, acts):
    server.script = [acts.truncated, acts.drop]
    assert torch.allclose(remote().predict(X), WANT)
    server.script = [acts.truncated] * 9
    with pytest.raises(TargetError, match="IncompleteRead"):
        remote(retries=1).predict(X)


def test_a_connection_closed_while_idle_costs_no_wait(server, remote, clockwork, acts):
    target = remote()
    target.predict(X)
    server.script = [acts.drop]
    assert torch.allclose(target.predict(X), WANT)
    assert clockwork.slept == []


@pytest.mark.parametrize("act", ["hang", "drip"])
def test_a_slow_server_is_left(server, remote, acts, act):
    server.script = [getattr(acts, act)]
    with pytest.raises(TargetTimeout, match=r"no answer within 0\.3 s"):
        remote(timeout=0.3).predict(X)


@pytest.mark.parametrize("act", ["endless", "claimed"])
def test_a_huge_answer_is_not_read(server, remote, acts, act, monkeypatch):
    monkeypatch.setattr(exchange_file, "ANSWER_BYTES", 1 << 18)
    server.script = [acts.endless if act == "endless" else acts.status(200, b" " * (1 << 19))]
    with pytest.raises(TargetError, match="more than"):
        remote().predict(X)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"outputs": [[NaN, 1], [0, 1], [0, 1], [0, 1], [0, 1]]}', "NaN to input 0"),
        (b'{"outputs": [[0, 1]]}', r"shape \(1, 2\) to 5 inputs"),
        (b'{"outputs": {"a": 1}}', "a dict of 1"),
        (b'{"outputs": null}', "NoneType"),
        (b'{"scores": []}', 'no "outputs" at "", which holds scores'),
        (b"<html>", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"outputs": [[0, 1], [1]]}', "different lengths"),
        (b"", "is not JSON"),
    ],
)
def test_answers_that_are_no_scores(server, remote, acts, body, message):
    server.script = [acts.status(200, body)]
    with pytest.raises(TargetOutput, match=message):
        remote().predict(X)


def test_redirects_stay_with_the_host(server, remote, acts):
    server.script = [acts.status(307, Location="/elsewhere")]
    assert torch.allclose(remote(headers={"X-Key": "k"}).predict(X), WANT)
    assert [row[1] for row in server.requests] == ["/predict", "/elsewhere"]
    for code, to in ((307, "http://evil.example/x"), (302, "/elsewhere"), (308, "https://127.0.0.1/x")):
        server.script = [acts.status(code, Location=to)]
        with pytest.raises(TargetError, match="not followed"):
            remote().predict(X)
    server.script = [acts.status(308, Location="/a")] * 9
    with pytest.raises(TargetError, match="circle"):
        remote().predict(X)


def test_secrets_come_from_the_environment_and_appear_nowhere(server, remote, acts, monkeypatch):
    monkeypatch.setenv("MODEL_TOKEN", "s3cr3t-value")
    target = remote(headers={"Authorization": "Bearer ${MODEL_TOKEN}"})
    server.script = [acts.status(401, b"bad token s3cr3t-value")]
    with pytest.raises(TargetError) as caught:
        target.predict(X)
    assert server.requests[0][2]["Authorization"] == "Bearer s3cr3t-value"
    assert "s3cr3t" not in str(caught.value) + repr(target) + repr(target.spec)
    assert "bad token …" in str(caught.value)
    with pytest.raises(ProjectError, match="the environment has no NO_SUCH_TOKEN"):
        remote(headers={"Authorization": "$NO_SUCH_TOKEN"})
    monkeypatch.setenv("MODEL_TOKEN", "a\r\nHost: b")
    with pytest.raises(ProjectError, match="line break") as broken:
        remote(headers={"Authorization": "$MODEL_TOKEN"})
    assert "Host: b" not in str(broken.value)


def test_the_query_of_an_address_is_sent_but_not_shown(server, remote):
    target = remote("/predict?key=hidden")
    target.predict(X)
    assert server.requests[0][1] == "/predict?key=hidden"
    assert "hidden" not in repr(target.spec)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://user:word@127.0.0.1/x", "holds a user or password"),
        ("http:///x", "not an http"),
        ("http://127.0.0.1:99999/", "not an address"),
    ],
)
def test_addresses_that_are_refused(source, message):
    with pytest.raises(ProjectError, match=message) as caught:
        Remote.open(ModelSection(source=source), Path(), HINTS)
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize(
    ("http", "message"),
    [
        ({"request": '{"x": 1}'}, "no {{inputs}}"),
        ({"request": '{"x": {{inputs}}'}, "is not JSON"),
        ({"protocol": "oip"}, "name is not known"),
    ],
)
def test_settings_that_cannot_work(remote, http, message):
    with pytest.raises(ProjectError, match=message):
        remote(**http)


def test_the_rate_is_kept(remote, clockwork):
    remote(batch=1, rate=4.0).predict(X)
    assert clockwork.slept == [0.25] * 4


def test_the_budget_counts_inputs_and_stops_before_sending(server, remote):
    target = remote(queries=6, batch=4)
    target.predict(X)
    sent = len(server.requests)
    with pytest.raises(BudgetSpent, match="5 of 6"):
        target.predict(X)
    assert len(server.requests) == sent


def test_mean_and_std_are_applied_before_sending(server, remote):
    remote(mean=(0.5,), std=(0.25,)).predict(X)
    assert torch.allclose(torch.tensor(json.loads(server.requests[0][3])["inputs"]), (X - 0.5) / 0.25, atol=1e-6)


def test_opening_by_address_probes_five_inputs(server):
    target = open_target(ModelSection(source=f"{server.url}/predict"), Path(), shape_hint=(3,), bounds_hint=(0, 1))
    assert target.spec.kind == "remote"
    assert sum(len(json.loads(row[3])["inputs"]) for row in server.requests) == 5


def test_nobody_listening_is_a_clear_error(clockwork):
    section = ModelSection(source="http://127.0.0.1:9/x", http=HttpSection(retries=1))
    target = Remote.open(section, Path(), HINTS, clockwork.pace())
    with pytest.raises(TargetError, match="ConnectionRefusedError"):
        target.predict(X)
