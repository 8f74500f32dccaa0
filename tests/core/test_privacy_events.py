"""Events of a privacy ledger: strict, and the same after JSON."""

from __future__ import annotations

import pytest

from hauberk.core.encoding import canonical, decode
from hauberk.core.privacy_events import (
    BoundedRelease,
    GaussianRelease,
    LaplaceRelease,
    RepeatedSelection,
    SampledRelease,
    Spend,
)


def test_a_spend_survives_json() -> None:
    events = (
        GaussianRelease(noise=1.5, count=3),
        SampledRelease(noise=1.0, rate=0.01, count=100),
        LaplaceRelease(noise=2.0),
        BoundedRelease(epsilon=0.5, delta=1e-6),
        RepeatedSelection(runs=(GaussianRelease(noise=4.0),), mean=5.0),
    )
    spend = Spend(data="sha256:0", what="training", recipe="privacy.dp_sgd", run="r", events=events)
    assert decode(canonical(spend).decode(), Spend) == spend


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianRelease(noise=-1.0),
        lambda: GaussianRelease(noise=float("nan")),
        lambda: GaussianRelease(noise=1.0, count=-1),
        lambda: SampledRelease(noise=1.0, rate=1.1),
        lambda: LaplaceRelease(noise=float("inf")),
        lambda: BoundedRelease(epsilon=1.0, delta=1.0),
        lambda: RepeatedSelection(runs=(), mean=0.5),
    ],
)
def test_what_cannot_be_is_refused(make) -> None:
    with pytest.raises(ValueError, match=r"must|lies|needed"):
        make()
