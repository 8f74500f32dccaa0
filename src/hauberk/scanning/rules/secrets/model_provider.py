"""A key of a model provider, hub, vector store or experiment tracker is written in a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.secret_drafts import secret_drafts


class ModelProvider:
    """Find keys of some forty providers of models, vector stores and trackers, by prefix, length and alphabet.

    What: a key of OpenAI, Anthropic, Hugging Face, Google, Groq, Replicate, Pinecone, Weights & Biases, … as text.
    Why: whoever reads the repository, a notebook's output or an image spends your money, reads your prompts and
    replaces your models.
    Bad: `client = OpenAI(api_key="sk-…")`.
    Good: `client = OpenAI()`, with OPENAI_API_KEY in the environment.
    Fix: revoke it; history keeps it even after it is deleted from the file (`hauberk scan --history`).
    """

    card: ClassVar[Card] = Card(
        title="Model provider key",
        summary="A key of a model provider, hub, vector store or experiment tracker is written in a file.",
        paper="CWE-798; OWASP LLM02; MITRE ATLAS AML.T0012",
        threats=("CWE-798", "OWASP-LLM02", "AML.T0012"),
        severity="high",
        reads=("source", "notes", "references"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Look through every text of the artifact."""
        yield from secret_drafts(artifact, "model_provider", "high")
