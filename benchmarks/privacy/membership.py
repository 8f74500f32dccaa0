"""How well do membership attacks tell members on a 50-class table and on MNIST-5k, with how many reference models?

34 networks on random halves, eight of them targets in turn; references are the models of other pairs. "2+2" is four
reference models trained in all, two with each record and two without; "4 out" looks at four models without the record.
Figures are means over the targets with two standard errors. ART's attacks learn on half of the members and others and
are scored on the other half, as its users do; three targets.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _settings import machine, trained, versions

from hauberk.attacks.privacy.attack_r import AttackR
from hauberk.attacks.privacy.difficulty_calibration import DifficultyCalibration
from hauberk.attacks.privacy.lira import LiRA
from hauberk.attacks.privacy.loss_threshold import LossThreshold
from hauberk.attacks.privacy.modified_entropy import ModifiedEntropy
from hauberk.attacks.privacy.rmia import RMIA
from hauberk.attacks.privacy.shadow_classifier import ShadowClassifier
from hauberk.attacks.recorded import Recorded
from hauberk.core.protocols import References
from hauberk.numeric.roc import area, true_positives

TARGETS, THEIRS = 8, 3
PUBLISHED = {
    "table": {"RMIA 14+14": (0.824, 0.147), "LiRA online 14+14": (0.824, 0.140), "loss threshold": (0.668, 0.018)},
    "digits": {"RMIA 14+14": (0.680, 0.108), "LiRA online 14+14": (0.674, 0.109), "loss threshold": (0.549, 0.0104)},
}
"""Area and TPR at 1 % FPR of an independent implementation of these settings, measured before this one."""
Score = Callable[[int], torch.Tensor]


class Bench:
    """One setting: every model's answers, looked up by record."""

    def __init__(self, logits: torch.Tensor, member: torch.Tensor, y: torch.Tensor) -> None:
        self.member, self.y, self.logits = member, y, logits
        self.models = [Recorded(str(index), own, "logits") for index, own in enumerate(logits)]
        self.x = torch.arange(len(y)).float()[:, None]

    def references(self, target: int, pairs: int) -> References:
        others = [pair for pair in range(len(self.models) // 2) if pair != target // 2][:pairs]
        rows = [row for pair in others for row in (2 * pair, 2 * pair + 1)]
        return References(tuple(self.models[row] for row in rows), self.member[rows], self.x[:0], self.y[:0])

    def compared(self, attack: object, pairs: int) -> Score:
        def score(target: int) -> torch.Tensor:
            rng = torch.Generator().manual_seed(0)
            return attack.compare(self.models[target], self.x, self.y, self.references(target, pairs), rng)

        return score

    def alone(self, attack: object) -> Score:
        return lambda target: attack.score(self.models[target], self.x, self.y, torch.Generator())

    def row(self, name: str, score: Score, targets: int, kept: Callable[[int], torch.Tensor] | None = None) -> dict:
        areas, firsts, thousandths, seconds = [], [], [], []
        for target in range(targets):
            begun = time.process_time()
            found = score(target)
            seconds.append(time.process_time() - begun)
            rows = kept(target) if kept else torch.ones(len(self.y), dtype=torch.bool)
            inside, outside = found[self.member[target] & rows], found[~self.member[target] & rows]
            areas.append(area(inside, outside).value)
            firsts.append(true_positives(inside, outside, 0.01).interval.value)
            thousandths.append(true_positives(inside, outside, 0.001).interval.value)
        made = {"attack": name, "targets": targets, "seconds": statistics.mean(seconds)}
        for key, values in (("auc", areas), ("tpr_at_1pct", firsts), ("tpr_at_0_1pct", thousandths)):
            spread = 2 * statistics.stdev(values) / math.sqrt(len(values))
            made |= {key: round(statistics.mean(values), 4), f"{key}_within": round(spread, 4)}
        return made


def hauberks(bench: Bench) -> dict[str, Score]:
    entrants = {"loss threshold": bench.alone(LossThreshold()), "modified entropy": bench.alone(ModifiedEntropy())}
    for learner in ("logistic", "forest", "neighbours", "network"):
        entrants[f"shadow classifier, {learner}, 2+2"] = bench.compared(ShadowClassifier(learner=learner), 2)
    entrants |= {
        "attack R 14 out": bench.compared(AttackR(), 14),
        "difficulty calibration 14 out": bench.compared(DifficultyCalibration(), 14),
        "LiRA offline 14 out": bench.compared(LiRA(mode="offline"), 14),
        "LiRA online 14+14": bench.compared(LiRA(), 14),
        "LiRA online 4+4": bench.compared(LiRA(), 4),
        "LiRA online 2+2, shrunk": bench.compared(LiRA(variance="shrunk"), 2),
        "RMIA 14+14, temperature 1": bench.compared(RMIA(temperature=1.0), 14),
        "RMIA 2+2, temperature 1": bench.compared(RMIA(temperature=1.0), 2),
        "RMIA 14+14": bench.compared(RMIA(), 14),
        "RMIA 4+4": bench.compared(RMIA(), 4),
        "RMIA 2+2": bench.compared(RMIA(), 2),
        "RMIA 1+1": bench.compared(RMIA(), 1),
        "RMIA 14 out": bench.compared(RMIA(mode="offline"), 14),
        "RMIA 4 out": bench.compared(RMIA(mode="offline"), 4),
    }
    return entrants


def arts(bench: Bench) -> dict[str, tuple[Score, Callable[[int], torch.Tensor]]]:
    """ART's black-box attacks, told half of the members and others; the victim returns logits or probabilities."""
    from art.attacks.inference.membership_inference import MembershipInferenceBlackBox
    from art.estimators.classification import BlackBoxClassifier

    classes = bench.logits.shape[2]

    def kept(target: int) -> torch.Tensor:
        return torch.from_numpy(np.random.default_rng(target).random(len(bench.y)) < 0.5)

    def entrant(kind: str, soft: bool) -> Score:
        def score(target: int) -> torch.Tensor:
            told = bench.logits[target].softmax(1) if soft else bench.logits[target]
            answers, known = told.numpy(), ~kept(target).numpy()
            model = BlackBoxClassifier(lambda x: answers[x[:, 0].astype(int)], (1,), classes)
            attack = MembershipInferenceBlackBox(model, attack_model_type=kind)
            x, y, member = bench.x.numpy(), bench.y.numpy(), bench.member[target].numpy()
            inside, outside = known & member, known & ~member
            attack.fit(x[inside], y[inside], x[outside], y[outside])
            found = attack.infer(x, y, probabilities=True)
            return torch.from_numpy(np.asarray(found, dtype=np.float64).reshape(len(y), -1)[:, -1].copy())

        return score

    rows = {}
    for kind in ("lr", "rf", "gb"):
        for soft in (False, True):
            rows[f"ART {kind}, victim returns {'softmax' if soft else 'logits'}"] = (entrant(kind, soft), kept)
    return rows


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    torch.set_num_threads(1)
    result: dict[str, object] = {"question": (__doc__ or "").partition("\n")[0], "published": PUBLISHED}
    for name in ("table", "digits"):
        logits, member, y = trained(name)
        right = logits.argmax(2) == y
        bench, rows = Bench(logits, member, y), []
        for attack, score in hauberks(bench).items():
            rows.append(bench.row(attack, score, TARGETS))
        try:
            for attack, (score, kept) in arts(bench).items():
                rows.append(bench.row(attack, score, THEIRS, kept))
        except ImportError:
            print("ART is not installed")
        base = rows[0]["seconds"]
        for row in rows:
            row["time_ratio"] = round(row.pop("seconds") / base, 1)
            print(name, row, flush=True)
        by_name = {row["attack"]: row for row in rows}
        best = by_name["RMIA 14+14"]["tpr_at_1pct"]
        plain = by_name["RMIA 14+14, temperature 1"]["tpr_at_1pct"]
        shares = {
            few: {
                "of 14+14": round(by_name[few]["tpr_at_1pct"] / best, 3),
                "of 14+14 untuned": round(by_name[few]["tpr_at_1pct"] / plain, 3),
            }
            for few in ("RMIA 2+2", "RMIA 4 out", "RMIA 4+4")
        }
        result[name] = {
            "train_accuracy": round(float(right[member].double().mean()), 4),
            "test_accuracy": round(float(right[~member].double().mean()), 4),
            "share_of_tpr_at_1pct": shares,
            "rows": rows,
        }
        print(name, shares, flush=True)
    result["versions"], result["machine"] = versions("adversarial-robustness-toolbox", "scikit-learn"), machine()
    path = Path(__file__).parents[1] / "results" / "privacy_membership.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
