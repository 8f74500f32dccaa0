"""How many samples do attacks break that see scores alone, for 100 and 500 queries, and is Square as fast as a loop?

The robust net of attacks/pgd.py, digits it gets right, one thread. Ours and the peers that take a budget run on the
same batch and are measured on what they return. Any other peer runs one sample at a time, on the first few of them,
with settings for more than the largest budget, and the first error in the ball among everything it asked counts, which
is at least as good as what it would have returned. Shares come with 95 % Clopper–Pearson intervals; queries are the
mean over all samples, those that hold out included. GenAttack of foolbox knows targets only: class 8, for samples of
the others, ours beside it. ART's Square changes nothing in l1 and asks twice. CPU time: Square in linf with 500 queries
on a batch of 200, repetitions interleaved, ratios to a loop written for this one case. A library that is not installed
is a row that says so. Peers: pip install torchattacks foolbox eagerpy
adversarial-robustness-toolbox (--no-deps keeps torchvision out).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import statistics
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from _models import Run, by_batch, digits, machine, timed, versions
from pgd import EPS, frozen, trained
from torch import nn

from hauberk.attacks.evasion.bandits import Bandits
from hauberk.attacks.evasion.genattack import GenAttack
from hauberk.attacks.evasion.nes import NES
from hauberk.attacks.evasion.pixel import Pixel
from hauberk.attacks.evasion.simba import SimBA
from hauberk.attacks.evasion.sparse_rs import SparseRS
from hauberk.attacks.evasion.spsa import SPSA
from hauberk.attacks.evasion.square import HALVINGS, Square
from hauberk.attacks.evasion.zoo import ZOO
from hauberk.core.protocols import EvasionAttack
from hauberk.core.threat import Ball, Norm, Threat
from hauberk.numeric.balls import size
from hauberk.numeric.intervals import clopper_pearson
from hauberk.targets import from_torch

BUDGETS = (100, 500)
RADII: dict[Norm, float] = {"linf": EPS, "l2": 2.0, "l1": 12.0, "l0": 12.0}
GOAL = 8
Attack = Callable[[int], EvasionAttack]
Peer = Callable[[nn.Module, torch.Tensor, torch.Tensor], object]

OURS: dict[tuple[str, Norm], Attack] = {
    ("Square", "linf"): Square,
    ("SimBA", "linf"): SimBA,
    ("Bandits-TD", "linf"): Bandits,
    ("NES", "linf"): NES,
    ("SPSA", "linf"): SPSA,
    ("GenAttack", "linf"): GenAttack,
    ("ZOO", "linf"): ZOO,
    ("Square", "l2"): Square,
    ("SimBA", "l2"): SimBA,
    ("Bandits-TD", "l2"): Bandits,
    ("NES", "l2"): NES,
    ("SPSA", "l2"): SPSA,
    ("ZOO", "l2"): ZOO,
    ("Square", "l1"): Square,
    ("Sparse-RS", "l0"): SparseRS,
    ("pixel", "l0"): Pixel,
}
TARGETED: dict[tuple[str, Norm], Attack] = {
    ("Square, targeted", "linf"): Square,
    ("GenAttack, targeted", "linf"): GenAttack,
}


class Done(Exception):
    """An error is found, or the largest budget is spent."""


class Recorder(nn.Module):
    """Passes questions about one sample on, and notes after how many an error in the ball was asked for first."""

    def __init__(self, model: nn.Module, clean: torch.Tensor, label: int, norm: Norm, goal: int | None) -> None:
        super().__init__()
        self.model, self.clean, self.label, self.norm, self.goal = model, clean, label, norm, goal
        self.asked, self.first = 0, math.inf

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.model(x.float())
        found = scores.argmax(1)
        hit = found != self.label if self.goal is None else found == self.goal
        hit &= size((x - self.clean).detach().float(), self.norm) <= RADII[self.norm] * (1 + 1e-5)
        if bool(hit.any()):
            self.first = self.asked + int(hit.nonzero()[0]) + 1
        self.asked += len(x)
        if math.isfinite(self.first) or self.asked >= BUDGETS[-1]:
            raise Done
        return scores


def torchattacks(name: str, **settings: object) -> Peer:
    def run(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        import torchattacks

        return getattr(torchattacks, name)(model, **settings)(x, y)

    return run


def art(name: str, **settings: object) -> Peer:
    def run(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        import art.attacks.evasion
        from art.estimators.classification import PyTorchClassifier

        chances = nn.Sequential(model, nn.Softmax(1))
        target = PyTorchClassifier(chances, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 10, clip_values=(0.0, 1.0))
        hot = nn.functional.one_hot(y, 10).numpy()
        return getattr(art.attacks.evasion, name)(target, verbose=False, **settings).generate(x.numpy(), hot)

    return run


def foolbox_genattack(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
    import foolbox

    goal = foolbox.criteria.TargetedMisclassification(torch.full_like(y, GOAL))
    return foolbox.attacks.GenAttack()(foolbox.PyTorchModel(model, (0, 1)), x, goal, epsilons=EPS)


MANY = 2 * BUDGETS[-1]
PEERS: dict[tuple[str, Norm], Peer] = {
    ("art SimBA", "l2"): art("SimBA", max_iter=MANY, epsilon=0.2, freq_dim=14, stride=7),
    ("art ZOO", "l2"): art(
        "ZooAttack", max_iter=MANY, initial_const=10.0, nb_parallel=16, use_resize=False, abort_early=False
    ),
    ("torchattacks OnePixel", "l0"): torchattacks("OnePixel", pixels=int(RADII["l0"]), steps=100, popsize=10),
    ("art pixel", "l0"): art("PixelAttack", th=int(RADII["l0"]), es=1, max_iter=100),
}
BATCHED: dict[tuple[str, Norm], Callable[[int], Peer]] = {
    ("torchattacks Square", "linf"): lambda q: torchattacks("Square", norm="Linf", eps=EPS, n_queries=q),
    ("art Square", "linf"): lambda q: art("SquareAttack", eps=EPS, max_iter=q),
    ("torchattacks SPSA", "linf"): lambda q: torchattacks("SPSA", eps=EPS, lr=0.1, nb_iter=q // 20, nb_sample=10),
    ("torchattacks Square", "l2"): lambda q: torchattacks("Square", norm="L2", eps=RADII["l2"], n_queries=q),
    ("art Square", "l2"): lambda q: art("SquareAttack", norm=2, eps=RADII["l2"], max_iter=q),
    ("art Square", "l1"): lambda q: art("SquareAttack", norm=1, eps=RADII["l1"], max_iter=q),
}
PEERS_TARGETED: dict[tuple[str, Norm], Peer] = {("foolbox GenAttack, targeted", "linf"): foolbox_genattack}


class Counting(nn.Module):
    """A model that counts what it is asked."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.queries = model, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.queries += len(x)
        scores: torch.Tensor = self.model(x)
        return scores


