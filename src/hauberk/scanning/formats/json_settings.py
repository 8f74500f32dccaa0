"""JSON that travels with a model: keras configurations, chat templates, objects that a loader would make."""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Problem
from hauberk.scanning.settings_facts import SettingsFacts, has_template
from hauberk.scanning.settings_pairs import entries, json_tree
from hauberk.scanning.text import is_text, read_text
from hauberk.scanning.watch import Watch

_KEYS = re.compile(
    r'"(?:class_name|auto_map|_target_?|py/[a-z/]+|__reduce__|safe_mode|additional_chat_templates)"|_template"|\\u00[2-7]'
)
"""Keys worth parsing a file for. An escaped ASCII letter could spell any of them."""
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_MODELS_OWN = re.compile(
    r"(?:config|tokenizer|tokenizer_config|chat_template|generation_config|processor_config|preprocessor_config"
    r"|special_tokens_map|adapter_config|model_config|training_config)\.json"
)


class JsonSettings:
    """Parse JSON whole, keeping repeated keys, and state what it would have a loader look up, run or render."""

    card: ClassVar[Card] = Card(
        title="JSON settings",
        summary="Keras configurations, tokenizer and processor settings, chat templates, jsonpickle, in any JSON file.",
        paper="keras serialization_lib; Hugging Face tokenizer_config.json; jsonpickle tags",
        suffixes=(".json",),
        begins=("{", "[", "\n{", "\xef\xbb\xbf{", "\xff\xfe{"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept the ending, or text that begins as an object or list."""
        if blob.name.endswith((".ipynb", ".jsonl", ".geojson", ".ndjson")):
            return False
        head = blob.head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00")
        return is_text(blob.head) and (blob.name.endswith(".json") or head.startswith((b"{", b"[")))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:
        """Read the text; most JSON says nothing of interest and is not even parsed."""
        read = read_text(blob, limits)
        facts = SettingsFacts(read.text)
        model = _MODELS_OWN.fullmatch(blob.name) is not None
        if _worth_reading(read.text) or (model and not _well_formed(read.data)):
            try:
                tree = json_tree(read.text)
                for entry in entries(tree, Watch(limits)):
                    facts.take(entry)
            except LimitExceeded as error:
                facts.problems.append(Problem(kind="limit", message=error.what))
            except ValueError as error:
                facts.take_raw(read.text)
                if model:
                    message = f"no well-formed JSON: {str(error)[:100]}"
                    facts.problems.append(Problem(kind="malformed", message=message))
        facts.locate(read.text)
        return facts.artifact(blob, "json_settings", read.digest, descend)


def _worth_reading(text: str) -> bool:
    """Find a key that matters, or a template inside one text, in time linear in the text."""
    if _KEYS.search(text):
        return True
    braces = "{{" in text or "{%" in text
    return braces and any(has_template(found.group()) for found in _STRING.finditer(text))


def _well_formed(data: bytes) -> bool:
    """Check JSON without building it."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
