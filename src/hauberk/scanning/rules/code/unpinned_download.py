"""Downloading a model or data set whose content may change under the same name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import UNKNOWN, CallSite, Value

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FIRST = {
    "huggingface_hub.hf_hub_download": "repo_id", "huggingface_hub.snapshot_download": "repo_id",
    "huggingface_hub.cached_download": "url", "datasets.load_dataset": "path",
    "sentence_transformers.SentenceTransformer": "model_name_or_path",
    "sentence_transformers.CrossEncoder": "model_name",
}  # fmt: skip
_LOCAL_BUILDERS = frozenset(
    ["csv", "json", "parquet", "text", "arrow", "pandas", "xml", "webdataset", "imagefolder", "audiofolder"]
)
_LOCAL = re.compile(
    r"[./~\\]|[A-Za-z]:[\\/]|(\{\})?/|(model|models|checkpoint|checkpoints|output|outputs|results|data)/"
)
_FILE = re.compile(r".*\.(safetensors|bin|pt|pth|gguf|json|py|onnx|zip|csv|parquet)")
_LOCAL_PATHS = (
    "os.path.",
    "pathlib.",
    "tempfile.",
    "huggingface_hub.snapshot_download",
    "huggingface_hub.hf_hub_download",
)


class UnpinnedDownload:
    """Find downloads from a model hub without a commit: from_pretrained, hf_hub_download, load_dataset and the like.

    A branch moves: the owner of the repository, or whoever takes the account over, changes your model tomorrow, and no
    run can be repeated. Pass `revision="<40-digit commit>"`, or download once and load from the project's own store.

    Bad:

        SentenceTransformer("all-MiniLM-L6-v2")

    Good:

        SentenceTransformer("all-MiniLM-L6-v2", revision="<40 hexadecimal digits>")
    """

    card: ClassVar[Card] = Card(
        title="Unpinned download",
        summary="A model or data set is fetched by name without a commit, so that its content may change.",
        paper="CWE-494, CWE-1357; OWASP LLM03; MITRE ATLAS AML.T0010",
        threats=("CWE-494", "OWASP-LLM03", "AML.T0010"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that downloads."""
        for site in program_of(artifact).calls:
            source = _source(site)
            if source is None or site.open or _is_local(source) or site.says("local_files_only") is True:
                continue
            revision = site.keyword("revision")
            if revision is not None and (revision.constant is UNKNOWN or _is_commit(revision)):
                continue
            named = isinstance(source.constant, str)
            what = f"{source.constant!r}" if named else "what a variable names"
            moving = revision is not None and revision.constant is not None
            how = "without a revision"
            if revision is not None and moving:
                how = f"at {revision.constant!r}, which can move"
            yield Draft(
                message=f"{site.tail} fetches {what} {how}",
                fix='pin the commit: revision="<40 hexadecimal digits>"',
                severity="low" if moving or not named or site.path.startswith(":") else "medium",
                confidence="high" if named else "low",
                place=site.place,
            )


def _source(site: CallSite) -> Value | None:
    """Return what a call downloads, None where it downloads nothing."""
    if site.tail == "from_pretrained" and not site.path.startswith("str."):
        source = site.argument(0, "pretrained_model_name_or_path")
        return source if source != Value() else None
    if site.path == "transformers.pipeline":
        return site.keyword("model") or (site.arguments[1] if len(site.arguments) > 1 else None)
    first = _FIRST.get(site.path)
    if first is None:
        return None
    source = site.argument(0, first)
    builder = isinstance(source.constant, str) and source.constant in _LOCAL_BUILDERS
    return None if builder else source


def _is_local(source: Value) -> bool:
    text = source.constant if isinstance(source.constant, str) else source.text
    if text and (_LOCAL.match(text) or _FILE.fullmatch(text) or text.count("/") > 1):
        return "://" not in text
    if source.constant is not UNKNOWN and not isinstance(source.constant, str):
        return True  # a number, or None
    return source.path.startswith(_LOCAL_PATHS) or source.path.endswith("()") or "dir" in source.path.lower()


def _is_commit(revision: Value) -> bool:
    return isinstance(revision.constant, str) and _COMMIT.fullmatch(revision.constant) is not None
