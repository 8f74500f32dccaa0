"""What is known of a model before it is opened, and the record of it that every way to reach a model starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import torch

from hauberk.core.errors import ProjectError
from hauberk.core.project import ModelSection
from hauberk.core.protocols import TargetSpec
from hauberk.numeric.bpda import Step
from hauberk.targets.guarded import Guard

TRUST_NOTE = "loaded with trust = true: the file could run code on load"
"""What a report must say of a model from a format that can carry code."""

Device: TypeAlias = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Hints:
    """What the data and the run say of the model, where its section does not.

    samples: a few real inputs (n, *shape) to probe with; without them the probe draws from the bounds.
    made: the object that a "module:callable" source gave. before: what happens to an input ahead of the model.
    """

    shape: tuple[int, ...] | None = None
    classes: int | None = None
    bounds: tuple[float, float] | None = None
    device: Device = "auto"
    samples: torch.Tensor | None = None
    made: object = None
    before: Step | None = None


def spec_of(section: ModelSection, hints: Hints, kind: str, digest: str = "", *notes: str) -> TargetSpec:
    """Say what is known before the first answer; raises ProjectError where the bounds are not known."""
    bounds = section.bounds or hints.bounds
    if bounds is None:
        raise ProjectError("the range of input values is not known", where="model.bounds", fix="bounds = [0, 1]")
    if not bounds[0] < bounds[1]:
        raise ProjectError(f"the range {list(bounds)} is empty", where="model.bounds", fix="bounds = [low, high]")
    classes = section.classes or len(section.labels)
    if section.labels and len(section.labels) != classes:
        raise ProjectError(f"{len(section.labels)} labels for {classes} classes", where="model.labels")
    return TargetSpec(
        name=section.name or _short(section.source),
        kind=kind,
        shape=section.shape or hints.shape or (),
        classes=classes,
        bounds=(float(bounds[0]), float(bounds[1])),
        answers=section.answers or "logits",
        digest=digest,
        labels=section.labels,
        notes=notes,
    )


def guard_of(
    section: ModelSection,
    spec: TargetSpec,
    hints: Hints,
    *,
    batch: int | None = None,
    timed: bool = True,
    standardise: bool = False,
) -> Guard:
    """Make the guard a section asks for.

    timed: False where the model keeps its own time. standardise: apply mean and std in the guard, for models that
    cannot do it themselves.
    """
    return Guard(
        spec,
        section.answers,
        seconds=(section.timeout or None) if timed else None,
        queries=section.queries,
        batch=batch,
        guess=hints.classes or 0,
        mean=section.mean if standardise else (),
        std=section.std if standardise else (),
    )


def _short(source: str) -> str:
    """Name a source without folders, and an address without user, password and query."""
    address = urlsplit(source)
    if address.scheme in ("http", "https"):
        return f"{address.hostname}{address.path}"
    return PurePosixPath(source.replace("\\", "/")).name


def device_of(device: Device) -> torch.device:
    """Choose where to compute; raises ProjectError where CUDA is asked for and missing."""
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise ProjectError("CUDA is not available", where="run.device", fix='device = "auto"')
    return torch.device("cuda" if there and device != "cpu" else "cpu")