class Asking:
    """A target that has its questions counted: one made from a model works on a copy, which counts for itself."""

    def __init__(self, counting: Counting) -> None:
        self._target, self._counting = (
            from_torch(counting.model, bounds=(0, 1), shape=(1, 28, 28), classes=10),
            counting,
        )
        self.spec = self._target.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        self._counting.queries += len(x)
        return self._target.predict(x)


def ours(attack: Attack, norm: Norm, goal: int | None, budget: int) -> Peer:
    def run(model: Counting, x: torch.Tensor, y: torch.Tensor) -> object:
        target = Asking(model)
        threat = Threat(name="any", ball=Ball(norm, RADII[norm]), target_class=goal)
        return attack(budget).run(target, x, y, threat, torch.Generator().manual_seed(0))

    return run


def whole(
    attack: Callable[[int], Peer], model: nn.Module, x: torch.Tensor, y: torch.Tensor, norm: Norm, goal: int | None
) -> list[dict[str, object]]:
    """Run a batch for each budget and judge what comes back."""
    rows = []
    for budget in BUDGETS:
        torch.manual_seed(0)
        counting = Counting(model).eval()
        found = torch.as_tensor(attack(budget)(counting, x, y))
        with torch.no_grad():
            seen = model(found).argmax(1)
        broken = seen != y if goal is None else seen == goal
        broken &= size(found - x, norm) <= RADII[norm] * (1 + 1e-5)
        rows.append(share(budget, int(broken.sum()), len(x), counting.queries / len(x)))
    return rows


