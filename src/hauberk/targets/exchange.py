"""Speak HTTP with one host: kept-alive, timed, rate-limited, retried with patience, never trusted."""

from __future__ import annotations

import datetime as dt
import email.utils
import http.client
import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from hauberk.core.errors import ProjectError, TargetError, TargetTimeout
from hauberk.core.limits import ANSWER_BYTES
from hauberk.targets.deadline import within

_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 120.0
_HOPS = 3
_PIECE = 1 << 16
_BROKEN = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


@dataclass(frozen=True, slots=True)
class Pace:
    """Clock, sleep and jitter, so that a test need not wait."""

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = field(default_factory=lambda: random.Random().random)  # noqa: S311 - no secret


class Reply(NamedTuple):
    """What came back. headers: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Exchange:
    """One host, one connection at a time.

    headers: sent with every request; they may hold secrets and appear in no message. seconds: of one attempt.
    rate: requests a second at most. retries: after a refusal for now (429, 5xx) or a broken connection.
    """

    def __init__(
        self,
        address: str,
        headers: Mapping[str, str],
        *,
        seconds: float | None = None,
        rate: float | None = None,
        retries: int = 3,
        secrets: tuple[str, ...] = (),
        pace: Pace | None = None,
    ) -> None:
        self._url = _checked(address)
        self._headers = dict(headers)
        self._seconds, self._retries, self._secrets = seconds, retries, secrets
        self._interval = 1 / rate if rate else 0.0
        self._pace = pace or Pace()
        self._next = 0.0
        self._line: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()

    @property
    def where(self) -> str:
        """How messages name the host: without query, user or password."""
        return f"{self._url.scheme}://{_host(self._url)}"

    @property
    def in_clear(self) -> bool:
        """Whether what is sent can be read on the way."""
        return self._url.scheme == "http" and self._url.hostname not in ("localhost", "127.0.0.1", "::1")

    def send(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Send a request and return its good reply; raises TargetError or TargetTimeout without any secret in it."""
        with self._lock:
            fault = ""
            for attempt in range(self._retries + 1):
                self._await_turn()
                try:
                    reply = self._follow(method, path, body, {**self._headers, **(headers or {})})
                except ssl.SSLCertVerificationError as error:
                    raise self._fault(f"its certificate is not trusted: {error.verify_message}") from None
                except (OSError, http.client.HTTPException) as error:
                    self.close()
                    fault, asked = f"{type(error).__name__}: {error}".rstrip(": "), 0.0
                else:
                    if reply.status < 300:
                        return reply
                    fault, asked = self._refusal(reply), self._retry_after(reply)
                    if reply.status not in _RETRIED or asked > _LONGEST_WAIT:
                        break
                if attempt < self._retries:
                    self._pace.sleep(max(asked, self._pace.jitter() * min(30.0, _FIRST_WAIT * 2**attempt)))
            raise self._fault(fault)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _await_turn(self) -> None:
        wait = self._next - self._pace.now()
        if wait > 0:
            self._pace.sleep(wait)
        self._next = max(self._next, self._pace.now()) + self._interval

    def _follow(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send once, and again where the same host says the resource moved and the method stays (307, 308)."""
        for _ in range(_HOPS):
            reply = self._in_time(method, path, body, headers)
            if not 300 <= reply.status < 400:
                return reply
            to = urlsplit(urljoin(f"{self.where}{path}", reply.headers.get("location", "")))
            if (to.scheme, to.netloc) != (self._url.scheme, self._url.netloc) or reply.status not in (307, 308):
                raise self._fault(
                    f"answered {reply.status} and points to {to.scheme}://{_host(to)}{to.path}: not followed",
                    fix="name the final address in model.source if you trust it",
                )
            path = _path(to)
        raise self._fault("redirects in a circle")

    def _in_time(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            return within(self._seconds, lambda: self._again(method, path, body, headers), self.where)
        except TargetTimeout:
            self.close()
            raise
        except TimeoutError:
            self.close()
            raise TargetTimeout(
                f"no answer within {self._seconds:g} s", where=self.where, fix="raise model.timeout"
            ) from None

    def _again(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send once; a kept connection that the server has closed meanwhile is opened anew at once."""
        kept = self._line is not None
        try:
            return self._once(method, path, body, headers)
        except _BROKEN:
            self.close()
            if not kept:
                raise
            return self._once(method, path, body, headers)

    def _once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if self._line is None:
            self._line = self._connected()
        self._line.request(method, path, body=body or None, headers=dict(headers))
        answer = self._line.getresponse()
        length = answer.length
        if length is not None and length > ANSWER_BYTES:
            self.close()
            raise self._fault(f"answered with {length} bytes, more than {ANSWER_BYTES}")
        body = self._body(answer)
        if length is not None and len(body) < length:
            raise http.client.IncompleteRead(body[:0], length - len(body))
        if answer.will_close:
            self.close()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)

    def _body(self, answer: http.client.HTTPResponse) -> bytes:
        """Read piece by piece, so that a body without a stated length cannot fill the memory."""
        pieces, size = [], 0
        while piece := answer.read(_PIECE):
            size += len(piece)
            if size > ANSWER_BYTES:
                self.close()
                raise self._fault(f"answered with more than {ANSWER_BYTES} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def _connected(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._seconds, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=self._seconds)

    def _retry_after(self, reply: Reply) -> float:
        """Read how long the server asks to wait: seconds or a date (RFC 9110 §10.2.3); 0 where it does not say."""
        value = reply.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            date = email.utils.parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return 0.0
        if date.tzinfo is None:
            date = date.replace(tzinfo=dt.UTC)
        return max(0.0, date.timestamp() - self._pace.wall())

    def _refusal(self, reply: Reply) -> str:
        """Word a bad status with the beginning of what the server said."""
        said = " ".join(reply.body[:400].decode("utf-8", "replace").split())[:200]
        asked = self._retry_after(reply)
        wait = f", asks to wait {asked:.0f} s" if asked > _LONGEST_WAIT else ""
        return f"answered {reply.status}{wait}" + (f": {said}" if said else "")

    def _fault(self, what: str, fix: str = "") -> TargetError:
        for secret in self._secrets:
            what = what.replace(secret, "…")
        return TargetError(
            what, where=self.where, fix=fix or "see that the address, the headers and the server are right"
        )


def _checked(address: str) -> SplitResult:
    """Take an address apart; raises ProjectError where it cannot or should not be used."""
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError as error:
        raise ProjectError(f"not an address: {error}", where="model.source") from error
    if not url.hostname or url.scheme not in ("http", "https"):
        raise ProjectError("not an http(s) address", where="model.source", fix="such as https://host/predict")
    if url.username or url.password:
        raise ProjectError(
            "the address holds a user or password",
            where="model.source",
            fix='keep it in the environment: headers = { Authorization = "$MODEL_TOKEN" } under [model.http]',
        )
    return url


def _host(url: SplitResult) -> str:
    return url.netloc.rpartition("@")[2]


def _path(url: SplitResult) -> str:
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


def path_of(address: str) -> str:
    """Return the path and query of an address."""
    return _path(urlsplit(address))
