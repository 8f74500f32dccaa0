"""MLflow's MLmodel file: which module loads the model, which code comes with it, where the files lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import yaml

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Problem, Reference
from hauberk.scanning.text import read_text
from hauberk.scanning.yaml_documents import document

_PATHS = ("data", "model_data", "pickled_model", "model_path", "saved_model_dir", "model_binary", "python_model",
          "code", "model_code_path", "model_config", "env", "state_dict", "tf_meta_graph", "weights")  # fmt: skip
_CODE = ("code", "model_code_path")


class MlflowModel:
    """Read an MLmodel file: `mlflow.pyfunc.load_model` imports the module it names and puts its code on the path."""

    card: ClassVar[Card] = Card(
        title="MLflow model",
        summary="Loader modules, code folders and paths that an MLmodel file names.",
        paper="MLflow model format; CVE-2024-37052 to CVE-2024-37061",
        suffixes=("mlmodel",),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the name."""
        return blob.name == "mlmodel"

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - text has no parts
        """Read the flavours."""
        read = read_text(blob, limits)
        references: tuple[Reference, ...] = ()
        problems: tuple[Problem, ...] = ()
        try:
            references = tuple(_references(document(read.text, limits)))
        except LimitExceeded:
            raise
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            message = f"not YAML: {' '.join(str(error).split())[:200]}"
            problems = (Problem(kind="malformed", message=message),)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="mlflow_model",
            size=blob.size,
            digest=read.digest,
            references=references,
            problems=problems,
        )


def _references(content: object) -> Iterator[Reference]:
    flavours = content.get("flavors") if isinstance(content, dict) else None
    for name, flavour in flavours.items() if isinstance(flavours, dict) else ():
        if not isinstance(flavour, dict):
            continue
        loader = flavour.get("loader_module")
        if isinstance(loader, str) and loader != "mlflow" and not loader.startswith("mlflow."):
            yield Reference(kind="named-import", value=f"{name}.loader_module: {loader}")
        for key in _PATHS:
            value = flavour.get(key)
            if not isinstance(value, str) or value in ("", "null", "None", "~"):
                continue
            if key in _CODE:
                yield Reference(kind="brings-code", value=f"{name}.{key}: {value}")
            if value.startswith(("/", "\\", "~")) or ".." in value.replace("\\", "/").split("/") or "://" in value:
                yield Reference(kind="named-path", value=f"{name}.{key}: {value}")
