"""Downloading the model or data set that a user or a language model names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Value
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_LOADS = frozenset(
    ["huggingface_hub.hf_hub_download", "huggingface_hub.snapshot_download", "datasets.load_dataset",
     "sentence_transformers.SentenceTransformer", "sentence_transformers.CrossEncoder", "torch.hub.load", "vllm.LLM",
     "mlflow.pyfunc.load_model", "transformers.pipeline", "spacy.load", "timm.create_model", "ollama.pull",
     "tensorflow_hub.load", "kagglehub.model_download", "whisper.load_model", "diffusers.DiffusionPipeline"]
)  # fmt: skip


class UntrustedModelChoice:
    """Follow what a user sends, or a model answers, into the name of a model or data set that is then downloaded.

    The attacker publishes a repository whose pickles or code run when it is loaded, or one so large that the disk
    fills. Offer a table of reviewed models, each with its commit.

    Bad:

        pipeline("text-generation", model=request.json["model"])

    Good:

        pipeline("text-generation", model=OFFERED[request.json["model"]], revision=...)
    """

    card: ClassVar[Card] = Card(
        title="Untrusted model choice",
        summary="What a user sends chooses which model or data set is downloaded and loaded.",
        paper="CWE-829, CWE-494; OWASP LLM03; MITRE ATLAS AML.T0010",
        threats=("CWE-829", "CWE-494", "OWASP-LLM03", "AML.T0010"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the name in every call that downloads."""
        for site in program_of(artifact).calls:
            if site.path not in _LOADS and site.tail != "from_pretrained":
                continue
            value = _named(site)
            taint = value.tainted("request", "path") or value.tainted("model", "path")
            if taint is not None and "types input()" not in taint.origin:
                yield tainted_draft(
                    site.place,
                    taint,
                    sink_of(site),
                    "what others send chooses which model or data set is downloaded",
                    "choose from a table of reviewed models, each pinned to a commit",
                    "high",
                )


def _named(site: CallSite) -> Value:
    if site.path == "transformers.pipeline":
        return site.keyword("model") or site.argument(1)
    if site.path == "vllm.LLM":
        return site.argument(0, "model")
    return site.argument(0, "repo_id") if site.arguments else next((value for _, value in site.keywords), Value())
