"""How many training rows hold a decision: of nearest neighbours exactly, of a linear head by influence, retrained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import torch

from hauberk.attacks.poison_features import Extractor, network_of
from hauberk.attacks.recording import Recorder, Samples, decisions, generator, samples
from hauberk.core.errors import DataError, HauberkError, MissingPower, UsageError
from hauberk.core.evidence import Evidence
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, Progress, Target, Trainable, powers
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import bootstrap_median
from hauberk.numeric.neighbour_budgets import budgets, ranked
from hauberk.numeric.removal_paths import Path, Ridge

Tensor = torch.Tensor

MOST = 500
"""Rows a path takes out at most."""
STRETCH = (1.0, 1.5, 2.0, 4.0)
"""How many times the rows the head needs are taken out of the target's own training, until its decision turns."""
_HALVINGS = 3
_CHOICE, _TRAINING, _RANDOM, _DRAWS = 31, 32, 33, 34


class Turned(NamedTuple):
    """What holds one decision. input: index among the test rows. rival: the class it turns to, of the linear head.

    rows: training rows, the most useful first; without the first `needed` of them the head decides otherwise.
    retrained: how many of them had to go until the target itself, trained anew, did; None where it never did or was not
    asked (then `asked` is False).
    """

    input: int
    decided: int
    rival: int
    needed: int
    rows: tuple[int, ...]
    retrained: int | None = None
    asked: bool = False


class Turns(NamedTuple):
    """Evidence, and the rows behind it."""

    entries: tuple[Evidence, ...]
    turned: tuple[Turned, ...]


class _Head(NamedTuple):
    """A ridge classifier on what the target's last layer sees, or on the inputs themselves."""

    ridge: Ridge
    test: Tensor
    what: str


def find_turns(
    target: Target,
    data: Dataset,
    *,
    stamp: Stamp,
    seed: int = 0,
    inputs: int = 50,
    checked: int = 10,
    neighbours: int = 5,
    progress: Progress | None = None,
    level: float = 0.95,
) -> Turns:
    """Count the training rows whose change turns decisions on test rows, and name those of the linear head.

    neighbour_rows_removed, …_added, …_relabelled: medians of the exact budgets of a vote of `neighbours` nearest rows.
    rows_to_turn: the median of an upper bound for a ridge classifier on the target's last features (or on the inputs):
    rows taken out one by one, the most influential first (after Yang et al. 2023, arXiv:2302.02169). For `checked` of
    these inputs the target is trained anew without the rows, up to four times as many: removal_turns_retrained is the
    share that turns, beside a control with as many rows taken at random; rows_to_turn_retrained the median number.

    Raises UsageError for counts below one or neighbours above the rows, DataError without training or test rows.
    """
    train, test, to = samples(data.train), samples(data.test), _recorder(target, stamp, seed, level)
    if min(inputs, neighbours) < 1 or checked < 0:
        raise UsageError("inputs and neighbours are at least 1, checked at least 0")
    if not len(train.y) or not len(test.y):
        raise DataError("there are no training or no test rows", fix="give both")
    if neighbours > len(train.y):
        raise UsageError(f"{neighbours} neighbours of {len(train.y)} training rows", fix="ask for fewer")
    quiet, classes = progress or Silent(), max(target.spec.classes, len(data.spec.classes))
    entries: list[Evidence] = list(_neighbours(train, test, classes, neighbours, to))
    head = _head(target, train, test, classes)
    chosen = _chosen(target, head, test, inputs, seed)
    if not len(chosen):
        entries.append(to.skipped("model and linear head decide no test row rightly together", part="rows_to_turn"))
        return Turns(tuple(entries), ())
    with quiet.step("rows to turn", len(chosen), "inputs") as step:
        turned = []
        for row in chosen.tolist():
            turned.append(_turned(head, row, int(test.y[row]), classes))
            step.advance()
    entries.append(_rows_to_turn(turned, head, len(train.y), to))
    if checked:
        found = _retrained(target, train, test, [row for row in turned if row.rows][:checked], to, quiet)
        entries.extend(found.entries)
        new = {row.input: row for row in found.turned}
        turned = [new.get(row.input, row) for row in turned]
    return Turns(tuple(entries), tuple(turned))


