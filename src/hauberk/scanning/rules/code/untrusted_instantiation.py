"""Letting a configuration file choose which class or function to call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import Taint, Value
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_CALLS = (
    "hydra.utils.instantiate", "hydra.utils.call", "hydra.utils.get_class", "hydra.utils.get_method",
    "hydra.utils.get_object", "hydra.utils.get_static_method", "hydra._internal.instantiate._instantiate2.instantiate",
    "pydoc.locate", "importlib.import_module", "lightning.pytorch.cli.instantiate_class",
)  # fmt: skip


class UntrustedInstantiation:
    """Follow configuration, request data and model metadata to hydra.utils.instantiate and its kin.

    `_target_: os.system` in the file is a command line. Hold every `_target_` against a list of your own classes before
    instantiating, above all where the configuration comes with a downloaded model (CVE-2025-23304).
    """

    card: ClassVar[Card] = Card(
        title="Untrusted instantiation",
        summary="A configuration that others can write chooses which class or function is called.",
        paper="CWE-470, CWE-94; CVE-2025-23304",
        threats=("CWE-470", "CWE-94", "AML.T0011"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that makes what data names."""
        for site in program_of(artifact).named(*_CALLS):
            taint, severity = _steered(site.argument(0))
            if taint is not None:
                yield tainted_draft(
                    site.place,
                    taint,
                    sink_of(site),
                    f"data chooses what {site.path} calls",
                    "hold every _target_ against a list of allowed classes first",
                    severity,
                )


def _steered(value: Value) -> tuple[Taint | None, Severity]:
    for kind in ("request", "model"):
        if (taint := value.tainted(kind)) is not None:
            return taint, "high"
    return value.tainted("config"), "medium"
