"""Tree ensembles in their libraries' own files and boosters: XGBoost, LightGBM and CatBoost, with their trees shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, cast

import msgspec
import numpy as np
import torch

from hauberk.core.card import Card
from hauberk.core.errors import MissingExtra, ProjectError, nearest
from hauberk.core.project import ModelSection
from hauberk.core.protocols import TargetSpec
from hauberk.crypto.digests import of_file
from hauberk.numeric.tree import Forest
from hauberk.targets.fingerprints import of_object
from hauberk.targets.forests import forest_of
from hauberk.targets.guarded import Guard
from hauberk.targets.hints import Hints, guard_of, spec_of


class Trees:
    """An ensemble that its own library scores and whose trees attacks may look at.

    guard: checks, batches, counts and times what is asked. Its scores are the library's raw margins.
    """

    card: ClassVar[Card] = Card(
        title="Tree ensemble file",
        summary="Reaches XGBoost (.json, .ubj), LightGBM (.txt) and CatBoost (.cbm) models; loading them runs no code.",
        suffixes=(".ubj", ".json", ".txt", ".cbm"),
        wraps=("xgboost.core.Booster", "lightgbm.basic.Booster", "catboost.core.CatBoostClassifier"),
        extra="trees",
    )

    def __init__(self, margins: Callable[[np.ndarray], np.ndarray], forest: Forest, guard: Guard) -> None:
        self.guard = guard
        self._margins, self._forest = margins, forest

    @classmethod
    def open(cls, section: ModelSection, folder: Path, hints: Hints) -> Trees:
        """Load a file or take a booster; raises ProjectError where it is missing, broken, or has no readable trees."""
        if section.mean or section.std:
            raise ProjectError("trees take raw values", where="model.mean", fix="take mean and std away")
        path = folder / section.source
        thing = hints.made if hints.made is not None else _loaded(path)
        digest = of_object(thing) if hints.made is not None else of_file(path)
        forest = forest_of(thing)
        if forest is None:
            raise ProjectError(
                "is no classifier of numeric splits whose trees can be read",
                where=f"model.source {path.name}",
                fix='wrap its predict_proba in a function and name it as "module:callable"',
            )
        section = msgspec.structs.replace(
            section,
            answers="logits",
            shape=section.shape or (forest.features,),
            classes=section.classes or len(forest.base),
        )
        spec = spec_of(section, hints, "trees", digest)
        return cls(_MARGINS[type(thing).__module__.partition(".")[0]](thing), forest, guard_of(section, spec, hints))

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        return self.guard.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score x (n, d) with the library → logits (n, classes)."""
        return self.guard.ask(self._answer, x)

    def trees(self) -> Forest:
        """Return its trees."""
        return self._forest

    def _answer(self, x: torch.Tensor) -> torch.Tensor:
        raw = np.asarray(self._margins(x.reshape(len(x), -1).cpu().numpy().copy()), dtype=np.float32)
        if raw.ndim == 1 or raw.shape[1] == 1:
            margin = raw.reshape(-1)
            raw = np.stack((-margin / 2, margin / 2), 1)  # the margin d of a binary model: softmax gives its logistic
        return torch.from_numpy(raw)


def _loaded(path: Path) -> object:
    """Load a model file by its ending."""
    if not path.is_file():
        near = nearest(path.name, (other.name for other in path.parent.glob(f"*{path.suffix}")))
        raise ProjectError("no such file", where=f"model.source {path.name}", fix=near)
    try:
        return _LOADERS[path.suffix.lower()](path)
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "xgboost", "trees") from error
    except Exception as error:  # each library has its own errors for a broken file
        raise ProjectError(
            f"cannot be loaded: {type(error).__name__}: {error}", where=path.name, fix="save it again"
        ) from error


def _xgboost_file(path: Path) -> object:
    import xgboost

    return xgboost.Booster(model_file=str(path))


def _lightgbm_file(path: Path) -> object:
    import lightgbm

    return lightgbm.Booster(model_file=str(path))


def _catboost_file(path: Path) -> object:
    import catboost

    return catboost.CatBoostClassifier().load_model(str(path))


_LOADERS: dict[str, Callable[[Path], object]] = {
    ".json": _xgboost_file,
    ".ubj": _xgboost_file,
    ".txt": _lightgbm_file,
    ".cbm": _catboost_file,
}


def _of_xgboost(booster: object) -> Callable[[np.ndarray], np.ndarray]:
    ask = cast("Callable[..., np.ndarray]", booster.inplace_predict)  # type: ignore[attr-defined]
    return lambda rows: ask(rows, predict_type="margin")


def _of_lightgbm(booster: object) -> Callable[[np.ndarray], np.ndarray]:
    ask = cast("Callable[..., np.ndarray]", booster.predict)  # type: ignore[attr-defined]
    return lambda rows: ask(rows, raw_score=True)


def _of_catboost(model: object) -> Callable[[np.ndarray], np.ndarray]:
    ask = cast("Callable[..., np.ndarray]", model.predict)  # type: ignore[attr-defined]
    return lambda rows: ask(rows, prediction_type="RawFormulaVal")


_MARGINS: dict[str, Callable[[object], Callable[[np.ndarray], np.ndarray]]] = {
    "xgboost": _of_xgboost,
    "lightgbm": _of_lightgbm,
    "catboost": _of_catboost,
}
