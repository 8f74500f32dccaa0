"""Programs of torch.export, kept as .pt2: scores and gradients, but no module to rebuild or train."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch.export.graph_signature import InputKind
from torch.export.passes import move_to_device_pass

from hauberk.core.card import Card
from hauberk.core.errors import ProjectError, nearest
from hauberk.core.project import ModelSection
from hauberk.core.protocols import TargetSpec
from hauberk.crypto.digests import of_file
from hauberk.targets.guarded import Guard
from hauberk.targets.hints import TRUST_NOTE, Hints, device_of, guard_of, spec_of
from hauberk.targets.prepared import Prepared

_MOST = 4096


class Exported:
    """A program exported for one batch size or a range of them; other sizes are split and padded to fit.

    guard: checks, batches, counts and times what is asked.
    """

    card: ClassVar[Card] = Card(
        title="torch.export program",
        summary="Reaches .pt2 programs with gradients; batch sizes they were not exported for are split and padded.",
        suffixes=(".pt2",),
        extra="models",
    )

    def __init__(self, prepared: Prepared, guard: Guard, least: int, most: int) -> None:
        self.guard = guard
        self._prepared = prepared.requires_grad_(False)
        self._least, self._most = least, most

    @classmethod
    def open(cls, section: ModelSection, folder: Path, hints: Hints) -> Exported:
        """Load a program; raises ProjectError where it is broken or is not vouched for."""
        path = folder / section.source
        program, notes = _load(path, trust=section.trust)
        entry = _entry(program, path)
        if section.shape and section.shape != entry.shape:
            raise ProjectError(f"the program takes {entry.shape}, not {section.shape}", where="model.shape")
        program = move_to_device_pass(program, device_of(hints.device))
        if entry.least == entry.most:
            notes += (f"exported for batches of {entry.most}: other sizes are split and padded",)
        hints = Hints(entry.shape, hints.classes, hints.bounds, hints.device, hints.samples)
        spec = spec_of(section, hints, "exported", of_file(path), *notes)
        if spec.answers == "labels":
            raise ProjectError("a program gives scores, not labels", where="model.answers", fix='answers = "logits"')
        prepared = Prepared(program.module(), section.mean, section.std, spec.answers)
        guard = guard_of(section, spec, hints, batch=min(_MOST, max(1, entry.most)))
        return cls(prepared, guard, entry.least, entry.most)

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        return self.guard.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score x (n, *shape) without gradient; what comes back has been checked."""
        scores = self.guard.ask(lambda part: _padded(self._prepared.scores, part, self._least), x)
        self._prepared.answers = self.guard.spec.answers
        return scores

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits under autograd; raises what `predict` raises."""
        if not self.guard.learned:
            self.predict(x[:2])
        self.guard.check(x)
        self.guard.spend(len(x))
        logits = [self.guard.call(partial(self._logits, part)) for part in torch.split(x, self._most)]
        return torch.cat(logits).to(x.device)

    def _logits(self, part: torch.Tensor) -> torch.Tensor:
        return _padded(self._prepared, part, self._least)


class Entry(NamedTuple):
    """What a program takes: the shape of one input, and the least and most inputs at once."""

    shape: tuple[int, ...]
    least: int
    most: int


def _load(path: Path, *, trust: bool) -> tuple[torch.export.ExportedProgram, tuple[str, ...]]:
    """Load a program the user vouches for.

    torch.export evaluates its symbolic shapes with sympify, generates Python code from its graph and guards, and falls
    back to an unrestricted unpickler for some members (torch 2.13, torch/_export/serde/serialize.py): no check of ours
    before the load could make a hostile file safe.
    """
    if not path.is_file():
        near = nearest(path.name, (other.name for other in path.parent.glob("*.pt2")))
        raise ProjectError("no such file", where=f"model.source {path.name}", fix=near)
    if not trust:
        raise ProjectError(
            "loading a torch.export program can run code that is in it",
            where=path.name,
            fix="set model.trust = true if you exported it yourself, or save safetensors weights and name a factory",
        )
    try:
        return torch.export.load(path), (TRUST_NOTE,)
    except Exception as error:  # a broken archive may raise anything
        raise ProjectError(f"cannot be loaded: {error}", where=path.name, fix="export it again") from error


def _entry(program: torch.export.ExportedProgram, path: Path) -> Entry:
    """Read shape and batch range of the only input."""
    inputs = {spec.arg.name for spec in program.graph_signature.input_specs if spec.kind == InputKind.USER_INPUT}
    values = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs]
    if len(values) != 1 or not isinstance(values[0], torch.Tensor) or values[0].ndim < 2:
        raise ProjectError(f"the program takes {len(values)} inputs", where=path.name, fix="export one tensor (n, …)")
    sizes: list[int | torch.SymInt] = list(values[0].shape)
    batch, rest = sizes[0], tuple(size for size in sizes[1:] if isinstance(size, int))
    if len(rest) < len(sizes) - 1:
        raise ProjectError("only the batch size may vary", where=path.name, fix="export with a fixed input shape")
    if isinstance(batch, int):
        return Entry(rest, batch, batch)
    bounds = program.range_constraints.get(batch.node.expr)
    least = int(bounds.lower) if bounds is not None else 1
    most = int(bounds.upper) if bounds is not None and bounds.upper < _MOST else _MOST
    return Entry(rest, max(1, least), most)


def _padded(run: Callable[[torch.Tensor], torch.Tensor], part: torch.Tensor, least: int) -> torch.Tensor:
    """Run a part that may be smaller than the program allows, its last input repeated, and drop the surplus."""
    lacking = least - len(part)
    if lacking <= 0:
        return run(part)
    return run(torch.cat((part, part[-1:].expand(lacking, *part.shape[1:]))))[: len(part)]
