"""Opening the file, or loading the model, that a user names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sinks import opened_by
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft


class PathTraversal:
    """Follow what a user sends into the path of a file that is read, written, removed or loaded as a model.

    "../../etc/passwd" as a model's name leaves the models' folder; a name that can be written to first makes a pickle
    of the attacker's the model. Choose from a table of known models, or resolve the path and check that it is inside.

    Bad:

        torch.load(f"models/{request.args['name']}.pt", weights_only=True)

    Good:

        path = (MODELS / name).resolve()
        if not path.is_relative_to(MODELS): abort(404)
    """

    card: ClassVar[Card] = Card(
        title="Path traversal",
        summary="What a user sends chooses the path of a file or model.",
        paper="CWE-22, CWE-73; MITRE ATLAS AML.T0049",
        threats=("CWE-22", "CWE-73", "AML.T0049"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the path of every file that is opened."""
        for site in program_of(artifact).calls:
            taint = opened_by(site, "request")
            if taint is not None and _from_afar(taint.origin):
                yield tainted_draft(
                    site.place,
                    taint,
                    sink_of(site),
                    "what a user sends chooses the path of a file",
                    "choose from a table of known names, or resolve the path and check is_relative_to() its folder",
                    "high",
                )


def _from_afar(origin: str) -> bool:
    """Tell a request from what the person at the terminal types: that person may open any file already."""
    return "a user types input()" not in origin and "click.prompt" not in origin
