"""Reference models of a project: how [privacy] trains them, and the folder they are kept in."""

from __future__ import annotations

import inspect
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

import msgspec
import numpy as np
import torch

from hauberk.attacks.shadow_training import Recipe
from hauberk.attacks.shadows import Lender, Schools, ShadowPlan, Trainer
from hauberk.core.errors import ProjectError, TargetError
from hauberk.core.plugins import load
from hauberk.core.project import ModelSection, PrivacySection, Project
from hauberk.core.protocols import Target
from hauberk.core.sources import choose_for, imports_from, named
from hauberk.targets.hints import Hints

TOGETHER = 4
"""Reference models trained side by side where an executor is named: several parts even of a small plan."""


class _Opener(Protocol):
    """The class of a target plug-in."""

    def open(self, section: ModelSection, folder: Path, hints: Hints) -> Target:
        """Make a target of what the hints hold."""
        ...


class FolderShelf:
    """Keeps arrays as .npz files named by their key; a file that cannot be read counts as not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str) -> Mapping[str, np.ndarray] | None:
        """Read what was kept."""
        path = self._folder / f"{key}.npz"
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write whole or not at all; a folder that cannot be written costs another training, not the audit."""
        part = self._folder / f"{key}.{os.getpid()}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            part.replace(self._folder / f"{key}.npz")
        except OSError:
            part.unlink(missing_ok=True)


def lender_for(
    project: Project, folder: Path | None, target: Target, seed: int, schools: Schools | None = None
) -> Lender | None:
    """Make the lender of a project's reference models; None where [privacy] references is 0.

    folder: of the project; None keeps nothing. schools: train them elsewhere.
    Raises ProjectError for a trainer that is not there.
    """
    section = project.privacy
    if not section.references:
        return None
    if section.references < 0 or section.batch < 2 or section.rate <= 0 or section.epochs < 0:
        raise ProjectError(
            f"{section.references} references, batch {section.batch}, rate {section.rate:g}, epochs {section.epochs}",
            where="[privacy]",
            fix="references and epochs are 0 or more, batch 2 or more, rate above 0",
        )
    plan = ShadowPlan(
        models=section.references,
        seconds=section.seconds,
        recipe=Recipe(section.epochs, section.batch, section.rate, section.weight_decay),
        seed=seed,
        together=TOGETHER if project.run.executor else 0,
    )
    shelf = FolderShelf(folder / section.keep) if folder is not None and section.keep else None
    if not section.trainer:
        return Lender(plan, shelf, schools=schools)
    train = named(section.trainer, folder or Path(), "privacy.trainer")
    if not callable(train):
        raise ProjectError(f"{section.trainer} cannot be called", where="privacy.trainer", fix="name a function")
    return Lender(plan, shelf, _trainer(train, section, project, folder or Path(), target), _text(train), schools)


def _trainer(
    train: Callable[..., object], section: PrivacySection, project: Project, folder: Path, target: Target
) -> Trainer:
    """Wrap the project's own training function, so that what it returns becomes a target as the model itself is."""
    model = project.model or ModelSection(source=section.trainer)
    spec = target.spec

    def trained(x: torch.Tensor, y: torch.Tensor, seed: int) -> Target:
        try:
            with imports_from(folder):
                thing: object = train(x.numpy(), y.numpy(), seed)
        except Exception as error:
            raise TargetError(
                f"{section.trainer} raised {type(error).__name__}: {error}",
                where="privacy.trainer",
                fix="it takes arrays x, y and a seed, and returns a trained model",
            ) from error
        entry = choose_for("targets", thing)
        opener = cast(_Opener, load("targets", entry.name))
        described = msgspec.structs.replace(model, source=entry.name, kind=entry.name, factory="", answers=spec.answers)
        return opener.open(
            described, folder, Hints(shape=spec.shape, classes=spec.classes, bounds=spec.bounds, made=thing)
        )

    return trained


def _text(function: Callable[..., object]) -> str:
    """Return the source of the file a function stands in: what it calls there counts too."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    try:
        return (
            Path(code.co_filename).read_text(encoding="utf-8")
            if code is not None
            else inspect.getsource(type(function))
        )
    except (OSError, TypeError, UnicodeDecodeError):
        return f"{type(function).__qualname__} {getattr(function, '__qualname__', '')}"