def peer(
    attack: Peer, model: nn.Module, x: torch.Tensor, y: torch.Tensor, norm: Norm, goal: int | None
) -> list[dict[str, object]]:
    first, asked = [], []
    for row in range(len(x)):
        torch.manual_seed(row)
        recorder = Recorder(model, x[row : row + 1], int(y[row]), norm, goal).eval()
        with contextlib.suppress(Done):
            attack(recorder, x[row : row + 1], y[row : row + 1])
        first.append(recorder.first)
        asked.append(min(recorder.asked, recorder.first))
    rows = []
    for budget in BUDGETS:
        spent = statistics.fmean(min(count, budget) for count in asked)
        rows.append(share(budget, sum(count <= budget for count in first), len(x), spent))
    return rows


def share(budget: int, broken: int, samples: int, spent: float) -> dict[str, object]:
    found = clopper_pearson(broken, samples)
    return {
        "budget": budget,
        "broken": round(found.value, 4),
        "low_95": round(found.low, 4),
        "high_95": round(found.high, 4),
        "mean_queries": round(spent, 1),
    }


def measured(name: str, norm: Norm, samples: int, run: Callable[[], list[dict[str, object]]]) -> dict[str, object]:
    line: dict[str, object] = {"name": name, "norm": norm, "radius": RADII[norm]}
    found: list[dict[str, object]] = []
    try:
        found = run()
        line |= {"status": "measured", "samples": samples, "rows": found}
    except ImportError as error:
        line["status"] = "not installed" if isinstance(error, ModuleNotFoundError) else str(error)
    except Exception as error:
        line["status"] = f"failed: {type(error).__name__}: {str(error)[:120]}"
    print(f"{name:28}{norm:6}{line['status']:16}", end="")
    for row in found:
        print(f"{row['broken']:8.3f} [{row['low_95']:.2f}, {row['high_95']:.2f}] {row['mean_queries']:6.0f}", end="")
    print(flush=True)
    return line


