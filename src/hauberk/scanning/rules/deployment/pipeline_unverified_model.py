"""A pipeline passes a model on that nobody has looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Instruction

_CHECKED = re.compile(
    r"\bhauberk\b|\bcosign\b|\bsha(?:256|512)sum\b|\bb3sum\b|\bmodel[_-]signing\b|\bmodelscan\b|\bpicklescan\b|\bfickling\b|\bmodelaudit\b"
    r"|\bgpg\s+--verify|\bgh\s+attestation\s+verify"
)
_MODEL_FILE = r"[\w./${}-]*\.(?:pt|pth|bin|pkl|joblib|onnx|safetensors|gguf|h5|keras|ckpt|tar\.gz)\b"
_UPLOAD = re.compile(
    rf"\b(?:huggingface-cli|hf)\s+upload\b|\b(?:aws\s+s3|gsutil|gcloud\s+storage)\s+cp\b[^\n]{{0,500}}{_MODEL_FILE}|\bdvc\s+push\b"
    rf"|\bgh\s+release\s+(?:upload|create)\b[^\n]{{0,500}}{_MODEL_FILE}"
)
_DOWNLOAD = re.compile(
    rf"\b(?:huggingface-cli|hf)\s+download\b(?![^\n]{{0,500}}--revision[ =][0-9a-f]{{40}})|\b(?:wget"
    rf"|curl)\b[^\n]{{0,500}}{_MODEL_FILE}"
)


class PipelineUnverifiedModel:
    """Find pipelines that publish a model, or fetch one, without scanning, sealing or verifying it.

    What: `huggingface-cli upload`, `aws s3 cp model.pt`, `mlflow … register`, `wget …/model.bin`, and no check in
    the file.
    Why: the pipeline is where a poisoned model gets your name, and where a replaced one enters.
    Bad: `hf download org/model` of whatever the branch holds today.
    Good: `hf download org/model --revision <commit>`, `hauberk scan`, `hauberk verify` before anything is loaded.
    Fix: scan before upload, pin and verify after download.
    """

    card: ClassVar[Card] = Card(
        title="Unverified model in a pipeline",
        summary="A pipeline publishes or fetches a model and never checks it.",
        paper="CWE-494, CWE-353; OWASP LLM03; MITRE ATLAS AML.T0010.003",
        threats=("CWE-494", "CWE-353", "OWASP-LLM03", "AML.T0010"),
        severity="low",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the commands of a pipeline together."""
        if not any(document.kind in ("workflow", "gitlab", "action") for document in artifact.documents):
            return
        runs = [item for item in artifact.instructions if item.keyword == "RUN"]
        if any(_CHECKED.search(item.value) for item in runs):
            return
        for item in runs:
            yield from _judge(item)


def _judge(item: Instruction) -> Iterator[Draft]:
    if _UPLOAD.search(item.value):
        yield Draft(message="a model is published that nobody scanned or sealed", fix=_UP, place=item.place)
    if _DOWNLOAD.search(item.value):
        yield Draft(message="a model is fetched and used unverified", fix=_DOWN, place=item.place)


_UP = "run hauberk scan and hauberk seal before it"
_DOWN = "pin the revision, and verify the digest or the seal"