def _recorder(target: Target, stamp: Stamp, seed: int, level: float) -> Recorder:
    nobody = Threat(name="", family="poisoning")
    return Recorder("attacks.examining_turns", target.spec.name, nobody, stamp, seed, None, level, "higher")


def _neighbours(train: Samples, test: Samples, classes: int, k: int, to: Recorder) -> Iterator[Evidence]:
    order = ranked(train.x.flatten(1).double(), test.x.flatten(1).double())
    found = budgets(order, train.y, classes, k)
    right = found.decided == test.y
    if not bool(right.any()):
        yield to.skipped(f"{k} nearest neighbours decide no test row rightly", part="neighbour_rows_removed")
        return
    note = f"the exact number for the vote of {k} nearest training rows, on the {int(right.sum())} test rows of "
    note += f"{len(right)} it decides rightly; the median"
    for name in ("removed", "added", "relabelled"):
        values = getattr(found, name)[right].double()
        interval = bootstrap_median(values, generator(to.seed, _DRAWS), to.level)
        least = f"; the least is {int(values.min())}"
        yield to.figure(f"neighbour_rows_{name}", interval, len(values), "bootstrap", unit="rows", note=note + least)


def _head(target: Target, train: Samples, test: Samples, classes: int) -> _Head:
    try:
        features = Extractor(network_of(target), train.x)
    except MissingPower:
        rows, asked, what = train.x.flatten(1), test.x.flatten(1), "the inputs"
    else:
        rows, asked, what = features.still(train.x), features.still(test.x), "what the model's last layer sees"
    return _Head(Ridge.fit(rows, train.y, classes), asked, what)


def _chosen(target: Target, head: _Head, test: Samples, inputs: int, seed: int) -> Tensor:
    """Choose test rows (m,) that model and head both decide rightly."""
    both = (decisions(target, test.x) == test.y) & (head.ridge.scores(head.test).argmax(1) == test.y)
    rows = both.nonzero()[:, 0]
    return rows[torch.randperm(len(rows), generator=generator(seed, _CHOICE))[:inputs]]


def _turned(head: _Head, row: int, decided: int, classes: int) -> Turned:
    """Try every rival, each no further than the best before it."""
    best: tuple[int, int, Path] | None = None
    scores = head.ridge.scores(head.test[row : row + 1])[0]
    for rival in scores.argsort(descending=True).tolist():
        if rival == decided or rival >= classes:
            continue
        most = MOST if best is None else round(best[0] * STRETCH[-1])
        path = head.ridge.path(head.test[row], decided, rival, most, STRETCH[-1])
        if path.needed is not None and (best is None or path.needed < best[0]):
            best = (path.needed, rival, path)
    if best is None:
        return Turned(row, decided, decided, MOST + 1, ())
    return Turned(row, decided, best[1], best[0], tuple(best[2].rows.tolist()))


def _rows_to_turn(turned: list[Turned], head: _Head, total: int, to: Recorder) -> Evidence:
    needed = torch.tensor([float(row.needed) for row in turned]).double()
    held = sum(not row.rows for row in turned)
    note = f"an upper bound, the median over test rows: taken out of {total} training rows of a ridge classifier on "
    note += f"{head.what}, the most influential first; the least is {int(needed.min())}"
    note += f"; {held} decisions held against {MOST} rows, counted as {MOST + 1}" if held else ""
    interval = bootstrap_median(needed, generator(to.seed, _DRAWS), to.level)
    return to.figure("rows_to_turn", interval, len(turned), "bootstrap", unit="rows", note=note)


