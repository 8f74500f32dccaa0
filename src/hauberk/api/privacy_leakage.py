"""The verbs `privacy leakage` and `privacy memorisation`: what else a model, or what it generates, gives away."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import numpy as np
import torch

from hauberk.api.assembling import Frame, assemble
from hauberk.api.subject import Subject, open_subject, threads_for
from hauberk.attacks.examining_attributes import AttributeAttack, examine_attributes
from hauberk.attacks.examining_gradients import GradientAttack, examine_gradients
from hauberk.attacks.examining_inversion import InversionAttack, examine_inversion
from hauberk.attacks.examining_memorisation import examine_rows, examine_texts
from hauberk.core.errors import DataError, ProjectError, UnknownName, nearest
from hauberk.core.evidence import Checkpoint, Entry, Evidence, Scalar
from hauberk.core.plugins import build
from hauberk.core.policy import Policy
from hauberk.core.progress import Silent
from hauberk.core.project import Project, read
from hauberk.core.protocols import Differentiable, Ensemble, Modular, Progress
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.core.threat import MEMBERSHIP, Threat

_SILENT = Silent()

Kind: TypeAlias = Literal["attributes", "inversion", "gradients"]
KINDS: tuple[Kind, ...] = ("attributes", "inversion", "gradients")
DEFAULTS: dict[Kind, tuple[str, ...]] = {
    "attributes": ("privacy.attribute_black_box", "privacy.attribute_confidence", "privacy.attribute_tree"),
    "inversion": ("privacy.mi_face",),
    "gradients": ("privacy.analytic_gradient", "privacy.gradient_inversion"),
}


def leakage(
    folder: str | os.PathLike[str] = ".",
    *,
    only: tuple[Kind, ...] = (),
    attacks: tuple[str, ...] = (),
    settings: Mapping[str, Mapping[str, Scalar]] | None = None,
    columns: tuple[str, ...] = (),
    batch: int = 1,
    noise: float = 0.0,
    seed: int | None = None,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Report:
    """Attack a project's model for hidden columns, typical inputs of its classes, and examples in its gradients.

    only: some of these. attacks: instead of the default ones. columns: that are hidden, instead of the sensitive ones.
    batch: records a federated client's gradient is of; noise: what it adds to it. Raises UsageError.

    Example:
        >>> hauberk.api.privacy_leakage.leakage("examples/credit").measurements  # doctest: +SKIP
    """
    path = Path(folder)
    project = read(path)
    root = path if path.is_dir() else path.parent
    number = project.run.seed if seed is None else seed
    project = msgspec.structs.replace(project, policy=Policy(fail_on="never"))
    subject = open_subject(project, root)
    stamp = Stamp(clock=clock, seed=number, digests=subject.digests)
    frame = Frame.open(project, path, f"hauberk privacy leakage {path.as_posix()}", clock=clock)
    hidden = _columns(subject, columns)
    made: list[Evidence] = []
    with threads_for(subject, project.run.threads):
        for name in attacks or _default(subject, only or KINDS):
            attack = build("attacks", name, (settings or {}).get(name))
            threat = msgspec.structs.replace(MEMBERSHIP, name=name.partition(".")[2], knowledge="white-box")
            entries = _examined(subject, attack, name, threat, hidden, batch, noise, stamp, number, progress)
            made += [entry for entry in entries if not isinstance(entry, Checkpoint)]
    return assemble(frame, made, clock=clock, target=subject.target.spec, dataset=subject.dataset.spec)


def _default(subject: Subject, kinds: tuple[Kind, ...]) -> list[str]:
    """Leave out what cannot apply, so that the report does not say of every table that it is no image."""
    fit = {
        "attributes": subject.dataset.spec.layout == "row",
        "inversion": isinstance(subject.target, Differentiable),
        "gradients": isinstance(subject.target, Modular),
    }
    if not isinstance(subject.target, Ensemble):
        return [name for kind in kinds if fit[kind] for name in DEFAULTS[kind] if name != "privacy.attribute_tree"]
    return [name for kind in kinds if fit[kind] for name in DEFAULTS[kind]]


def _examined(
    subject: Subject,
    attack: object,
    name: str,
    threat: Threat,
    hidden: tuple[int, ...],
    batch: int,
    noise: float,
    stamp: Stamp,
    seed: int,
    progress: Progress,
) -> Iterable[Entry]:
    target, data = subject
    if isinstance(attack, AttributeAttack):
        return examine_attributes(target, data, attack, threat, hidden, stamp=stamp, seed=seed)
    if isinstance(attack, InversionAttack):
        return examine_inversion(target, data, attack, threat, stamp=stamp, seed=seed)
    if isinstance(attack, GradientAttack):
        return examine_gradients(
            target, data, attack, threat, stamp=stamp, seed=seed, batch=batch, noise=noise, progress=progress
        )
    raise ProjectError(f"{name} is none of these attacks", fix=f"one of {', '.join(sum(DEFAULTS.values(), ()))}")


def _columns(subject: Subject, names: tuple[str, ...]) -> tuple[int, ...]:
    schema = subject.dataset.spec.schema
    columns = schema.columns if schema else ()
    known = {column.name: index for index, column in enumerate(columns)}
    for name in names:
        if name not in known:
            raise UnknownName(f'no column "{name}"', fix=nearest(name, known))
    if names:
        return tuple(known[name] for name in names)
    return tuple(index for index, column in enumerate(columns) if column.sensitive)


def memorisation(
    generated: str | os.PathLike[str],
    train: str | os.PathLike[str],
    held: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    clock: Clock = utc_now,
) -> Report:
    """Look for training records in what a model generated or retrieved: texts (.txt, .jsonl) or rows (.npy, .npz).

    held: records of the same source that the model has not seen, as a control; rows need them. Raises DataError.
    """
    files = [Path(one) for one in (generated, train, *(() if held is None else (held,)))]
    parts = [_read(path) for path in files]
    if len({isinstance(part, list) for part in parts}) != 1:
        raise DataError("some files hold texts and others rows", fix="give all as texts or all as arrays")
    stamp, threat = Stamp(clock=clock, seed=seed), msgspec.structs.replace(MEMBERSHIP, name="memorisation")
    project = Project(name=files[0].stem, policy=Policy(fail_on="never"))
    frame = Frame.open(project, files[0], f"hauberk privacy memorisation {files[0].as_posix()}", clock=clock)
    texts = [part for part in parts if isinstance(part, list)]
    if texts:
        found = examine_texts(
            files[0].name, texts[0], texts[1], texts[2] if held else [], threat, stamp=stamp, seed=seed
        )
    else:
        rows = [part for part in parts if isinstance(part, torch.Tensor)]
        _alike(rows, files)
        control = rows[2] if held else rows[1][:0]
        found = examine_rows(files[0].name, rows[0], rows[1], control, threat, stamp=stamp, seed=seed)
    return assemble(frame, [row for row in found if not isinstance(row, Checkpoint)], clock=clock)


def _alike(rows: list[torch.Tensor], files: list[Path]) -> None:
    for part, path in zip(rows, files, strict=True):
        if part.shape[1:] != rows[1].shape[1:]:
            raise DataError(
                f"its rows have shape {tuple(part.shape[1:])}, the training rows {tuple(rows[1].shape[1:])}",
                where=path.name,
                fix="give the same columns",
            )


def _read(path: Path) -> list[str] | torch.Tensor:
    """Read texts, one a line or one a JSON line (a string, or its "text"), or an array of rows."""
    try:
        if path.suffix in (".npy", ".npz"):
            return _array(path)
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise DataError("is no text in UTF-8", where=str(path), fix="give .txt, .jsonl, .npy or .npz") from error
    if path.suffix != ".jsonl":
        return [line for line in lines if line.strip()]
    return [_text(line, number, path) for number, line in enumerate(lines, 1) if line.strip()]


def _text(line: str, number: int, path: Path) -> str:
    try:
        held: object = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"is no JSON: {error.msg}", where=f"{path.name}:{number}") from error
    text = held.get("text") if isinstance(held, dict) else held
    if not isinstance(text, str):
        raise DataError("has no text", where=f"{path.name}:{number}", fix='a line is "…" or {"text": "…"}')
    return text


def _array(path: Path) -> torch.Tensor:
    try:
        held = np.load(path, allow_pickle=False)
        values = held if isinstance(held, np.ndarray) else held["x"]
    except (ValueError, KeyError, EOFError) as error:
        raise DataError(
            f"cannot be read: {error}", where=path.name, fix="save x with np.save or np.savez(x=…)"
        ) from None
    if values.ndim < 2 or values.dtype.kind not in "biuf" or not np.isfinite(values.astype(np.float64)).all():
        raise DataError(f"holds {values.dtype} of shape {values.shape}", where=path.name, fix="give finite rows (n, …)")
    return torch.from_numpy(values.astype(np.float64))
