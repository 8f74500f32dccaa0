"""The settings of a Hugging Face repository: which code, modules and other repositories loading it would bring in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Problem, Reference
from hauberk.scanning.settings_pairs import Pairs, Tree, json_tree
from hauberk.scanning.text import read_text

_NAMES = (
    "config.json", "tokenizer_config.json", "adapter_config.json", "model_index.json", "modules.json",
    "processor_config.json", "preprocessor_config.json", "generation_config.json", "config_sentence_transformers.json",
)  # fmt: skip
_LIBRARIES = frozenset({"diffusers", "transformers", "sentence_transformers", "peft", "optimum", "onnxruntime", "flax"})
_KERNEL = re.compile(r"[\w.-]+/[\w.-]+(?:[@:][\w.:-]+)?")


class HuggingfaceSettings:
    """Read what a repository's own settings have its loader import, and where the rest of the model comes from.

    auto_map and chat templates are the business of the JSON format; here is what only these files mean.
    """

    card: ClassVar[Card] = Card(
        title="Hugging Face settings",
        summary="Custom pipelines, modules, kernels and base models named in config.json, model_index.json and others.",
        paper="transformers dynamic_module_utils; diffusers pipeline_loading_utils; peft AutoPeftModel",
        suffixes=("config.json", "model_index.json", "modules.json", "config_sentence_transformers.json"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the names such files have."""
        return blob.name in _NAMES

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - text has no parts
        """Read the top level; malformed JSON is told by the JSON format."""
        read = read_text(blob, limits)
        references: tuple[Reference, ...] = ()
        problems: tuple[Problem, ...] = ()
        try:
            references = tuple(_references(blob.name, json_tree(read.text)))
        except ValueError:
            pass
        except LimitExceeded as error:
            problems = (Problem(kind="limit", message=error.what),)
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="huggingface_settings",
            size=blob.size,
            digest=read.digest,
            references=references,
            problems=problems,
        )


def _references(name: str, tree: Tree) -> Iterator[Reference]:
    if name == "modules.json" and isinstance(tree, list):
        for item in tree:
            if isinstance(item, Pairs):
                yield from _module("type", item.text("type"))
                yield from _path("path", item.text("path"))
    if not isinstance(tree, Pairs):
        return
    if name == "model_index.json":
        yield from _pipeline(tree)
    if name == "adapter_config.json":
        yield from _adapter(tree)
    yield from _general(tree)


def _general(tree: Pairs) -> Iterator[Reference]:
    pipelines = tree.get("custom_pipelines")
    for name, value in pipelines if isinstance(pipelines, Pairs) else ():
        code = value.text("impl") if isinstance(value, Pairs) else ""
        yield Reference(kind="remote-code", value=f"custom_pipelines.{name}: {code}")
    for key, value in tree:
        if key in ("trust_remote_code", "_trust_remote_code") and value is True:
            yield Reference(kind="trusts-code", value=key)
        named = key in ("attn_implementation", "_attn_implementation") and isinstance(value, str)
        if named and _KERNEL.fullmatch(str(value).removeprefix("paged|")):
            yield Reference(kind="remote-kernel", value=f"{key}: {value}")


def _pipeline(tree: Pairs) -> Iterator[Reference]:
    """Read a pipeline: each part is [library, class], where a library of no such name is a file of the repository."""
    for name, value in tree:
        if not isinstance(value, list) or not value or not isinstance(value[0], str):
            continue
        if value[0].partition(".")[0] not in _LIBRARIES:
            yield Reference(kind="remote-code", value=f"{name}: {value[0]}.{value[1] if len(value) > 1 else ''}")


def _adapter(tree: Pairs) -> Iterator[Reference]:
    mapping = tree.get("auto_mapping")
    if isinstance(mapping, Pairs):
        yield from _module("auto_mapping.parent_library", mapping.text("parent_library"))
    yield from _path("base_model_name_or_path", tree.text("base_model_name_or_path"), relative=True)


def _module(key: str, dotted: str) -> Iterator[Reference]:
    if dotted and dotted.partition(".")[0] not in _LIBRARIES:
        yield Reference(kind="named-import", value=f"{key}: {dotted}")


def _path(key: str, value: str, *, relative: bool = False) -> Iterator[Reference]:
    """State a path that leads out of the repository, or, of a base model, one that climbs or names an address."""
    climbs = ".." in value.replace("\\", "/").split("/")
    if climbs or "://" in value or (not relative and value.startswith(("/", "\\", "~"))):
        yield Reference(kind="named-path", value=f"{key}: {value}")
