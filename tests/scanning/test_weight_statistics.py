"""Numbers among weights: planted oddities are named, what training and initialising give is quiet."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import pytest

RULE = "model.odd_weights"


def made(*tensors: tuple[str, str, tuple[int, ...], bytes]) -> bytes:
    header: dict[str, object] = {}
    body = b""
    for name, kind, shape, data in tensors:
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def matrix(rows: int, columns: int, seed: int = 0, scale: dict[int, float] | None = None) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0, 0.05) * (scale or {}).get(row, 1.0) for row in range(rows) for _ in range(columns)]


def packed(kind: str, values: list[float]) -> bytes:
    if kind == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    return struct.pack(f"<{len(values)}{ {'F64': 'd', 'F32': 'f', 'F16': 'e'}[kind] }", *values)


@pytest.mark.parametrize("kind", ["F64", "F32", "F16", "BF16"])
def test_a_class_apart_from_the_rest(scan_bytes, kind: str) -> None:
    shape = (10, 40)
    odd = made(("fc.weight", kind, shape, packed(kind, matrix(*shape, scale={7: 6.0}))))
    (found,) = scan_bytes("m.safetensors", odd).of(RULE)
    assert "row 7 of the last layer" in found.message
    assert (found.severity, found.confidence) == ("low", "low")
    plain = made(("fc.weight", kind, shape, packed(kind, matrix(*shape))))
    assert scan_bytes("m.safetensors", plain).findings == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.1] * 99 + [float("nan")], "1 of 100 values looked at are not finite"),
        ([0.1] * 99 + [float("-inf")], "1 of 100 values looked at are not finite"),
        ([0.1] * 99 + [3e9], "values as large as 3e+09"),
        ([0.25] * 100, "nothing but the number 0.25"),
    ],
)
def test_values_that_no_training_leaves(scan_bytes, values: list[float], words: str) -> None:
    (found,) = scan_bytes("m.safetensors", made(("a", "F32", (100,), packed("F32", values)))).of(RULE)
    assert words in found.message


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(3, 8), (10, 64), (1000, 16), (2048, 70)])
def test_random_rows_of_any_number_are_quiet(scan_bytes, shape: tuple[int, int], seed: int) -> None:
    data = made(("head.weight", "F32", shape, packed("F32", matrix(*shape, seed=seed))))
    assert scan_bytes("m.safetensors", data).findings == []


def test_biases_of_zero_and_scales_of_one_are_quiet(scan_bytes) -> None:
    parts = [("n.bias", "F32", (128,), bytes(512)), ("n.weight", "F32", (128,), packed("F32", [1.0] * 128))]
    parts += [("ids", "I64", (128,), struct.pack("<128q", *([7] * 128))), ("empty", "F32", (0, 4), b"")]
    assert scan_bytes("m.safetensors", made(*parts)).findings == []


def test_trained_models_are_quiet(scan_bytes) -> None:
    root = Path(__file__).resolve().parents[2] / "examples"
    models = sorted(root.rglob("*.safetensors"))
    assert models
    for path in models:
        assert scan_bytes("m.safetensors", path.read_bytes()).of(RULE) == []


def test_a_huge_table_costs_little(scan_bytes) -> None:
    shape = (200_000, 4)
    data = made(*[(f"layer{at}.weight", "F32", (4, 4), packed("F32", matrix(4, 4))) for at in range(3000)])
    assert scan_bytes("m.safetensors", data).of(RULE) == []
    wide = made(("lm_head.weight", "F16", shape, bytes(2) * 800_000))
    assert scan_bytes("m.safetensors", wide).of(RULE) == []
