"""The verified side of a robust accuracy of networks: samples whose class no input of the ball can change."""

from __future__ import annotations

import torch

from hauberk.attacks.cascade import answers, errs
from hauberk.attacks.certifying import LEVEL, RECIPE, chosen
from hauberk.core.errors import MissingPower
from hauberk.core.evidence import Measurement, Setting, Skipped
from hauberk.core.protocols import Dataset, Modular, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import clopper_pearson
from hauberk.numeric.linear_bounds import Method, area_of, certified, work
from hauberk.numeric.linear_bounds_graph import Graph, graph_of

Tensor = torch.Tensor

SAMPLES = 100
"""At most so many are looked at."""
VALUES = 2**18
"""Networks with more intermediate values a sample are not looked at: their bounds are loose and dear."""
WORK = 2**31
"""Coefficients that may be spent on tightening intermediate bounds: some seconds."""
BATCH = 20
METHODS: tuple[Method, ...] = ("ibp", "crown-ibp", "crown")
"""From cheap to dear; each sees only what the ones before could not prove."""


def boundable(target: Target, threat: Threat) -> bool:
    """Tell whether there may be something to prove: a torch module, and a ball whose norm has a box."""
    ball = threat.ball if threat.kind == "ball" and threat.family == "evasion" else None
    return isinstance(target, Modular) and ball is not None and ball.norm in ("linf", "l2", "l1")


def examine_bounded(
    target: Target, data: Dataset, threat: Threat, *, stamp: Stamp, seed: int = 0, samples: int = SAMPLES
) -> Measurement | Skipped:
    """Measure the share of test samples that are classified right and proven to stay so within the ball.

    By interval bounds and CROWN's linear bounds (Zhang et al. 2018, arXiv:1811.00866). The samples are the first of
    the order the attacks of a run with this seed take: their robust accuracy on the same ones lies above this figure,
    and the truth between. A network with an operation that has no bounds becomes a Skipped that names it.
    """
    settings = (Setting(name="methods", value=" → ".join(METHODS)),)
    provenance = stamp.of(f"{RECIPE}_networks", settings, seed)
    try:
        x, y = chosen(data, threat, seed, min(samples, SAMPLES))
        if not len(y):
            raise MissingPower("there is no test sample to prove anything of", fix="name labelled test data")
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        right = (~errs(answers(target, x), y, threat)).nonzero().squeeze(1)
        graph = graph_of(target.module().eval().requires_grad_(False).cpu(), x[:1])
        widest = sum(torch.Size(place.shape).numel() for place in graph.places)
        if widest > VALUES:
            raise MissingPower(f"the network has {widest} intermediate values, more than {VALUES}")
        proven, method = _proven(graph, target, x[right], y[right], threat)
    except MissingPower as error:
        return Skipped(
            subject="certified_accuracy", reason=error.what, provenance=provenance, kind="power", fix=error.fix
        )
    interval = clopper_pearson(int(proven.sum()), len(y), LEVEL)
    assert threat.ball is not None
    return Measurement(
        name="certified_accuracy",
        subject=target.spec.name,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        level=LEVEL,
        method="clopper-pearson",
        n=len(y),
        unit="share",
        better="higher",
        provenance=provenance,
        population=len(data.test.y),
        threat=threat.name,
        norm=threat.ball.norm,
        radius=threat.ball.radius,
        note=f"a lower bound: proven for every input of the ball by {method}; the true robust accuracy lies above, and "
        "below what attacks leave",
    )


def _proven(graph: Graph, target: Target, x: Tensor, y: Tensor, threat: Threat) -> tuple[Tensor, str]:
    """Tell which samples (n,) are proven, from the cheapest method to the dearest that the work allows."""
    assert threat.ball is not None
    done, left, used = torch.zeros(len(y), dtype=torch.bool), WORK, "interval bounds"
    rivals = None
    if threat.target_class is not None:
        rivals = torch.zeros(1, target.spec.classes, dtype=torch.bool)
        rivals[0, threat.target_class] = True
    with torch.no_grad():
        for method in METHODS:
            open_rows = (~done).nonzero().squeeze(1)
            for rows in torch.split(open_rows, BATCH) if len(open_rows) else ():
                area = area_of(threat.ball, x[rows], target.spec.bounds)
                if method == "crown":
                    left -= work(graph, area)
                    if left < 0:
                        return done, f"{used}; tighter ones were too dear for some samples"
                done[rows] = certified(graph, area, y[rows], rivals, method)
            used = "interval and linear bounds (CROWN)" if method == "crown" else used
            used = "interval bounds and linear bounds over them (CROWN-IBP)" if method == "crown-ibp" else used
    return done, used
