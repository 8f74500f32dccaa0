"""Read an .npz of what a model answered and who was in its training data: any framework's model can be audited."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from hauberk.attacks.recorded import Recorded
from hauberk.core.errors import DataError
from hauberk.core.protocols import References, Split
from hauberk.core.schema import DatasetSpec
from hauberk.crypto.digests import of_file
from hauberk.numeric.membership import Kind, as_two_classes
from hauberk.numeric.sequence_membership import Sequences

ANSWERS: tuple[tuple[str, Kind], ...] = (
    ("logits", "logits"),
    ("probabilities", "probabilities"),
    ("predicted_labels", "labels"),
)
HELP = (
    "save `member` (n,) and one of: logits or probabilities (n, classes) with labels (n,); losses (n,); "
    "predictions and values (n, …); embeddings (n, views, d); token_log_probabilities (n, t); "
    "or canaries and canary_references"
)


class Recording(NamedTuple):
    """A classifier's answers (or losses turned into such) as target and data, and its reference models.

    rows: the file's row of each training and each test record. notes: what a report must say.
    """

    target: Recorded
    train: Split
    test: Split
    spec: DatasetSpec
    references: References | None
    rows: tuple[np.ndarray, np.ndarray]
    notes: tuple[str, ...] = ()


class Texts(NamedTuple):
    """A sequence model's log probabilities."""

    name: str
    sequences: Sequences
    member: torch.Tensor


class Canaries(NamedTuple):
    """Log perplexities of canaries and of references."""

    name: str
    canaries: torch.Tensor
    references: torch.Tensor


def read_arrays(path: Path) -> Recording | Texts | Canaries:
    """Read and check the file; raises DataError that names the array, its shape and the remedy."""
    held = _held(path)
    if "canaries" in held:
        return Canaries(path.stem, _vector(held, "canaries"), _vector(held, "canary_references"))
    member = _member(held)
    if "token_log_probabilities" in held:
        return Texts(path.stem, _sequences(held, len(member)), torch.from_numpy(member))
    return _recording(path, held, member)


def _held(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise DataError("is a single array", where=path.name, fix=HELP)
            return {name.lower(): archive[name] for name in archive.files}
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        fix = "save plain numbers with np.savez: arrays of objects can run code when they are read"
        raise DataError(f"cannot be read: {error}", where=path.name, fix=fix) from None


def _member(held: Mapping[str, np.ndarray]) -> np.ndarray:
    if "member" not in held:
        raise DataError(f"holds {', '.join(sorted(held)) or 'nothing'}, not `member`", fix=HELP)
    member = held["member"]
    if member.ndim != 1 or not np.isin(member, (0, 1)).all():
        raise DataError("is not a row of 0 and 1", where="member", fix="1 for training records, 0 for others")
    member = member.astype(bool)
    if member.all() or not member.any():
        side = "members" if member.all() else "non-members"
        raise DataError(f"all {len(member)} records are {side}", where="member", fix="give both")
    return member


def _vector(held: Mapping[str, np.ndarray], name: str) -> torch.Tensor:
    if name not in held or held[name].ndim != 1 or not len(held[name]):
        raise DataError("is missing or is not a row of numbers", where=name, fix=HELP)
    return torch.from_numpy(_finite(held[name], name))


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise DataError(f"is of type {values.dtype}", where=name, fix="give numbers")
    made = np.asarray(values, dtype=np.float64)
    if not np.isfinite(made).all():
        row = int(np.argwhere(~np.isfinite(made))[0, 0])
        raise DataError(f"holds NaN or infinity in row {row}", where=name, fix="find out why the model answered so")
    return made


def _sequences(held: Mapping[str, np.ndarray], n: int) -> Sequences:
    tokens = torch.from_numpy(_rows(held, "token_log_probabilities", n, 2))
    width = tokens.shape[1]
    lengths = (
        torch.full((n,), width) if "lengths" not in held else torch.from_numpy(_rows(held, "lengths", n, 1)).long()
    )
    if int(lengths.min()) < 1 or int(lengths.max()) > width:
        raise DataError(
            f"run from {int(lengths.min())} to {int(lengths.max())}, there are {width} tokens", where="lengths"
        )

    def optional(name: str, axes: int) -> torch.Tensor | None:
        return torch.from_numpy(_rows(held, name, n, axes)) if name in held else None

    references = None
    if "reference_token_log_probabilities" in held:
        references = torch.from_numpy(
            _finite(held["reference_token_log_probabilities"], "reference_token_log_probabilities")
        )
        references = references[None] if references.ndim == 2 else references
        if references.shape[1:] != tokens.shape:
            raise DataError(
                f"has shape {tuple(references.shape)}, expected (models, {n}, {width})",
                where="reference_token_log_probabilities",
            )
    return Sequences(
        tokens, lengths, optional("token_mean", 2), optional("token_deviation", 2), optional("zlib", 1), references
    )


def _rows(held: Mapping[str, np.ndarray], name: str, n: int, axes: int) -> np.ndarray:
    values = held[name]
    if values.ndim != axes or len(values) != n:
        shape = ("(n,)", "(n, t)")[axes - 1]
        raise DataError(f"has shape {values.shape}, `member` has {n} rows", where=name, fix=f"give {shape}")
    return _finite(values, name)


def _recording(path: Path, held: Mapping[str, np.ndarray], member: np.ndarray) -> Recording:
    n = len(member)
    told, kind, notes = _answers(held, "", n, member)
    labels = _labels(held, n, told.shape[1], lossy=_is_lossy(held))
    # The place of a record among inputs must not tell whether it is a member.
    place = np.random.default_rng(0).permutation(n)
    shuffled = torch.empty_like(told)
    shuffled[torch.from_numpy(place)] = told
    inputs = place[:, None].astype(np.float32)
    if "x" in held:
        features = held["x"].reshape(len(held["x"]), -1)
        inputs = np.concatenate((inputs, _rows({"x": features}, "x", n, 2).astype(np.float32)), 1)
    width, digest = inputs.shape[1], of_file(path)
    rows = (np.flatnonzero(member), np.flatnonzero(~member))
    spec = DatasetSpec(
        name=path.name,
        layout="row",
        shape=(width,),
        classes=tuple(str(index) for index in range(told.shape[1])),
        digest=digest,
        bounds=(-3.5e38, 3.5e38),
        train=len(rows[0]),
        test=len(rows[1]),
        notes=notes,
    )
    references = _references(held, place, rows, member)
    target = Recorded(path.stem, shuffled, kind, width, digest)
    parts = [Split(inputs[row], labels[row]) for row in rows]
    return Recording(target, parts[0], parts[1], spec, references, rows, notes)


def _is_lossy(held: Mapping[str, np.ndarray]) -> bool:
    return not any(name in held for name, _ in ANSWERS)


def _labels(held: Mapping[str, np.ndarray], n: int, classes: int, *, lossy: bool) -> np.ndarray:
    if lossy:
        return np.zeros(n, dtype=np.int64)
    if "labels" not in held:
        raise DataError("the true classes are missing", where="labels", fix="save labels (n,) beside the answers")
    labels = held["labels"]
    if labels.shape != (n,) or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"has shape {labels.shape} and type {labels.dtype}",
            where="labels",
            fix=f"give (n,) integers 0 to {classes - 1}",
        )
    return labels.astype(np.int64)


