"""The verified side of a robust accuracy of targets that certify themselves, such as smoothed ones."""

from __future__ import annotations

from hauberk.attacks.certifying import LEVEL, RECIPE, chosen
from hauberk.attacks.chunks import stream
from hauberk.core.defending import Certifying
from hauberk.core.errors import MeasurementError
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.protocols import Dataset
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.intervals import clopper_pearson

SAMPLES = 200


def examine_answers(
    target: Certifying, data: Dataset, threat: Threat, *, stamp: Stamp, seed: int = 0, samples: int = SAMPLES
) -> Measurement | Skipped:
    """Measure the share of test samples for which the target proves its right answer against the threat.

    The samples are the first of the order the attacks of a run with this seed take. Where each proof may be wrong with
    a small probability, that is said: so many of the samples counted may not be safe.
    """
    provenance = stamp.of(f"{RECIPE}_answers", (), seed)
    x, y = chosen(data, threat, seed, min(samples, SAMPLES))
    try:
        proof = target.certify(x, y, threat, stream(seed, "certificates"))
    except MeasurementError as error:
        return Skipped(
            subject="certified_accuracy", reason=error.what, provenance=provenance, kind="error", fix=error.fix
        )
    interval = clopper_pearson(int(proof.safe.sum()), len(y), LEVEL)
    ball = threat.ball if threat.kind == "ball" else None
    doubt = f"; each proof errs with probability {proof.error:g} at most" if proof.error else ""
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
        norm=ball.norm if ball else "",
        radius=ball.radius if ball else None,
        note=f"a lower bound: {proof.how}{doubt}; the true robust accuracy lies above, and below what attacks leave",
    )
