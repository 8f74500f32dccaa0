"""What a keras configuration names: layers and functions to look up, code to unmarshal, pickles, files to read."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

from hauberk.scanning.artifact import Lookup, Reference
from hauberk.scanning.marshal_code import described
from hauberk.scanning.settings_pairs import Entry, Pairs, Path, Tree, shortened, worded

_PATH_KEYS = frozenset(
    """vocabulary idf_weights filepath file_path filename file_name path file url origin uri fname cache_dir
    weights_path backup_dir log_dir vocabulary_path merges vocabulary_file proto asset asset_path model_path
    saved_model_path export_dir weights_file""".split()  # noqa: SIM905
)
_LEADS_OUT = re.compile(r"[/\\~]|[A-Za-z]:[/\\]|[A-Za-z][A-Za-z0-9+.-]*:/|(.*[/\\])?\.\.([/\\]|$)")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]{24,}+={0,2}+\s*+")
_PAYLOADS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_NODE_OP = re.compile(r"""['"]?\bop['"]?\s*[:=]\s*['"](\w{1,80})['"]""")
_LONGEST = 64 << 20
_RESERVED = frozenset(
    {"__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__typespec__", "__tuple__", "__bool__", "__complex__",
     "__slice__", "__keras_tensor__", "__dict__", "TensorShape", "CompositeTensor", "slice", "KerasTensor"}
)  # fmt: skip


class Payload(NamedTuple):
    """Bytes that a configuration carries as text, to be read by whichever format knows them."""

    name: str
    data: bytes


class KerasFacts(NamedTuple):
    """What one mapping says."""

    lookups: tuple[Lookup, ...] = ()
    references: tuple[Reference, ...] = ()
    payloads: tuple[Payload, ...] = ()


def is_keras(mapping: Pairs) -> bool:
    """Tell a serialised keras object: a class name, and a configuration or a module."""
    names = {name for name, _ in mapping}
    return bool(mapping.text("class_name")) and bool(names & {"config", "module", "registered_name"})


def keras_facts(entry: Entry) -> KerasFacts:
    """Read one node of a configuration; most say nothing."""
    value = entry.value
    if isinstance(value, str):
        return _text(entry, value)
    if not isinstance(value, Pairs):
        return KerasFacts()
    lookups = tuple(_lookups(entry.path, value)) if is_keras(value) else ()
    switched = [value_ for name, value_ in value if name == "safe_mode"]
    if any(item is False or item == "false" for item in switched):
        lookups += (Lookup(kind="keras", module="", name="safe_mode", verb="switch", where=worded(entry.path)),)
    return KerasFacts(lookups=lookups)


def _lookups(path: Path, mapping: Pairs) -> Iterator[Lookup]:
    """Read one serialised object; repeated keys are each somebody's reading, so every combination of names counts."""
    where = worded(path)
    configs = [value for name, value in mapping if name == "config"] or [None]
    modules = {value for name, value in mapping if name == "module" and isinstance(value, str)} or {""}
    names = {value for name, value in mapping if name == "class_name" and isinstance(value, str)}
    registered = mapping.text("registered_name")
    for config in configs:
        for name in sorted(names):
            if name in ("__lambda__", "Lambda"):
                yield from _code(name, config, where)
            if name in ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer") and isinstance(config, Pairs):
                yield from _operator(config, where)
            if name in _RESERVED or name == "__lambda__":
                continue
            for module in sorted(modules):
                if name == "function":
                    called = config if isinstance(config, str) else registered
                    yield Lookup(kind="keras", module=module, name=called or "<nameless>", verb="function", where=where)
                else:
                    verb = "registered" if ">" in registered or ">" in name else "class"
                    shown = shortened(config)
                    yield Lookup(kind="keras", module=module, name=name, verb=verb, arguments=shown, where=where)


def _code(name: str, config: Tree, where: str) -> Iterator[Lookup]:
    """Yield the marshalled function of a Lambda layer in both of its spellings, or the name of one given by name."""
    if not isinstance(config, Pairs):
        return
    if name == "__lambda__":
        yield _lambda(config.get("code") if config.get("code") is not None else config.get("value"), where)
        return
    for key in ("function", "output_shape", "mask"):
        function = _untupled(config.get(key))
        kind = config.text(f"{key}_type")
        if isinstance(function, Pairs):
            continue
        if isinstance(function, list) and function and isinstance(function[0], str) and (key == "function" or kind):
            yield _lambda(function[0], where)
        elif isinstance(function, str) and (kind == "lambda" or not function.replace(".", "_").isidentifier()):
            yield _lambda(function, where)
        elif isinstance(function, str) and key == "function":
            module = config.text("module")
            yield Lookup(kind="keras", module=module, name=function, verb="function", where=where)


def _untupled(value: Tree) -> Tree:
    """Undo keras' spelling of a tuple in JSON."""
    if isinstance(value, Pairs) and value.text("class_name") == "__tuple__":
        return value.get("items") or value.get("config")
    return value


def _operator(config: Pairs, where: str) -> Iterator[Lookup]:
    """Yield the TensorFlow function or operator that a layer made from an expression calls."""
    function = config.text("function")
    if function:
        yield Lookup(kind="keras", module="tensorflow", name=function, verb="function", where=where)
    node = config.get("node_def")
    shown = node if isinstance(node, str) else shortened(node, 4096)
    for found in _NODE_OP.findall(shown)[:8]:
        yield Lookup(kind="keras", module="tensorflow.raw_ops", name=found, verb="function", where=where)


def _lambda(code: Tree, where: str) -> Lookup:
    """Describe marshalled code without running it; name: the identifiers it uses, empty where it was not readable."""
    raw = _decoded(code) if isinstance(code, str) else b""
    if isinstance(code, list) and code and isinstance(code[0], str):
        raw = _decoded(code[0])
    found = described(raw)
    name = " ".join(found.names[:200])
    verb = "lambda" if found.whole else "unreadable lambda"
    return Lookup(kind="keras", module="", name=name, verb=verb, arguments=found.constants, where=where)


def _decoded(text: str) -> bytes:
    """Decode base64 as keras does, which passes over what does not belong; older keras wrote the bytes as they are."""
    if len(text) > _LONGEST:
        return b""
    if _BASE64.fullmatch(text) is None:
        try:
            return _raw(text)
        except UnicodeError:
            return text.encode("utf-8", "replace")
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "===")
    except (binascii.Error, ValueError):
        return b""


def _raw(text: str) -> bytes:
    """Undo the raw-unicode-escape by which keras 1 and 2.0 wrote code."""
    return text.encode("raw_unicode_escape")


def _text(entry: Entry, value: str) -> KerasFacts:
    key = entry.key.lower() if entry.path is not None and isinstance(entry.path[1], str) else ""
    if key in _PATH_KEYS and len(value) < 4096 and (_LEADS_OUT.match(value) or key in ("filepath", "origin")):
        return KerasFacts(references=(Reference(kind="keras-path", value=f"{worded(entry.path)}: {value}"),))
    if len(value) < 24 or len(value) > _LONGEST or _BASE64.fullmatch(value) is None:
        return KerasFacts()
    data = _decoded(value)
    if data.startswith(_PAYLOADS):
        return KerasFacts(payloads=(Payload(f"{worded(entry.path).replace('!', '_')}.bin", data),))
    return KerasFacts()