def _retrained(
    target: Target, train: Samples, test: Samples, turned: list[Turned], to: Recorder, progress: Progress
) -> Turns:
    """Train the target anew without the rows; the same number at random beside it."""
    name = "removal_turns_retrained"
    if "refit" not in powers(target) or not turned:
        reason = "the model cannot be trained anew" if turned else "no decision of the head was turned"
        return Turns((to.skipped(reason, "power" if turned else "scope", part=name),), ())
    x = test.x[[row.input for row in turned]]
    found: list[Turned] = []
    chance: list[bool] = []
    rng = generator(to.seed, _RANDOM)
    try:
        with progress.step("training without the rows", len(turned), "inputs") as step:
            stable = decisions(_refit(target, train, to.seed), x).tolist()
            for row, now in zip(turned, stable, strict=True):
                step.advance()
                if now != row.decided:
                    continue
                count = _until(target, train, test, row, to.seed)
                found.append(row._replace(retrained=count, asked=True))
                mixed = torch.randperm(len(train.y), generator=rng)[: count or len(row.rows)]
                chance.append(_answer(target, train, test, row.input, mixed, to.seed) != row.decided)
    except HauberkError as error:
        return Turns((to.skipped(error.what, "error", error.fix, part=name),), tuple(found))
    if not found:
        return Turns((to.skipped("trained anew, the model decides none of these rows alike", part=name),), ())
    return Turns(tuple(_checked(found, chance, len(turned) - len(found), len(train.y), to)), tuple(found))


def _checked(found: list[Turned], chance: list[bool], left: int, total: int, to: Recorder) -> Iterator[Evidence]:
    """Say what came of the inputs found, and of as many rows at random; left: inputs that were left out."""
    some, name = to.where("neither"), "removal_turns_retrained"
    yield some.share(name, torch.tensor(chance), role="control", note="as many rows taken out at random")
    at_once = sum(row.retrained == row.needed for row in found)
    note = f"the model trained anew without the rows its linear head needs, or up to {STRETCH[-1]:g} times as many; "
    note += f"{at_once} of {len(found)} turned without those of the head alone"
    note += f"; {left} inputs were left out: training alone moved them" if left else ""
    yield some.share(name, torch.tensor([row.retrained is not None for row in found]), note=note)
    counts = torch.tensor([float(row.retrained or total + 1) for row in found]).double()
    never = int((counts > total).sum())
    note = f"an upper bound that training anew confirms, of {total} training rows; {never} decisions never turned, "
    note += f"counted as {total + 1}"
    interval = bootstrap_median(counts, generator(to.seed, _DRAWS), to.level)
    yield to.figure("rows_to_turn_retrained", interval, len(counts), "bootstrap", unit="rows", note=note)


def _until(target: Target, train: Samples, test: Samples, row: Turned, seed: int) -> int | None:
    """Return a number of rows whose absence turns the retrained target; None where none tried does.

    The first of STRETCH that does, then smaller by halving the gap to the last that did not.
    """

    def turns(size: int) -> bool:
        gone = torch.tensor(row.rows[:size])
        return _answer(target, train, test, row.input, gone, seed) != row.decided

    held = 0
    for size in dict.fromkeys(min(round(row.needed * times), len(row.rows)) for times in STRETCH):
        if turns(size):
            break
        held = size
    else:
        return None
    for _ in range(_HALVINGS if held else 0):
        if size - held < 2:
            break
        middle = (held + size) // 2
        held, size = (held, middle) if turns(middle) else (middle, size)
    return size


def _answer(target: Target, train: Samples, test: Samples, row: int, gone: Tensor, seed: int) -> int:
    """Decide a test row by the target trained without the rows gone (k,); a class left alone is the answer."""
    kept = torch.ones(len(train.y), dtype=torch.bool).index_fill(0, gone, False)
    rest = train.take(kept.nonzero()[:, 0])
    if len(set(rest.y.tolist())) == 1:
        return int(rest.y[0])
    return int(decisions(_refit(target, rest, seed), test.x[row : row + 1])[0])


def _refit(target: Target, rows: Samples, seed: int) -> Target:
    """Train anew, always from the same seed."""
    return cast(Trainable, target).refit(rows.x, rows.y, generator(seed, _TRAINING))
