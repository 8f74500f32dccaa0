"""Open the model that [model] names with the plug-in that fits it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import torch

from hauberk.core.plugins import load
from hauberk.core.project import ModelSection
from hauberk.core.protocols import Target
from hauberk.core.sources import choose, choose_for, imports_from, is_named, made
from hauberk.targets.guarded import Guard
from hauberk.targets.hints import Device, Hints
from hauberk.targets.probing import probe

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats


_SEALED = ".sealed"


class Opened(Target, Protocol):
    """What every plug-in of this folder gives: a target that keeps its guard."""

    guard: Guard


class Opener(Protocol):
    """The class of a plug-in of this folder."""

    def open(self, section: ModelSection, folder: Path, hints: Hints) -> Opened:
        """Open the model; nothing has been asked of it yet."""
        ...


def open_target(
    section: ModelSection,
    folder: Path,
    *,
    shape_hint: tuple[int, ...] | None = None,
    classes_hint: int | None = None,
    bounds_hint: tuple[float, float] | None = None,
    samples_hint: Floats | None = None,
    device: Device = "auto",
) -> Target:
    """Open a model and probe it, which asks it about five inputs.

    The plug-in is section.kind, or the one whose card names the source's ending, its beginning, or the type of what
    "module:callable" gave. hints: what the data says of its inputs and classes. samples_hint: a few real inputs for
    the probe. A file that `hauberk seal --encrypt` wrote is opened in memory. Raises ProjectError, UnknownName,
    MissingExtra, TargetError, TargetTimeout, TargetOutput.
    """
    with _plain(section, folder) as plain:
        return _open(plain, folder, shape_hint, classes_hint, bounds_hint, samples_hint, device)


@contextmanager
def _plain(section: ModelSection, folder: Path) -> Iterator[ModelSection]:
    """Yield a section whose source is no encrypted file, or that file's plain text in memory."""
    if not section.source.endswith(_SEALED):
        yield section
        return
    from hauberk.crypto.memory_files import unsealed

    with unsealed(folder, (section.source,)) as (source,):
        name = section.name or Path(section.source).name.removesuffix(_SEALED)
        yield msgspec.structs.replace(section, source=source, name=name)


def _open(
    section: ModelSection,
    folder: Path,
    shape_hint: tuple[int, ...] | None,
    classes_hint: int | None,
    bounds_hint: tuple[float, float] | None,
    samples_hint: Floats | None,
    device: Device,
) -> Target:
    entry = choose("targets", section.source, section.kind, folder, "model")
    thing = made(section.source, folder, "model.source", "targets") if is_named(section.source) else None
    entry = entry or choose_for("targets", thing)
    opener: Opener = load("targets", entry.name)  # type: ignore[assignment]
    hints = Hints(
        shape=shape_hint,
        classes=classes_hint,
        bounds=bounds_hint,
        device=device,
        samples=None if samples_hint is None else torch.from_numpy(samples_hint.copy()),
        made=thing,
    )
    with imports_from(folder):  # what a model imports on its first answer is found too
        target = opener.open(section, folder, hints)
        probe(target.guard, target.predict, hints)
    return target
