"""What settings in JSON or YAML would have a loader look up, render, import or read, gathered node by node."""

from __future__ import annotations

import re

import msgspec

from hauberk.scanning.artifact import NOWHERE, Artifact, Blob, Descend, Lookup, Note, Place, Problem, Reference
from hauberk.scanning.keras_configs import KerasFacts, Payload, is_keras, keras_facts
from hauberk.scanning.settings_pairs import Entry, Pairs, Path, Tree, shortened, steps_to, worded

_MOST = 2_000
_SHORTEST = 3
"""A vocabulary holds "{{}}" and "{{ }}"; an expression holds more."""
_BRACES = (("{{", "}}"), ("{%", "%}"))
_CHAT_WORDS = re.compile(r"\b(?:messages|add_generation_prompt|bos_token|eos_token|raise_exception)\b")
_CHAT_KEYS = frozenset({"chat_template", "default_chat_template", "additional_chat_templates"})
_TARGET_KEYS = ("_target_", "_target")
_BY_PATH = re.compile(r"(?:hydra\.utils|hydra\._internal\.utils)\.(?:get_\w+|_locate)|pydoc\.locate")
_JSONPICKLE = ("py/object", "py/function", "py/type", "py/repr", "py/method", "py/class", "py/mod")
_TEXT_BYTES = 1 << 20
_LOCATED = 50


def has_template(text: str) -> bool:
    """Tell text with a Jinja expression or statement in it, in linear time."""
    for opening, closing in _BRACES:
        start = text.find(opening)
        stop = text.find(closing, start + 2) if start >= 0 else -1
        if stop - start > _SHORTEST and text[max(0, start - 1) : start] != "$":
            return True
    return False


def is_chat_text(text: str) -> bool:
    """Tell a chat template by the names it uses."""
    return has_template(text) and _CHAT_WORDS.search(text) is not None


def template_kind(text: str, *, named: bool) -> str:
    """Say whether a text is a tokenizer's "chat" template by its key, a "prompt" by its own words, or any "text"."""
    return "chat" if named else "prompt" if is_chat_text(text) else "text"


