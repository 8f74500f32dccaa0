"""What is known of a callable that settings name, where naming classes of frameworks is what settings are for."""

from __future__ import annotations

from typing import Literal, TypeAlias

from hauberk.scanning.allowlist import standing

SettingsStanding: TypeAlias = Literal["runs", "foreign", "loads", "acts", "inert", "unknown"]
"""runs: code, processes, files. foreign: of Python's own library. loads, acts: of a framework, which loads what it is
given, or does more than that. inert: reviewed. unknown: a project's or a framework's own class."""
_FRAMEWORKS = frozenset(
    """torch torchvision torchaudio torchmetrics torchtext pytorch_lightning lightning lightning_fabric
    transformers datasets huggingface_hub numpy pandas sklearn keras tensorflow tensorflow_datasets jax flax
    timm monai nemo hydra omegaconf accelerate diffusers albumentations wandb mlflow fsspec s3fs boto3 nltk yaml
    IPython speechbrain""".split()  # noqa: SIM905
)
_THROUGH = frozenset({"os", "posix", "sys", "subprocess", "builtins", "importlib", "shutil", "socket", "ctypes", "pty"})
"""Modules of Python that a name may reach through a framework's, such as torch.serialization.os.system."""
_LOADERS = frozenset({"load", "from_pretrained", "load_state_dict_from_url", "pipeline", "read_csv", "read_parquet"})


def settings_standing(dotted: str) -> SettingsStanding:
    """Judge a dotted name; one without a dot is a builtin."""
    known = standing(dotted if "." in dotted else f"builtins.{dotted}")
    top, name = dotted.partition(".")[0], dotted.rpartition(".")[2]
    if known == "dangerous":
        if top not in _FRAMEWORKS or _THROUGH & set(dotted.split(".")[1:-1]):
            return "runs"
        loading = name in _LOADERS or top in ("huggingface_hub", "transformers", "fsspec")
        return "loads" if loading else "acts"
    if known == "foreign":
        return "foreign"
    return "inert" if known == "inert" else "unknown"
