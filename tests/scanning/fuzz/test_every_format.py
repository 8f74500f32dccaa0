"""Every format on disk reads every kind of broken file: no exception, no hang, whatever name the bytes come under.

`make fuzz` runs many more rounds (HAUBERK_FUZZ_ROUNDS).
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import struct
import tarfile
import zipfile
from functools import cache

import numpy as np
import pytest

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.core.plugins import catalog
from hauberk.scanning.blobs import MemberBlob
from hauberk.scanning.kit import tools

ROUNDS = int(os.environ.get("HAUBERK_FUZZ_ROUNDS", "2"))
LIMITS = Limits(nodes=20_000, seconds=3.0, member_bytes=1 << 20, total_bytes=4 << 20, members=200, depth=4)
READERS = dict(tools().formats)
RULES = [rule for name, rule in tools().rules if name.startswith(("model.", "deployment.", "dependencies."))]
CARDS = {entry.name: entry.card for entry in catalog("formats")}


@cache
def samples() -> dict[str, bytes]:
    """Small whole files of many kinds, and text that is nearly one."""
    import onnx
    import torch
    from safetensors.numpy import save
    from sklearn.linear_model import LogisticRegression

    made: dict[str, bytes] = {
        "m.pkl": pickle.dumps({"a": [1, "b", 2.5], "c": LogisticRegression()}, 4) + b"cos\nsystem\n(S'x'\ntR.",
        "m.safetensors": save({"a": np.zeros(3, np.float32)}),
        "m.json": json.dumps({"chat_template": "{{ messages }}", "auto_map": {"AutoModel": "a.B"}}).encode(),
        "m.yaml": b"a: &x [1, 2]\nb: *x\nc: !!python/object/apply:os.system ['x']\n_target_: os.system\n",
        "m.xml": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><net name='a'><layers>&b;</layers></net>",
        "Dockerfile": b"FROM a\nRUN curl x | sh\nUSER root\n",
        "pyproject.toml": b"[project]\ndependencies = ['a==1', 'b>=2; python_version>\"3\"']\n",
        "requirements.txt": b"a==1 --hash=sha256:00\n-r b.txt\n-e git+https://x/y#egg=z\n",
        "n.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": ["import os"], "outputs": []}]}).encode(),
    }
    stream = io.BytesIO()
    np.savez(stream, a=np.arange(4), b=np.array([{"x": 1}], dtype=object))
    made["m.npz"] = stream.getvalue()
    stream = io.BytesIO()
    torch.save({"w": torch.zeros(2)}, stream)
    made["m.pt"] = stream.getvalue()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("a.pkl")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"N."))
    made["m.tar"] = stream.getvalue()[:2048]
    made["m.gz"] = gzip.compress(b"N.", mtime=0)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": []}}))
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(88))
    made["m.keras"] = stream.getvalue()
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, [1])], [value("y", 1, [1])])
    made["m.onnx"] = onnx.helper.make_model(graph).SerializeToString()
    made["m.gguf"] = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 4) + b"name" + bytes(40)
    made["m.h5"] = b"\x89HDF\r\n\x1a\n" + bytes(range(200))
    return made


def broken(reader: str, seed: int) -> tuple[str, bytes]:
    """Make one hostile file for a reader: another's or its own beginning, cut, changed, repeated or lengthened."""
    rng = random.Random(f"{reader} {seed}")
    name, data = rng.choice(sorted(samples().items()))
    card = CARDS[reader]
    raw = bytearray(data)
    for _ in range(rng.randrange(5)):
        place = rng.randrange(len(raw) + 1)
        noise = rng.choice([rng.randbytes(rng.randrange(9)), b"\xff" * 8, b"\0" * 4, struct.pack("<Q", 1 << 62)])
        raw[place : place + rng.randrange(9)] = noise
    if card.begins and rng.random() < 0.5:
        first = rng.choice(card.begins)
        skip, text = (0, first) if isinstance(first, str) else first
        raw[:skip] = raw[:skip].ljust(skip, b"\0")
        raw[skip : skip + (len(text) if rng.random() < 0.5 else 0)] = text.encode("latin-1")
    if card.suffixes and rng.random() < 0.7:
        name = f"m{rng.choice(card.suffixes)}"
    cut = rng.randrange(len(raw) + 1) if rng.random() < 0.3 else len(raw)
    return name, bytes(raw[:cut]) * (rng.randrange(1, 50) if rng.random() < 0.1 else 1)


@pytest.mark.timeout(60 + 120 * ROUNDS)  # a hang, not a measure of speed
@pytest.mark.parametrize("reader", sorted(READERS))
def test_broken_files_are_read_to_an_end(reader: str) -> None:
    for seed in range(ROUNDS * 15):
        name, data = broken(reader, seed)
        blob = MemberBlob(name, "", data, LIMITS)
        parser = READERS[reader]
        try:
            parser.sniff(blob)
            artifact = parser.parse(blob, LIMITS, lambda name, data: ())
        except LimitExceeded:
            continue
        for part in artifact.walk():
            for rule in RULES:
                list(rule.check(part))


@pytest.mark.parametrize("reader", sorted(READERS))
def test_the_same_bytes_give_the_same_facts(reader: str) -> None:
    for seed in range(3):
        name, data = broken(reader, seed)
        seen = []
        for _ in range(2):
            try:
                seen.append(repr(READERS[reader].parse(MemberBlob(name, "", data, LIMITS), LIMITS, lambda n, d: ())))
            except LimitExceeded as error:
                seen.append(error.what)
        assert seen[0].replace("0x", "") == seen[1].replace("0x", "") or "object at" in seen[0]


@pytest.mark.parametrize("name", sorted(CARDS))
def test_a_card_says_how_its_files_are_known(name: str) -> None:
    card = CARDS[name]
    assert card.title
    assert card.summary
    assert not card.by_name or card.suffixes, "by_name needs the endings"
