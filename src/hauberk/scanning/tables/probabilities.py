"""Class probabilities of rows by models that have not seen them, without training anything twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hauberk.scanning.tables.neighbours import Neighbours, nearest_rows

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats

NEIGHBOURS = 10
_FEATURES = 300
_WIDTH_ROWS = 1000
_RIDGES = (0.1, 1.0)
_TEMPERATURES = (2.0, 4.0, 8.0)
_FLOOR = 1e-6


class Source(NamedTuple):
    """probabilities: (n, classes), each row held out of what gave it. loss: mean log-loss on the given labels."""

    name: str
    probabilities: np.ndarray
    accuracy: float
    loss: float


def held_out(
    x: Floats, y: np.ndarray, classes: int, rng: np.random.Generator, near: Neighbours | None = None
) -> Source:
    """Return the source of probabilities whose held-out log-loss is best: neighbours, a kernel machine, or both.

    x: (n, d). y: (n,) in [0, classes). Neither is trained again for each row: neighbours leave the row out, and the
    kernel machine's leave-one-out answers have a closed form.
    """
    neighbours = from_neighbours(near or nearest_rows(x, NEIGHBOURS), y, classes)
    found = [_judged("neighbours", neighbours, y)]
    if len(x) > 2 * classes and x.shape[1]:
        kernel = from_kernel(x, y, classes, rng)
        both = np.sqrt((neighbours + _FLOOR) * (kernel + _FLOOR))
        found += [
            _judged("kernel machine", kernel, y),
            _judged("neighbours and kernel machine", both / both.sum(1, keepdims=True), y),
        ]
    return min(found, key=lambda source: source.loss)


def _judged(name: str, p: np.ndarray, y: np.ndarray) -> Source:
    given = p[np.arange(len(y)), y]
    return Source(name, p, float((p.argmax(1) == y).mean()), float(-np.log(np.maximum(given, 1e-3)).mean()))


def from_neighbours(near: Neighbours, y: np.ndarray, classes: int, k: int = NEIGHBOURS) -> np.ndarray:
    """Return shares (n, classes) of each class among the k nearest other rows, nearer ones weighing more.

    Weights exp(-2 (d / d_k)²): a Gaussian whose width is the row's own distance to its k-th neighbour.
    """
    index, distance = near.places[:, :k], near.distance[:, :k].astype(np.float64)
    if not index.shape[1]:
        return np.full((len(y), classes), 1.0 / classes)
    weights = np.exp(-2 * (distance / np.maximum(distance[:, -1:], 1e-12)) ** 2)
    votes = np.zeros((len(y), classes))
    np.add.at(votes, (np.arange(len(y))[:, None], y[index]), weights)
    return np.asarray(votes / votes.sum(1, keepdims=True))


def from_kernel(x: Floats, y: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return leave-one-out probabilities (n, classes) of a least-squares classifier with a Gaussian kernel.

    Random Fourier features (Rahimi & Recht 2007), the kernel twice as wide as the median distance to the tenth
    neighbour; the held-out answer of row i is (f_i − h_i t_i) / (1 − h_i) with h the leverage (Allen 1974, PRESS).
    Ridge and temperature are those of the best held-out log-loss.
    """
    near = nearest_rows(x[:_WIDTH_ROWS], NEIGHBOURS).distance
    width = float(np.median(near[:, -1])) if near.size else 1.0
    features = _fourier(x, min(_FEATURES, max(20, len(x) // 2)), 0.5 / max(width, 1e-9), rng)
    best: tuple[float, np.ndarray] | None = None
    for answers in _leave_one_out(features, np.eye(classes, dtype=np.float32)[y], _RIDGES):
        for temperature in _TEMPERATURES:
            p = _softmax(answers.astype(np.float64) * temperature)
            loss = _judged("", p, y).loss
            if best is None or loss < best[0]:
                best = (loss, p)
    assert best is not None
    return best[1]


def _fourier(x: Floats, count: int, scale: float, rng: np.random.Generator) -> Floats:
    directions = rng.standard_normal((x.shape[1], count)).astype(np.float32) * np.float32(scale)
    phases = rng.uniform(0, 2 * np.pi, count).astype(np.float32)
    return np.asarray(np.float32(np.sqrt(2 / count)) * np.cos(x @ directions + phases), dtype=np.float32)


def _leave_one_out(features: Floats, targets: Floats, ridges: tuple[float, ...]) -> Iterator[Floats]:
    """Yield held-out answers (n, classes) for each ridge; one eigendecomposition serves all of them."""
    values, vectors = np.linalg.eigh((features.T @ features).astype(np.float64))
    turned = features @ vectors.astype(features.dtype)
    squares, answers_of = turned * turned, turned.T @ targets
    for ridge in ridges:
        weights = (1 / (np.maximum(values, 0) + ridge)).astype(features.dtype)
        leverage = np.minimum(squares @ weights, 0.999)[:, None]
        answers = (turned * weights) @ answers_of
        yield np.asarray((answers - leverage * targets) / (1 - leverage))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))
