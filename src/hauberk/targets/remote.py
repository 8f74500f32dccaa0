"""Models behind HTTP: JSON by a template, or the Open Inference Protocol."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import torch

from hauberk.core.card import Card
from hauberk.core.errors import ProjectError, TargetError
from hauberk.core.project import HttpSection, ModelSection
from hauberk.core.protocols import TargetSpec
from hauberk.crypto.digests import of_bytes
from hauberk.targets.exchange import Exchange, Pace, path_of
from hauberk.targets.guarded import Guard
from hauberk.targets.hints import Hints, guard_of, spec_of
from hauberk.targets.wire_formats import JsonTemplate, OpenInference, WireFormat, metadata

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class Remote:
    """A model that answers over the network: scores or labels only.

    guard: checks, batches and counts what is asked; time is kept per request.
    """

    card: ClassVar[Card] = Card(
        title="Remote model",
        summary="Reaches models behind HTTP: JSON with a template, or Open Inference Protocol v2 with binary tensors.",
        prefixes=("http://", "https://"),
        extra="models",
    )

    def __init__(self, exchange: Exchange, path: str, wire: WireFormat, guard: Guard) -> None:
        self.guard = guard
        self._exchange, self._path, self._wire = exchange, path, wire

    @classmethod
    def open(cls, section: ModelSection, folder: Path, hints: Hints, pace: Pace | None = None) -> Remote:  # noqa: ARG003
        """Connect, and ask for the model's metadata where the protocol has any; raises ProjectError, TargetError."""
        http = section.http
        headers, secrets = _expanded(http)
        exchange = Exchange(
            section.source,
            headers,
            seconds=section.timeout or None,
            rate=http.rate,
            retries=http.retries,
            secrets=secrets,
            pace=pace,
        )
        path, wire = path_of(section.source), _wire(http)
        if http.protocol == "oip":
            path = _infer_path(section.source, http.model)
            wire = _described(exchange, path, http.binary)
        notes = [f"asked over the network at {exchange.where}; its digest is of its address, not of its weights"]
        if exchange.in_clear:
            notes.append("what was sent, headers too, could be read on the way: the address is http, not https")
        address = urlsplit(section.source)
        digest = of_bytes(f"{exchange.where}{address.path}#{http.model}".encode())
        spec = spec_of(section, hints, "remote", digest, *notes)
        guard = guard_of(section, spec, hints, batch=http.batch, timed=False, standardise=True)
        return cls(exchange, path, wire, guard)

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        return self.guard.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score x (n, *shape); what comes back has been checked."""
        return self.guard.ask(self._answer, x)

    def _answer(self, x: torch.Tensor) -> object:
        request = self._wire.write(x.cpu().numpy())
        return self._wire.read(self._exchange.send("POST", self._path, request.body, request.headers))


def _wire(http: HttpSection) -> WireFormat:
    return JsonTemplate(http.request, http.response) if http.protocol == "json" else OpenInference(binary=http.binary)


def _infer_path(source: str, model: str) -> str:
    """Complete an address to …/v2/models/NAME/infer."""
    path = urlsplit(source).path.rstrip("/")
    if path.endswith("/infer"):
        return path
    if not model:
        raise ProjectError("the model's name is not known", where="model.http.model", fix='model = "its name"')
    if "/v2/models/" in f"{path}/":
        return f"{path}/infer"
    return f"{path.removesuffix('/v2')}/v2/models/{model}/infer"


def _described(exchange: Exchange, path: str, binary: bool) -> OpenInference:
    """Ask for names and types of tensors; a server without metadata gets the protocol's plainest guess."""
    try:
        found = metadata(exchange.send("GET", path.removesuffix("/infer")))
    except TargetError as error:
        if "answered 404" not in error.what and "answered 405" not in error.what:
            raise
        return OpenInference(binary=binary)
    return OpenInference(found.entry, found.datatype, found.output, binary)


def _expanded(http: HttpSection) -> tuple[dict[str, str], tuple[str, ...]]:
    """Fill $NAME from the environment; return headers and the secrets that must appear nowhere."""
    secrets: list[str] = []

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in os.environ:
            raise ProjectError(
                f"the environment has no {name}", where="model.http.headers", fix=f"export {name}=… before the run"
            )
        secrets.append(os.environ[name])
        return os.environ[name]

    headers = {name: _VARIABLE.sub(value, text) for name, text in http.headers.items()}
    for name, text in headers.items():
        if any(character in name + text for character in "\r\n\0"):
            raise ProjectError(f"the header {name!r} holds a line break", where="model.http.headers")
    return headers, tuple(secret for secret in secrets if secret)
