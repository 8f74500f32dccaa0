"""Settings and weights of a model that break off or are not what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_TITLES = {"hdf5_file": "HDF5 file", "json_settings": "JSON", "yaml_settings": "YAML"}


class MalformedSettings:
    """Report HDF5 files and settings of a model that are broken.

    What: an HDF5 file that breaks off or points outside itself; a model's own JSON (config.json, tokenizer.json …)
    that does not parse; YAML that expands without end.
    Why: what a careful reader refuses, another reads to its end: a part that no checker saw. Native readers of HDF5
    have turned such files into memory errors.
    Bad: a model.h5 cut in the middle
    Good: the file as it was saved
    Fix: fetch or save the file anew.
    """

    card: ClassVar[Card] = Card(
        title="Malformed settings or weights",
        summary="An HDF5 file, or a model's own settings, are broken.",
        paper="CWE-1284; CWE-20",
        threats=("CWE-1284", "AML.T0010"),
        severity="medium",
        reads=("problems",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each problem."""
        title = _TITLES.get(artifact.format)
        for problem in artifact.problems if title else ():
            if problem.kind != "limit":
                yield Draft(
                    message=f"not well-formed {title}: {problem.message}",
                    fix="fetch or save the file anew",
                    severity="high" if problem.kind == "exhaustion" else None,
                    place=problem.place,
                )
