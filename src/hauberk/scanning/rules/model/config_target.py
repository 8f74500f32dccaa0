"""Classes and functions that a configuration has Hydra and its like call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.allowlist import standing
from hauberk.scanning.artifact import Artifact, Draft, Lookup

_PACKAGES = frozenset(
    """torch torchvision torchaudio torchmetrics torchtext pytorch_lightning lightning lightning_fabric transformers
    datasets huggingface_hub numpy pandas sklearn keras tensorflow tensorflow_datasets jax flax timm monai nemo hydra
    omegaconf accelerate diffusers albumentations wandb mlflow fsspec s3fs boto3 nltk yaml IPython""".split()  # noqa: SIM905
)
_LOADING = (
    "load",
    "from_pretrained",
    "load_state_dict_from_url",
    "pipeline",
    "read_csv",
    "read_parquet",
    "open",
    "init",
)


class ConfigTarget:
    """Judge every `_target_`: what instantiating the configuration would call.

    What: a target that runs code, starts processes or reaches files (critical), one of Python's own library that does
    more than hold values (high), a loader of a framework that can run code (medium), or one that is not written in the
    file but put together (low).
    Why: `hydra.utils.instantiate` calls whatever the file names, with the file's arguments; model archives carry such
    files (CVE-2025-23304 in NeMo). A configuration that came with a model is a program.
    Bad: `_target_: os.system`
    Good: `_target_: torch.optim.AdamW`
    Fix: hold every `_target_` against a list of your own classes before instantiating.
    """

    card: ClassVar[Card] = Card(
        title="Dangerous target in a configuration",
        summary="A configuration names a callable that runs code, to be called when it is instantiated.",
        paper="CWE-470; CWE-94; CVE-2025-23304; MITRE ATLAS AML.T0011",
        threats=("CWE-470", "CWE-94", "AML.T0010", "AML.T0011", "CVE-2025-23304"),
        severity="critical",
        reads=("lookups",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each target that is not a plain class."""
        told: set[str] = set()
        for fact in artifact.lookups:
            dotted = f"{fact.module}.{fact.name}" if fact.module else fact.name
            if fact.kind != "hydra" or dotted in told:
                continue
            told.add(dotted)
            severity = _severity(fact, dotted.strip())
            if severity:
                yield Draft(
                    message=f"instantiating this configuration calls {dotted[:200]}{fact.arguments[:120]}",
                    fix="hold every _target_ against a list of your own classes before instantiating",
                    severity=severity,
                    place=fact.place,
                    trace=(f"{fact.where or 'top'}: {dotted} {fact.arguments}"[:300],),
                )


def _severity(fact: Lookup, dotted: str) -> Severity | None:
    if "${" in dotted:
        return "low"
    top = dotted.partition(".")[0]
    known = standing(dotted if "." in dotted else f"builtins.{dotted}")
    if known == "dangerous":
        if top not in _PACKAGES:
            return "critical"
        return "medium" if fact.name in _LOADING or top in ("huggingface_hub", "transformers", "fsspec") else "high"
    return "high" if known == "foreign" else None
