"""A dependency is no longer maintained, or was renamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Requirement
from hauberk.scanning.release_index import release_index

YEARS = 3
"""Without a release a package counts as abandoned: security fixes of its own dependencies no longer reach it."""
ENDED = {
    "mxnet": "Apache retired it in 2023", "theano": "development ended in 2020", "chainer": "development ended in 2019",
    "torchtext": "development ended in 2024", "torchserve": "archived in 2025", "allennlp": "archived in 2022",
    "pytorch-pretrained-bert": "it became transformers", "pytorch-transformers": "it became transformers",
    "fbprophet": "it became prophet", "tensorflow-gpu": "it became tensorflow, and is an empty package since 2.12",
    "tensorflow-addons": "development ended in 2024", "sklearn": "it is an empty package; scikit-learn is meant",
    "pinecone-client": "it became pinecone", "google-generativeai": "it became google-genai",
    "pypdf2": "it became pypdf",
    "nose": "development ended in 2015",
    "pycrypto": "development ended in 2014; pycryptodome replaces it",
    "keras-core": "it became keras 3", "fairseq": "development ended in 2023", "gym": "it became gymnasium",
    "tflite-runtime": "it became ai-edge-litert", "plaidml": "development ended in 2021",
}  # fmt: skip
"""What is widely known to have ended; the rest is known only after `hauberk update --releases`."""


class Abandoned:
    """Find packages whose development ended, or that had no release for years.

    What: nobody publishes fixes any more. Why: the next hole in it stays open, and its name may be taken over. Days of
    releases are known only where `hauberk update --releases` asked an index.

    Bad: `gym==0.26.2`. Good: `gymnasium==1.0.0`. Fix: move to the successor.
    """

    card: ClassVar[Card] = Card(
        title="Abandoned dependency",
        summary="A dependency is no longer maintained, or was renamed.",
        paper="CWE-1104; OWASP LLM03",
        threats=("CWE-1104", "OWASP-LLM03"),
        severity="low",
        reads=("requirements",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every package once a file."""
        index, seen = release_index(), set[str]()
        for item in artifact.requirements:
            if not item.name or item.name in seen:
                continue
            seen.add(item.name)
            why = ENDED.get(item.name, "")
            listing = index.of(item.name)
            last = listing.last_day if listing is not None else None
            if not why and listing is not None and last is not None:
                years = (listing.asked_on - last).days / 365.25
                why = f"its last release is of {last}" if years > YEARS else ""
            if why:
                yield _draft(item, why)


def _draft(item: Requirement, why: str) -> Draft:
    return Draft(
        message=f"{item.name} is no longer maintained: {why}",
        fix="move to its successor, or take over its maintenance",
        confidence="medium",
        place=item.place,
    )