def bare(model: nn.Module, queries: int) -> Run:
    """Square in linf by hand: one window for the whole batch, frozen weights, who is broken leaves."""
    model = frozen(model)

    def margin(point: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        scores = model(point)
        own = scores.gather(1, labels[:, None]).squeeze(1)
        return own - scores.scatter(1, labels[:, None], -torch.inf).amax(1)

    @torch.no_grad()
    def attack(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        out, rows, (n, c, h, w) = x.clone(), torch.arange(len(x)), x.shape
        low, high = (x - EPS).clamp(min=0), (x + EPS).clamp(max=1)
        best = torch.clamp(x + EPS * (torch.randint(0, 2, (n, c, 1, w)) * 2 - 1), low, high)
        lead = margin(best, y)
        for step in range(2, queries):
            stay = (lead > 0).nonzero().squeeze(1)
            if len(stay) < len(rows):
                out[rows] = best
                rows, best, low, high, lead, y = (part[stay] for part in (rows, best, low, high, lead, y))
            if not len(rows):
                break
            side = max(1, round(math.sqrt(0.8 * 0.5 ** sum(step > at * queries / 10_000 for at in HALVINGS) * h * w)))
            top, left = (int(torch.randint(0, length - side + 1, (1,))) for length in (h, w))
            window = (slice(None), slice(None), slice(top, top + side), slice(left, left + side))
            up = torch.randint(0, 2, (len(rows), c, 1, 1)) > 0
            fresh = best.clone()
            fresh[window] = torch.where(up, high[window], low[window])
            found = margin(fresh, y)
            gained = found < lead
            best = torch.where(gained[:, None, None, None], fresh, best)
            lead = torch.where(gained, found, lead)
        out[rows] = best
        return out

    return by_batch(attack, 1000)


def speed(model: nn.Module, x: torch.Tensor, y: torch.Tensor, repetitions: int) -> list[dict[str, object]]:
    queries = 500

    def hauberk() -> Run:
        target, threat = from_torch(model, bounds=(0.0, 1.0)), Threat(name="any", ball=Ball("linf", EPS))
        return lambda x, y, seed: Square(queries).run(target, x, y, threat, torch.Generator().manual_seed(seed))

    def peers() -> Run:
        import torchattacks

        return by_batch(torchattacks.Square(model, norm="Linf", eps=EPS, n_queries=queries), 1000)

    entrants = {"bare loop": partial(bare, model, queries), "hauberk": hauberk, "torchattacks": peers}
    seconds, found, missing = timed(entrants, x, y, repetitions)
    rows = []
    for name in entrants:
        if name in missing:
            rows.append({"name": name, "status": missing[name]})
            continue
        ratios = [mine / base for mine, base in zip(seconds[name], seconds["bare loop"], strict=True)]
        with torch.no_grad():
            broken = clopper_pearson(int((model(found[name]).argmax(1) != y).sum()), len(y))
        rows.append(
            {
                "name": name,
                "status": "measured",
                "ratio_to_bare_loop_median": round(statistics.median(ratios), 3),
                "ratio_lowest": round(min(ratios), 3),
                "ratio_highest": round(max(ratios), 3),
                "broken": round(broken.value, 4),
                "samples": len(y),
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--few", type=int, default=30, help="samples for peers that run one at a time")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--weights", type=Path, help="keep the trained net in this folder and use it again")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parents[1] / "results" / "attacks_black_box_score.json"
    )
    choice = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    x, y = digits()
    model = trained("robust net", x[:4000], y[:4000], EPS, 20, choice.weights).requires_grad_(False)
    x, y = x[4000:], y[4000:]
    with torch.no_grad():
        right = model(x).argmax(1) == y
    x, y = x[right], y[right]
    report: dict[str, object] = {"question": (__doc__ or "").partition("\n")[0], "budgets": BUDGETS}
    report["square, linf, 500 queries, CPU time"] = speed(model, x[:200], y[:200], choice.repetitions)
    lines = []
    for goal, own, batched, lone in ((None, OURS, BATCHED, PEERS), (GOAL, TARGETED, {}, PEERS_TARGETED)):
        rows = (y[: choice.samples] != (-1 if goal is None else goal)).nonzero().squeeze(1)
        points, labels, few = x[rows], y[rows], rows[: choice.few]
        for (name, norm), attack in own.items():
            entrant: Callable[[int], Peer] = partial(ours, attack, norm, goal)
            lines.append(measured(name, norm, len(points), partial(whole, entrant, model, points, labels, norm, goal)))
        for (name, norm), entrant in batched.items():
            lines.append(measured(name, norm, len(points), partial(whole, entrant, model, points, labels, norm, goal)))
        for (name, norm), other in lone.items():
            lines.append(measured(name, norm, len(few), partial(peer, other, model, x[few], y[few], norm, goal)))
    report["attacks"] = lines
    report["versions"] = versions("torchattacks", "foolbox", "adversarial-robustness-toolbox")
    report["machine"] = machine()
    choice.output.parent.mkdir(parents=True, exist_ok=True)
    choice.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
