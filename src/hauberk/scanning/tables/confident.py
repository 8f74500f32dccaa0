"""Confident learning: which labels are errors, given probabilities (Northcutt, Jiang, Chuang 2021, JAIR 70).

Decisions are those of cleanlab's `find_label_issues` by default (pruning by noise rate), which the tests hold it to:
thresholds, calibration, rounding and ties alike. Given the same probabilities both name the same rows.
"""

from __future__ import annotations

import numpy as np

_CLOSE = 1e-6
"""Probabilities closer than this count as equal; the floor of a threshold is twice as much."""
_ABSENT = 2.0
"""Threshold of a class that no row is labelled with: no probability reaches it."""


def label_errors(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return which rows (n,) bear a label that is probably wrong.

    labels: (n,) int in [0, classes). probabilities: (n, classes), each row of a model that has not seen that row.
    Never flags a row whose given label is as probable as any other, nor the only row of a class.
    """
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    joint = calibrated(confident_joint(labels, probabilities), counts)
    remove = _removals(joint)
    errors = np.zeros(len(labels), dtype=bool)
    for given in np.flatnonzero(counts > 1):
        rows = np.flatnonzero(labels == given)
        errors[rows[_widest(probabilities[rows], int(given), remove[:, given])]] = True
    favoured = probabilities.copy()
    favoured[np.arange(len(labels)), labels] += _CLOSE
    errors[favoured.argmax(1) == labels] = False
    return errors


def confident_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Count (classes, classes) how often a row given label i is confidently of class j (section 3.1)."""
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    means = [probabilities[labels == k, k].mean() if counts[k] else _ABSENT for k in range(classes)]
    confident = probabilities >= np.maximum(means, 2 * _CLOSE) - _CLOSE
    several = confident.sum(1) > 1
    guess = np.where(several, probabilities.argmax(1), confident.argmax(1))
    sure = confident.any(1)
    joint = np.zeros((classes, classes), dtype=np.int64).T  # the order in memory decides the last bit of sums over it
    np.add.at(joint, (labels[sure], guess[sure]), 1)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    return joint


def calibrated(joint: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Scale the joint so that its rows sum to the given labels' counts, in whole numbers (equation 3)."""
    tiny = 1e-100
    scaled: np.ndarray = (joint.T / np.maximum(joint.sum(1), tiny) * counts).T
    scaled = scaled / max(float(scaled.sum()), tiny) * counts.sum()
    return np.stack([_rounded(row) for row in scaled])


def _rounded(row: np.ndarray) -> np.ndarray:
    """Round a row so that its sum, rounded, stays: the entries nearest to the other side give way."""
    whole = row.round()
    total = row.sum().round()
    while gap := int(total - whole.sum()):
        step = 1 if gap > 0 else -1
        order = np.argsort(row - whole)[::-step]
        whole[order[: min(abs(gap), len(row))]] += step
    return np.asarray(whole, dtype=np.int64)


def _removals(joint: np.ndarray) -> np.ndarray:
    """Return [true, given] counts of rows to remove; each class keeps one row, at the cost of its other entries."""
    remove = joint.T
    diagonal = remove.diagonal()
    kept = np.maximum(diagonal, 1)
    others = np.maximum(np.count_nonzero(remove, axis=0) - 1.0, 1.0)
    lowered = np.maximum(remove - (kept - diagonal) / others, 0)
    np.fill_diagonal(lowered, kept)
    return np.asarray(lowered, dtype=np.int64)


def _widest(probabilities: np.ndarray, given: int, remove: np.ndarray) -> np.ndarray:
    """Return the rows of one given label that lie furthest on the side of each other class, so many of each."""
    marked = np.zeros(len(probabilities), dtype=bool)
    for other, count in enumerate(remove.tolist()):
        if other != given and count > 0:
            marked[np.argsort(probabilities[:, given] - probabilities[:, other])[:count]] = True
    return marked
