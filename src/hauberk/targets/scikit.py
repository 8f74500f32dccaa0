"""scikit-learn classifiers and whatever keeps to their interface: in memory, from skops, from joblib with trust."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import ClassVar, Protocol, cast

import msgspec
import numpy as np
import torch
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from hauberk.core.card import Card
from hauberk.core.errors import DataError, ProjectError
from hauberk.core.project import ModelSection
from hauberk.core.protocols import TargetSpec
from hauberk.crypto.digests import of_file
from hauberk.numeric.tree import Forest
from hauberk.targets.answers import Answers
from hauberk.targets.estimator_files import load_estimator
from hauberk.targets.fingerprints import of_object
from hauberk.targets.forests import forest_of
from hauberk.targets.guarded import Guard
from hauberk.targets.hints import Hints, guard_of, spec_of


class Estimator(Protocol):
    """What scikit-learn calls a classifier, as far as it is used here."""

    classes_: np.ndarray

    def fit(self, x: np.ndarray, y: np.ndarray) -> object:
        """Learn."""
        ...

    def predict(self, x: object) -> np.ndarray:
        """Name the class of each row."""
        ...


_METHODS: dict[Answers, str] = {
    "probabilities": "predict_proba",
    "logits": "decision_function",
    "labels": "predict",
}


class Scikit:
    """A fitted classifier or pipeline: scores, no gradient, can be refitted.

    guard: checks, batches, counts and times what is asked.
    """

    card: ClassVar[Card] = Card(
        title="scikit-learn classifier",
        summary="Reaches fitted classifiers and pipelines, tree ensembles too; joblib and pickle only with trust.",
        suffixes=(".skops", ".joblib", ".pkl", ".pickle"),
        wraps=("sklearn.base.BaseEstimator",),
        extra="models",
    )

    def __init__(
        self, model: Estimator, guard: Guard, answers: Answers, columns: tuple[int, ...], *, plain: bool = True
    ) -> None:
        self.guard = guard
        self._model, self._answers, self._columns, self._plain = model, answers, columns, plain

    @classmethod
    def open(cls, section: ModelSection, folder: Path, hints: Hints) -> Scikit:
        """Load and hold against scikit-learn's rules; raises ProjectError that says what was refused and why."""
        notes: tuple[str, ...] = ()
        if hints.made is not None:
            thing, digest = hints.made, of_object(hints.made)
        else:
            path = folder / section.source
            thing, notes = load_estimator(path, trust=section.trust)
            digest = of_file(path)
        model = _fitted(thing)
        answers = section.answers or _best_answers(model)
        if not hasattr(model, _METHODS[answers]):
            raise ProjectError(
                f"{type(model).__name__} has no {_METHODS[answers]}",
                where="model.answers",
                fix=f'answers = "{_best_answers(model)}"',
            )
        section = msgspec.structs.replace(section, answers=answers, shape=section.shape or _shape(model, hints))
        spec = spec_of(section, hints, "scikit", digest, *notes)
        columns = _columns(model, spec.classes or hints.classes or 0)
        classes = spec.classes or max(len(model.classes_), *(c + 1 for c in columns))
        labels = spec.labels or _names(model, columns)
        spec = msgspec.structs.replace(spec, classes=classes, labels=labels)
        guard = guard_of(section, spec, hints, standardise=True)
        return _with_powers(model, guard, answers, columns, plain=not (section.mean or section.std))

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        return self.guard.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score x (n, *shape); what comes back has been checked."""
        return self.guard.ask(self._answer, x)

    def _answer(self, x: torch.Tensor) -> torch.Tensor:
        rows = _framed(self._model, x.reshape(len(x), -1).cpu().numpy().copy())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = np.asarray(getattr(self._model, _METHODS[self._answers])(rows))
        if self._answers == "labels":
            place = dict(zip(self._model.classes_.tolist(), self._columns, strict=True))
            return torch.tensor([place[value] for value in raw.tolist()])
        if raw.ndim == 1:
            raw = np.stack((-raw / 2, raw / 2), 1)  # the margin d of a binary model: softmax gives its logistic
        return self._spread(torch.from_numpy(raw.astype(np.float32)))

    def _spread(self, scores: torch.Tensor) -> torch.Tensor:
        """Put the model's columns where its classes belong, where it does not know all of them."""
        if self._columns == tuple(range(self.spec.classes)) or scores.shape[1] != len(self._columns):
            return scores
        rest = 0.0 if self._answers == "probabilities" else float(scores.min()) - 1
        full = torch.full((len(scores), self.spec.classes), rest)
        full[:, list(self._columns)] = scores
        return full

    def refit(self, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> Scikit:
        """Fit an unfitted clone on x (n, *shape), y (n,) class indices; its randomness is drawn from `rng`."""
        self.guard.check(x)
        if len(x) == 0 or len(x) != len(y):
            raise DataError(f"cannot train on {len(x)} inputs and {len(y)} labels")
        model = clone(self._model)
        seed = int(torch.randint(2**31, (1,), generator=rng))
        seeds = {name: seed for name in model.get_params() if name.rpartition("__")[2] == "random_state"}
        model.set_params(**seeds)
        rows = _framed(self._model, self.guard.standardised(x).reshape(len(x), -1).cpu().numpy().copy())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.guard.call(lambda: model.fit(rows, y.cpu().numpy()))
        spec = msgspec.structs.replace(self.spec, name=f"{self.spec.name} refitted", digest=of_object(model), notes=())
        columns = tuple(int(label) for label in model.classes_)
        return _with_powers(model, self.guard.fresh(spec), self._answers, columns, plain=self._plain)


class _Trees(Scikit):
    """A tree ensemble whose trees could be read."""

    def __init__(
        self, model: Estimator, guard: Guard, answers: Answers, columns: tuple[int, ...], forest: Forest
    ) -> None:
        super().__init__(model, guard, answers, columns)
        self._forest = forest

    def trees(self) -> Forest:
        """Return its trees."""
        return self._forest


def _with_powers(model: Estimator, guard: Guard, answers: Answers, columns: tuple[int, ...], *, plain: bool) -> Scikit:
    """Make the target; plain: the model sees inputs as they are, so that its thresholds are in their units."""
    found = forest_of(model) if plain and columns == tuple(range(guard.spec.classes)) else None
    if found is None:
        return Scikit(model, guard, answers, columns, plain=plain)
    return _Trees(model, guard, answers, columns, found)


def from_sklearn(
    model: object,
    bounds: tuple[float, float],
    classes: int | None = None,
    *,
    name: str = "",
    answers: Answers | None = None,
    labels: tuple[str, ...] = (),
    timeout: float | None = None,
) -> Scikit:
    """Make a target of a fitted classifier or pipeline; bounds: of every input value.

    answers: None for probabilities where it gives them, else its margins, else its labels. Raises ProjectError.
    """
    section = ModelSection(
        source=name or type(model).__name__,
        bounds=bounds,
        classes=classes,
        labels=labels,
        answers=answers,
        timeout=timeout or 0.0,
    )
    return Scikit.open(section, Path(), Hints(made=model))


def _fitted(thing: object) -> Estimator:
    kind = type(thing).__name__
    if not hasattr(thing, "predict") or not is_classifier(thing):
        raise ProjectError(f"a {kind} is not a classifier", where="model.source", fix="name a fitted classifier")
    try:
        check_is_fitted(thing)
    except NotFittedError as error:
        raise ProjectError(
            f"the {kind} is not fitted", where="model.source", fix="fit it before it is saved"
        ) from error
    if not hasattr(thing, "classes_") or np.ndim(thing.classes_) != 1 or isinstance(thing.classes_, list):
        raise ProjectError(
            f"the {kind} does not give one class an input", where="model.source", fix="one target with one output"
        )
    return cast("Estimator", thing)


def _best_answers(model: Estimator) -> Answers:
    found: list[Answers] = [answers for answers, method in _METHODS.items() if hasattr(model, method)]
    return found[0]


def _shape(model: Estimator, hints: Hints) -> tuple[int, ...]:
    """Take the data's shape where it has as many values as the model has columns, else one row of them."""
    width = getattr(model, "n_features_in_", None)
    if hints.shape and (width is None or int(np.prod(hints.shape)) == width):
        return hints.shape
    return (int(width),) if width else ()


def _columns(model: Estimator, classes: int) -> tuple[int, ...]:
    """Find the class index of each of the model's columns.

    Integer classes among 0 … classes - 1 are indices themselves; any others stand for 0, 1, … in their order.
    """
    known = model.classes_
    if known.dtype.kind in "iu" and len(known) and known.min() >= 0 and known.max() < max(classes, len(known)):
        return tuple(int(label) for label in known)
    return tuple(range(len(known)))


def _names(model: Estimator, columns: tuple[int, ...]) -> tuple[str, ...]:
    """Keep class names that are more than their own index."""
    names = tuple(str(label) for label in model.classes_)
    return () if names == tuple(str(column) for column in columns) else names


def _framed(model: Estimator, rows: np.ndarray) -> object:
    """Give a model that was fitted on named columns its names, where pandas is there to carry them."""
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return rows
    try:
        import pandas as pd
    except ModuleNotFoundError:
        return rows
    return pd.DataFrame(rows, columns=names)
