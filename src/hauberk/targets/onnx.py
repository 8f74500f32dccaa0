"""ONNX files: onnxruntime predicts; where the operators are known, the graph as a torch module gives the gradient."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import HauberkError
from hauberk.core.project import ModelSection
from hauberk.core.protocols import TargetSpec
from hauberk.crypto.digests import of_file
from hauberk.targets.guarded import Guard
from hauberk.targets.hints import Hints, guard_of, spec_of
from hauberk.targets.onnx_module import OnnxModule, unsupported
from hauberk.targets.onnx_operators.attributes import Unsupported
from hauberk.targets.onnx_session import Session, graph_of, open_session
from hauberk.targets.prepared import Prepared

PROBED = 4
"""Inputs on which the imported graph is held against onnxruntime when it is loaded."""
AGREE = 1e-3
"""How far the two may differ, as a share of the largest score: other kernels sum in another order."""


class Onnx:
    """An ONNX graph run by onnxruntime. guard: checks, batches, counts and times what is asked."""

    card: ClassVar[Card] = Card(
        title="ONNX file",
        summary="Reaches an ONNX graph: onnxruntime predicts, and our import of the graph into torch gives gradients.",
        suffixes=(".onnx",),
        extra="models",
    )

    def __init__(self, session: Session, preparation: Prepared, guard: Guard) -> None:
        self.guard = guard
        self._session, self._preparation = session, preparation

    @classmethod
    def open(cls, section: ModelSection, folder: Path, hints: Hints) -> Onnx | DifferentiableOnnx:
        """Load the graph; with a gradient where its import agrees with onnxruntime, else a note says why not."""
        path = folder / section.source
        session = open_session(path)
        if section.shape == () and hints.shape is None and session.shape:
            hints = _with_shape(hints, session.shape)
        spec = spec_of(section, hints, "onnx", of_file(path))
        guard = guard_of(section, spec, hints, batch=session.batch)
        scored = cls(session, Prepared(torch.nn.Identity(), section.mean, section.std), guard)
        module, why = _imported(path, session, scored, hints)
        if module is None:
            guard.note(f"no gradient: {why}")
            return scored
        prepared = Prepared(module, section.mean, section.std, guard.spec.answers)
        return DifferentiableOnnx(scored, prepared.eval().requires_grad_(False))

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        return self.guard.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score x (n, *shape) with onnxruntime."""
        return self.guard.ask(self._answer, x)

    def _answer(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._session.run(self._preparation.scores(x).cpu().numpy()))


class DifferentiableOnnx:
    """An ONNX graph that onnxruntime scores and torch differentiates."""

    def __init__(self, scored: Onnx, prepared: Prepared) -> None:
        self.guard = scored.guard
        self._scored, self._prepared = scored, prepared

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        return self.guard.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score x (n, *shape) with onnxruntime: what is deployed answers, not our import of it."""
        return self._scored.predict(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits under autograd with the imported graph."""
        if not self.guard.learned:
            self.predict(x[:2])
        self._prepared.answers = self.guard.spec.answers
        self.guard.check(x)
        self.guard.spend(len(x))
        logits: torch.Tensor = self.guard.call(lambda: self._prepared(x))
        return logits


def _with_shape(hints: Hints, shape: tuple[int, ...]) -> Hints:
    return Hints(shape, hints.classes, hints.bounds, hints.device, hints.samples, hints.made)


def _imported(path: Path, session: Session, scored: Onnx, hints: Hints) -> tuple[torch.nn.Module | None, str]:
    """Import the graph and hold it against onnxruntime; say why where that fails."""
    graph = graph_of(path)
    module: torch.nn.Module
    missing = unsupported(graph)
    try:
        module = _converted(path) if missing else OnnxModule(graph, session.output)
    except (Unsupported, ValueError, RuntimeError, NotImplementedError) as error:
        return None, f"operators not known here: {', '.join(missing)}" if missing else str(error)
    x = _probe(scored.spec, hints)
    if x is None:
        return None, "the shape of one input is not known, so the import could not be held against onnxruntime"
    try:
        wanted = torch.from_numpy(session.run(x.numpy()))
        with torch.no_grad():
            got = module(x.requires_grad_(False))
    except HauberkError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a graph does inside torch, prediction goes on without gradient
        return None, f"the imported graph fails: {type(error).__name__}: {str(error)[:120]}"
    if got.shape != wanted.shape or not torch.allclose(got.float(), wanted.float(), atol=_tolerance(wanted), rtol=0):
        return None, "the imported graph and onnxruntime answer differently"
    return module, ""


def _tolerance(scores: torch.Tensor) -> float:
    return AGREE * max(1e-6, float(scores.abs().max())) if scores.numel() else AGREE


def _converted(path: Path) -> torch.nn.Module:
    """Let onnx2torch try where it happens to be installed; raises Unsupported where it is not."""
    try:
        onnx2torch = importlib.import_module("onnx2torch")
    except ImportError as error:
        raise Unsupported("onnx2torch is not installed") from error
    module: torch.nn.Module = onnx2torch.convert(str(path))
    return module.eval()


def _probe(spec: TargetSpec, hints: Hints) -> torch.Tensor | None:
    if hints.samples is not None and len(hints.samples):
        return hints.samples[:PROBED].to(torch.float32)
    if not spec.shape:
        return None
    low, high = spec.bounds
    return low + (high - low) * torch.rand(PROBED, *spec.shape, generator=torch.Generator().manual_seed(1))
