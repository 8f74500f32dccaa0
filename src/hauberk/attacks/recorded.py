"""A model of which only answers to certain records are known, so that a model of any framework can be audited."""

from __future__ import annotations

import torch

from hauberk.attacks.recording import Samples
from hauberk.core.errors import TargetError
from hauberk.core.protocols import TargetSpec
from hauberk.numeric.membership import Kind

KIND = "recorded"
"""Kind of target whose input is a place among the records, with the record behind it where it is known."""


class Recorded:
    """A target that looks up what a model answered: the first value of an input is the record's place.

    told: (n, classes), answers to records 0 … n − 1. width: values of an input, the place included.
    """

    def __init__(self, name: str, told: torch.Tensor, answers: Kind, width: int = 1, digest: str = "") -> None:
        self._told = told
        self._spec = TargetSpec(
            name=name,
            kind=KIND,
            shape=(width,),
            classes=told.shape[1],
            bounds=(-3.5e38, 3.5e38),
            answers=answers,
            digest=digest,
            notes=("its answers were read from a file; the model itself was not asked",),
        )

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        return self._spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Look x (n, width) up; raises TargetError for a place that was not recorded."""
        places = x[:, 0].double().round().long()
        if len(places) and (int(places.min()) < 0 or int(places.max()) >= len(self._told)):
            raise TargetError("it was asked about a record that is not in the file", fix="attack it itself for that")
        return self._told[places]


def bare(kind: str, part: Samples) -> Samples:
    """Return the records without their places: what a self-check may compare."""
    return Samples(part.x[:, 1:], part.y) if kind == KIND else part