class SettingsFacts:
    """A growing list of facts; every kind is bounded, and what does not fit is said."""

    def __init__(self, text: str) -> None:
        self._chat = "chat_template" in text or "\\u00" in text or "\\x" in text
        self.lookups: list[Lookup] = []
        self.references: list[Reference] = []
        self.notes: list[Note] = []
        self.payloads: list[Payload] = []
        self.problems: list[Problem] = []
        self._keras = False

    def artifact(self, blob: Blob, form: str, digest: str, descend: Descend) -> Artifact:
        """Make the artifact of what was taken; payloads are handed on."""
        parts = [part for payload in self.payloads for part in descend(payload.name, payload.data)]
        return Artifact(
            path=blob.path,
            part=blob.part,
            format=form,
            size=blob.size,
            digest=digest,
            lookups=tuple(self.lookups),
            references=tuple(self.references),
            notes=tuple(self.notes),
            problems=tuple(self.problems),
            parts=tuple(parts),
        )

    def take(self, entry: Entry) -> None:
        """Read one node."""
        if len(self.lookups) + len(self.references) + len(self.notes) > _MOST:
            if not any(problem.kind == "limit" for problem in self.problems):
                self.problems.append(Problem(kind="limit", message=f"more than {_MOST} facts; the rest was not judged"))
            return
        if isinstance(entry.value, Pairs):
            self._mapping(entry, entry.value)
        elif isinstance(entry.value, str):
            self._text(entry, entry.value)

    def take_raw(self, text: str) -> None:
        """Read text that is no settings after all: where it holds a template it is judged as one."""
        if has_template(text):
            self._template("", text[:_TEXT_BYTES], NOWHERE, chat=False)

    def locate(self, text: str) -> None:
        """Give facts without a line the line where the text first names them."""
        for index, fact in enumerate(self.lookups[:_LOCATED]):
            if fact.place == NOWHERE and (start := text.find(fact.name)) >= 0 and fact.name:
                place = Place(line=text.count("\n", 0, start) + 1)
                self.lookups[index] = msgspec.structs.replace(fact, place=place)

    def _mapping(self, entry: Entry, mapping: Pairs) -> None:
        self._keras = self._keras or is_keras(mapping)
        if self._keras:
            self._add(keras_facts(entry))
        for key, value in mapping:
            if key in _TARGET_KEYS and isinstance(value, str):
                self.lookups.append(_target(entry, mapping, value))
            elif key in _JSONPICKLE and isinstance(value, str):
                self.lookups.append(_pickled(entry, key, value))
            elif key in ("py/reduce", "__reduce__"):
                self._reduced(entry, key, value)
            elif key == "auto_map" and isinstance(value, Pairs):
                self._auto_map(value)

    def _add(self, found: KerasFacts) -> None:
        self.lookups.extend(found.lookups)
        self.references.extend(found.references)
        self.payloads.extend(found.payloads)

    def _text(self, entry: Entry, value: str) -> None:
        if self._keras:
            self._add(keras_facts(entry))
        chat = self._chat and _is_chat(entry.path)
        if chat or has_template(value):
            self._template(worded(entry.path), value, NOWHERE, chat=chat)

    def _template(self, where: str, text: str, place: Place, *, chat: bool) -> None:
        kind = template_kind(text, named=chat)
        self.notes.append(Note(name=f"template:{kind}:{where}", text=text, place=place))

    def _reduced(self, entry: Entry, key: str, value: Tree) -> None:
        """Read a reduction: what is called comes first; jsonpickle wraps it in a mapping of its own."""
        called = value[0] if isinstance(value, list) and value else None
        name = called if isinstance(called, str) else next(iter(_names_in(called)), "")
        if not name and key == "py/reduce":
            name = "<computed>"
        if name:
            self.lookups.append(_pickled(entry, key, name, shortened(value)))

    def _auto_map(self, mapping: Pairs) -> None:
        for name, value in mapping:
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, str):
                    fact = Reference(kind="remote-code", value=f"{name}: {item}")
                    self.references.append(fact)


def _is_chat(path: Path) -> bool:
    """Tell by the keys that lead here whether a text is a chat template; names of templates are none."""
    steps = steps_to(path, 6)
    if not steps or steps[0] == "name":
        return False
    last = steps[0]
    named = isinstance(last, str) and (last in _CHAT_KEYS or last.endswith("chat_template"))
    return named or any(step in _CHAT_KEYS for step in steps[1:])


def split(dotted: str) -> tuple[str, str]:
    """Part a dotted name into module and last name."""
    module, _, name = dotted.strip().rpartition(".")
    return module, name


def _target(entry: Entry, mapping: Pairs, value: str) -> Lookup:
    """Read a Hydra target; one that looks another name up stands for that name."""
    called = value
    if _BY_PATH.fullmatch(value.strip()) and mapping.text("path"):
        called = mapping.text("path")
    module, name = split(called)
    rest = Pairs([(key, item) for key, item in mapping if key not in _TARGET_KEYS])
    return Lookup(
        kind="hydra",
        module=module,
        name=name,
        verb="target",
        arguments=shortened(rest) if rest.items else "",
        where=worded(entry.path),
    )


def _pickled(entry: Entry, key: str, value: str, arguments: str = "") -> Lookup:
    module, name = split(value.replace("/", ".")) if key != "py/repr" else ("", value[:200])
    return Lookup(
        kind="jsonpickle",
        module=module,
        name=name,
        verb=key,
        arguments=arguments,
        where=worded(entry.path),
    )


def _names_in(value: Tree) -> list[str]:
    return [item for _, item in value if isinstance(item, str)] if isinstance(value, Pairs) else []