def _answers(
    held: Mapping[str, np.ndarray], prefix: str, n: int, member: np.ndarray
) -> tuple[torch.Tensor, Kind, tuple[str, ...]]:
    """Find answers (n, classes) float64, or losses turned into answers of two classes."""
    for name, kind in ANSWERS:
        if prefix + name in held:
            values = held[prefix + name]
            if kind == "labels":
                values = np.eye(int(values.max()) + 1)[values.astype(np.int64)]
            if values.ndim == 2 and values.shape[1] == 1:
                other = 1 - values if kind == "probabilities" else np.zeros_like(values)
                values = np.concatenate((other, values), 1)
            return torch.from_numpy(_rows({name: values}, name, n, 2)), kind, ()
    losses, note = _losses(held, prefix, n, member)
    return as_two_classes(torch.from_numpy(losses)), "logits", (note,)


def _losses(held: Mapping[str, np.ndarray], prefix: str, n: int, member: np.ndarray) -> tuple[np.ndarray, str]:
    if prefix + "losses" in held:
        losses = _rows(held, prefix + "losses", n, 1)
        if losses.min() < 0:
            raise DataError(
                f"the least loss is {losses.min():g}", where=prefix + "losses", fix="give losses of 0 or more"
            )
        return losses, "losses were given, not answers"
    if prefix + "predictions" in held and "values" in held:
        told, true = (_finite(held[name], name).reshape(n, -1) for name in (prefix + "predictions", "values"))
        errors = np.square(told - true).mean(1)
        scale = max(float(np.median(errors[~member])), 1e-30)
        return errors / (2 * scale), "a regressor: the loss is its squared error over twice the non-members' median"
    if prefix + "embeddings" in held:
        views = _finite(held[prefix + "embeddings"], prefix + "embeddings")
        if views.ndim != 3 or views.shape[1] < 2 or len(views) != n:
            raise DataError(
                f"has shape {views.shape}", where=prefix + "embeddings", fix="give (n, views, d), 2 views or more"
            )
        unit = views / np.maximum(np.linalg.norm(views, axis=2, keepdims=True), 1e-12)
        count = views.shape[1]
        alike = (np.square(unit.sum(1)).sum(1) - count) / (count * (count - 1))
        return np.maximum(1 - alike, 0.0), (
            "an encoder: the loss is 1 − the mean cosine between views of a record (EncoderMI, Liu et al. 2021)"
        )
    raise DataError("holds no answers that can be read", fix=HELP)


def _references(
    held: Mapping[str, np.ndarray], place: np.ndarray, rows: tuple[np.ndarray, np.ndarray], member: np.ndarray
) -> References | None:
    """Read reference models: `reference_…` arrays with one more axis in front, and reference_member (k, n)."""
    names = [name for name in held if name.startswith("reference_") and name != "reference_member"]
    if not names:
        return None
    n, models = len(place), len(held[names[0]])
    inside = held.get("reference_member", np.zeros((models, n), dtype=bool)).astype(bool)
    if inside.shape != (models, n):
        raise DataError(f"has shape {inside.shape}, expected ({models}, {n})", where="reference_member")
    made = []
    for index in range(models):
        own = {name: held[name][index] for name in names} | {key: held[key] for key in ("values",) if key in held}
        told, kind, _ = _answers(own, "reference_", n, member)
        shuffled = torch.empty_like(told)
        shuffled[torch.from_numpy(place)] = told
        made.append(Recorded(f"reference {index}", shuffled, kind, 1))
    ordered = torch.from_numpy(np.concatenate((inside[:, rows[0]], inside[:, rows[1]]), 1))
    none = torch.zeros(0, 1)
    return References(tuple(made), ordered, none, none[:, 0].long())
