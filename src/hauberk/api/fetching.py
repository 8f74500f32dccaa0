"""Bytes from an address the user named: bounded, timed, over a protected channel, digested on the way."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlsplit

from hauberk.core.errors import LimitExceeded, MeasurementError, UsageError
from hauberk.core.version import __version__

TIMEOUT = 30.0
_CHUNK = 1 << 16
_NEAR = ("localhost", "127.0.0.1", "::1")
Progress = Callable[[int], None]


class Fetched(NamedTuple):
    """What was written: its bytes and their sha256, hexadecimal."""

    size: int
    sha256: str


def fetch(
    address: str, target: Path, most: int, *, timeout: float = TIMEOUT, progress: Progress | None = None
) -> Fetched:
    """Write what an address gives to a file.

    Raises UsageError for a channel that others can change, LimitExceeded above `most` bytes, and MeasurementError where
    nothing or not all came.
    """
    _protected(address)
    request = urllib.request.Request(address, headers={"User-Agent": f"hauberk/{__version__}"})  # noqa: S310 - checked
    hasher, size = hashlib.sha256(), 0
    try:
        with _OPENER.open(request, timeout=timeout) as answer, target.open("wb") as file:
            declared = answer.headers.get("Content-Length")
            if declared is not None and declared.isdigit() and int(declared) > most:
                raise LimitExceeded(f"{declared} bytes are more than the {most} that are fetched", where=address)
            while chunk := answer.read(_CHUNK):
                size += len(chunk)
                if size > most:
                    raise LimitExceeded(f"more than the {most} bytes that are fetched", where=address)
                hasher.update(chunk)
                _write(file, chunk, progress)
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise MeasurementError(
            f"nothing could be fetched: {reason}",
            where=address,
            fix="check the network, or give a file that was fetched elsewhere with --from",
        ) from error
    if declared is not None and declared.isdigit() and int(declared) != size:
        raise MeasurementError(f"{size} of {declared} bytes came", where=address, fix="try again")
    return Fetched(size, hasher.hexdigest())


def _write(file: IO[bytes], chunk: bytes, progress: Progress | None) -> None:
    file.write(chunk)
    if progress is not None:
        progress(len(chunk))


def _protected(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _NEAR):
        return
    raise UsageError("only https is fetched from: anyone on the way could change the rest", where=address)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to a protected channel."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: object, newurl: str
    ) -> urllib.request.Request | None:
        _protected(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


_OPENER = urllib.request.build_opener(_Redirects())
