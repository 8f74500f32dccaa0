"""Read what a model gave back: whatever it is becomes scores (n, classes), or an error that says what was wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch

from hauberk.core.errors import TargetOutput, nearest

Answers: TypeAlias = Literal["logits", "probabilities", "labels"]
TOLERANCE = 1e-3
"""How far rows of probabilities may be from summing to 1: half-precision models and rounded JSON stay below it."""


class Form(NamedTuple):
    """What a model's answers look like. classes: 0 where not known yet. answers: None where not known yet.

    guess: how many classes the data has; for answers that are class indices and so do not tell.
    """

    classes: int = 0
    answers: Answers | None = None
    labels: tuple[str, ...] = ()
    guess: int = 0


class Reading(NamedTuple):
    """Scores (n, classes) float32, and the form with what they taught."""

    scores: torch.Tensor
    form: Form


def read(raw: object, n: int, form: Form, where: str, first: int = 0) -> Reading:
    """Read the answer to n inputs; `first` is the index of the first of them, for messages.

    Class indices become one-hot rows. One column of a binary model becomes two: p → (1-p, p), z → (0, z).
    Raises TargetOutput.
    """
    values = _tensor(raw, form, where)
    if values.ndim == 0 or len(values) != n:
        raise _wrong(f"answered shape {tuple(values.shape)} to {n} inputs", where, "return scores (n, classes)")
    _finite(values, where, first)
    one = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
    if one and (form.answers == "labels" or (form.answers is None and not values.is_floating_point())):
        return _labels(values.reshape(-1), form, where, first)
    if one:
        values = _two_columns(values.reshape(-1), form, where)
    if values.ndim != 2:
        shape = tuple(values.shape)
        raise _wrong(f"answered shape {shape}", where, "return scores (n, classes): pool or flatten the rest")
    if form.classes and values.shape[1] != form.classes:
        raise _wrong(
            f"gave {values.shape[1]} scores an input, expected {form.classes}",
            where,
            "set model.classes and data.classes to what the model gives",
        )
    return _scores(values.to(torch.float32), form, where, first)


def _wrong(what: str, where: str, fix: str = "") -> TargetOutput:
    return TargetOutput(what, where=where, fix=fix)


def _tensor(raw: object, form: Form, where: str) -> torch.Tensor:
    """Turn a tensor, an array, or nested lists of numbers into a tensor."""
    if isinstance(raw, torch.Tensor):
        values = raw.detach()
    elif isinstance(raw, np.ndarray | np.generic) or (isinstance(raw, list) and raw):
        values = _from_array(raw, form, where)
    elif isinstance(raw, tuple | dict) or hasattr(raw, "keys"):
        inside = f" of {len(raw)}" if isinstance(raw, tuple | dict) else ""
        raise _wrong(
            f"answered with a {type(raw).__name__}{inside}, not with scores",
            where,
            "return the scores alone, (n, classes): wrap the model, such as lambda x: model(x)[0]",
        )
    else:
        raise _wrong(f"answered with {type(raw).__name__}, not with a tensor", where, "return scores (n, classes)")
    if values.is_complex():
        raise _wrong("answered with complex numbers", where, "return real scores (n, classes)")
    return values.to(torch.int64) if values.dtype == torch.bool else values


def _from_array(raw: np.ndarray | np.generic | list[object], form: Form, where: str) -> torch.Tensor:
    try:
        array = np.asarray(raw)
    except ValueError as error:
        raise _wrong("answered with rows of different lengths", where, "return scores (n, classes)") from error
    if array.dtype.kind in "US" or (array.dtype == object and array.ndim == 1 and isinstance(array[0], str)):
        return _named_labels([str(name) for name in array.ravel()], form, where)
    if array.dtype.kind not in "biuf":
        raise _wrong(f"answered with an array of {array.dtype}", where, "return numbers (n, classes)")
    kind = np.float64 if array.dtype.kind == "f" else np.int64
    return torch.from_numpy(array.astype(kind))


def _named_labels(names: Sequence[str], form: Form, where: str) -> torch.Tensor:
    for name in names:
        if name not in form.labels:
            fix = nearest(name, form.labels) if form.labels else "set model.labels to the class names in order"
            raise _wrong(f'answered with the label "{name}"', where, fix)
    return torch.tensor([form.labels.index(name) for name in names])


def _finite(values: torch.Tensor, where: str, first: int) -> None:
    if not values.is_floating_point() or math.isfinite(float(values.sum())):
        return  # one pass: a NaN or infinity anywhere reaches the sum; a sum that overflows is looked at below
    bad = ~torch.isfinite(values).reshape(len(values), -1).all(1)
    if bad.any():
        row = int(bad.nonzero()[0, 0])
        kind = "NaN" if torch.isnan(values[row]).any() else "infinity"
        raise _wrong(
            f"answered with {kind} to input {first + row} ({int(bad.sum())} of {len(values)} inputs)",
            where,
            "look for a logarithm or division of 0 in the model, or for inputs it was not made for",
        )


def _labels(values: torch.Tensor, form: Form, where: str, first: int) -> Reading:
    """Turn class indices (n,) into one-hot rows."""
    classes = form.classes or len(form.labels) or form.guess
    if not classes:
        raise _wrong("answers with class indices and the number of classes is not known", where, "set model.classes")
    indices = values.to(torch.int64)
    bad = (indices != values) | (indices < 0) | (indices >= classes)
    if bad.any():
        row = int(bad.nonzero()[0, 0])
        raise _wrong(f"answered {values[row].item():g} to input {first + row}", where, f"labels are 0 to {classes - 1}")
    scores = torch.nn.functional.one_hot(indices, classes).to(torch.float32)
    return Reading(scores, form._replace(classes=classes, answers="labels"))


def _two_columns(values: torch.Tensor, form: Form, where: str) -> torch.Tensor:
    if form.answers is None:
        raise _wrong(
            "answered with one column",
            where,
            'set model.answers to "probabilities" if it is the probability of class 1, to "logits" if it is its score',
        )
    values = values.to(torch.float32)
    other = 1 - values if form.answers == "probabilities" else torch.zeros_like(values)
    return torch.stack((other, values), 1)


def _scores(values: torch.Tensor, form: Form, where: str, first: int) -> Reading:
    if values.shape[1] < 2:
        raise _wrong("gave no score", where, "return scores (n, classes) of two classes or more")
    form = form._replace(classes=values.shape[1])
    if form.answers == "labels":
        return _labels(values.argmax(1), form, where, first)
    if form.answers == "logits":
        return Reading(values, form)
    on_simplex = (values.min(1).values >= -TOLERANCE) & ((values.sum(1) - 1).abs() <= TOLERANCE)
    if form.answers is None:
        return Reading(values, form._replace(answers="probabilities" if on_simplex.all() else "logits"))
    if form.answers == "probabilities" and not on_simplex.all():
        row = int((~on_simplex).nonzero()[0, 0])
        raise _wrong(
            f"answered input {first + row} with no probabilities (their sum is {values[row].sum():.4g})",
            where,
            'set model.answers = "logits", or normalise the rows',
        )
    return Reading(values, form)
