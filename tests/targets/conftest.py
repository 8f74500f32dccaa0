"""A model server on loopback that misbehaves on demand."""

from __future__ import annotations

import http.server
import json
import threading
import time

import numpy as np
import pytest


class ModelServer(http.server.ThreadingHTTPServer):
    """Answers scores [x0, 1 - x0]; `script` holds what the next requests get instead."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list = []
        self.requests: list = []
        self.connections = 0
        self.has_metadata = True
        self.release = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        """A client that left is what the test wanted."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections += 1

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests.append(("GET", self.path, dict(self.headers), b""))
        if not self.server.has_metadata:
            return self.answer(404, b"{}")
        described = {"name": "m", "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 3]}]}
        return self.answer(200, json.dumps(described).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(("POST", self.path, dict(self.headers), body))
        step = self.server.script.pop(0) if self.server.script else None
        if step is not None:
            return step(self)
        if self.path.endswith("/infer"):
            return self.infer(body)
        x = np.array(json.loads(body)["inputs"])
        return self.answer(200, json.dumps({"outputs": self.scores(x).tolist()}).encode())

    @staticmethod
    def scores(x):
        return np.stack((x[:, 0], 1 - x[:, 0]), 1)

    def infer(self, body):
        length = self.headers.get("Inference-Header-Content-Length")
        head = json.loads(body[: int(length)] if length else body)
        tensor = head["inputs"][0]
        assert tensor["name"] == ("pixels" if self.server.has_metadata else "input")
        if length:
            raw = body[int(length) :]
            assert len(raw) == tensor["parameters"]["binary_data_size"]
            x = np.frombuffer(raw, "<f4").reshape(tensor["shape"])
        else:
            x = np.array(tensor["data"]).reshape(tensor["shape"])
        out = self.scores(x).astype("<f4")
        described = {"name": "scores", "datatype": "FP32", "shape": list(out.shape)}
        if not length:
            described["data"] = out.ravel().tolist()
            return self.answer(200, json.dumps({"outputs": [described]}).encode())
        described["parameters"] = {"binary_data_size": out.nbytes}
        head = json.dumps({"outputs": [described]}).encode()
        return self.answer(200, head + out.tobytes(), **{"Inference-Header-Content-Length": str(len(head))})

    def answer(self, status, body, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def status(code, body=b"busy", **headers):
    """Answer with a status."""
    return lambda handler: handler.answer(code, body, **headers)


def hang(handler):
    """Say nothing until the test is over."""
    handler.server.release.wait(30)
    handler.close_connection = True


def drip(handler):
    """Send a header byte by byte, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server.release.is_set():
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.02)
    handler.close_connection = True


def truncated(handler):
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"outputs"')
    handler.close_connection = True


def endless(handler):
    """Send chunks that never end."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    while not handler.server.release.is_set():
        handler.wfile.write(piece)


def drop(handler):
    """Close the connection without a word."""
    handler.close_connection = True


@pytest.fixture
def server():
    running = ModelServer()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.release.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def acts():
    """What a script may hold."""
    import types

    return types.SimpleNamespace(status=status, hang=hang, drip=drip, truncated=truncated, endless=endless, drop=drop)
