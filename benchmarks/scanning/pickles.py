"""How many hostile pickles are flagged, how many benign ones are left alone, and how long does one take, us and peers?

    python benchmarks/scanning/pickles.py [python of an environment with picklescan, fickling, modelscan, modelaudit]

Writes a corpus into a temporary folder, from a table of gadgets and a sample of acting functions (_gadgets.py), a dozen
ways to spell a call in opcodes, a dozen containers, and the frameworks installed here for the benign side. Nothing
hostile is ever loaded. Every file is judged by us and by whichever peer can be imported; the start-up of each command
is timed on one tiny file in turns. Home advantage: the corpus and its labels are ours, and our lists were improved on
it; `sampled` gadgets were picked by chance, not by us. A file counts as flagged from severity high.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from _gadgets import KNOWN, sampled

from hauberk.core.evidence import Finding, Skipped, severity_rank
from hauberk.scanning.engine import scan

ROUNDS = 7
HERE = Path(__file__).resolve()
RESULT = HERE.parents[1] / "results" / "scanning_pickles.json"
SAMPLE = 100
QUIET = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1"}
"""Peers that report home would be timed on that."""
Build = Callable[[str, str], bytes]


# --- opcodes


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def data(value: bytes) -> bytes:
    """BINBYTES."""
    return b"B" + struct.pack("<I", len(value)) + value


def split(dotted: str) -> tuple[str, str]:
    """Divide a gadget into module and name; a colon says where, else the last dot does."""
    module, colon, name = dotted.partition(":")
    return (module, name) if colon else tuple(dotted.rsplit(".", 1))  # type: ignore[return-value]


def named(dotted: str) -> bytes:
    """GLOBAL."""
    module, name = split(dotted)
    return f"c{module}\n{name}\n".encode()


def stacked(dotted: str) -> bytes:
    """STACK_GLOBAL."""
    module, name = split(dotted)
    return text(module) + text(name) + b"\x93"


def reduced(callee: bytes, *arguments: bytes) -> bytes:
    """REDUCE."""
    return callee + b"(" + b"".join(arguments) + b"tR"


def _inst(dotted: str, argument: str) -> bytes:
    module, name = split(dotted)
    return b"(" + text(argument) + f"i{module}\n{name}\n.".encode()


SHAPES: dict[str, Build] = {
    "reduce": lambda g, a: b"\x80\x02" + reduced(named(g), text(a)) + b".",
    "protocol 0": lambda g, a: reduced(named(g), f"V{a}\n".encode()) + b".",
    "stack global": lambda g, a: b"\x80\x04" + reduced(stacked(g), text(a)) + b".",
    "inst": _inst,
    "obj": lambda g, a: b"(" + named(g) + text(a) + b"o.",
    "obj and pop": lambda g, a: b"\x80\x02(" + named(g) + text(a) + b"o0" + text("weights") + b".",
    "newobj": lambda g, a: b"\x80\x02" + named(g) + b"(" + text(a) + b"t\x81.",
    "among data": lambda g, a: (
        b"\x80\x04}(" + text("weights") + b"]" + text("extra") + reduced(stacked(g), text(a)) + b"u."
    ),
    "memo decoy": lambda g, a: (
        b"\x80\x04" + text(split(g)[0]) + b"q\x000" + text(split(g)[1]) + b"q\x010"
        + text("collections") + b"q\x020h\x00h\x01\x93(" + text(a) + b"tR."
    ),
    "broken after": lambda g, a: b"\x80\x02" + reduced(named(g), text(a)) + b"0\xff\xff",
    "second stream": lambda g, a: pickle.dumps([1, 2]) + b"\x80\x02" + reduced(named(g), text(a)) + b".",
    "partial": lambda g, a: (
        b"\x80\x02" + reduced(reduced(named("functools.partial"), named(g)), text(a)) + b"."
    ),
    "map": lambda g, a: (
        b"\x80\x02" + reduced(named("builtins.list"), reduced(named("builtins.map"), named(g), b"]" + text(a) + b"a"))
        + b"."
    ),
    "nested": lambda g, a: (
        b"\x80\x02" + reduced(named("pickle.loads"), data(b"\x80\x02" + reduced(named(g), text(a)) + b".")) + b"."
    ),
    "nested torch": lambda g, a: (
        b"\x80\x02" + reduced(named("torch.storage._load_from_bytes"), data(SHAPES["reduce"](g, a))) + b"."
    ),
    "frames": lambda g, a: _framed(reduced(stacked(g), text(a)) + b"."),
}  # fmt: skip


def _framed(body: bytes) -> bytes:
    return b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body


# --- containers


def _zip(stream: bytes, name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, stream)
        archive.writestr("archive/version", b"3\n")
    return out.getvalue()


def _tar(stream: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("pickle")
        entry.size = len(stream)
        archive.addfile(entry, io.BytesIO(stream))
    return out.getvalue()


def _array(stream: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + stream


CONTAINERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": ("model.pkl", bytes),
    "other ending": ("weights.dat", bytes),
    "picture ending": ("cat.png", bytes),
    "torch zip": ("model.pt", lambda s: _zip(s, "archive/data.pkl")),
    "torch zip, other member": ("model.bin", lambda s: _zip(s, "archive/constants")),
    "tar": ("model.tar", _tar),
    "numpy": ("array.npy", _array),
    "npz": ("arrays.npz", lambda s: _zip(_array(s), "a.npy")),
    "gzip": ("model.pkl.gz", gzip.compress),
    "xz": ("model.pkl.xz", lzma.compress),
    "bzip2": ("model.pkl.bz2", bz2.compress),
    "joblib zlib": ("model.joblib", zlib.compress),
}


# --- the corpus


def hostile(folder: Path) -> dict[str, str]:
    """Write every gadget in two random shapes, and every shape in every container with a random known gadget."""
    groups: dict[str, str] = {}
    chance, table = random.Random(0), {**KNOWN, **sampled(SAMPLE)}

    def put(group: str, gadget: str, shape: str, container: str) -> None:
        name, wrap = CONTAINERS[container]
        path = folder / f"{len(groups):04d}_{name}"
        path.write_bytes(wrap(SHAPES[shape](gadget, "argument")))
        groups[path.name] = group

    for group, listed in table.items():
        for gadget in listed:
            for shape in chance.sample(("reduce", "stack global", "obj and pop", "among data", "frames", "inst"), 2):
                put(group, gadget, shape, "plain")
    classic = ("os.system", "posix.system", "builtins.eval", "subprocess.Popen", "runpy._run_code", "builtins.exec")
    for shape in SHAPES:
        for container in CONTAINERS:
            put(f"shape × container: {container}", chance.choice(classic), shape, container)
    return groups


def benign(folder: Path) -> dict[str, str]:
    """Write what the installed frameworks save."""
    groups: dict[str, str] = {}
    for group, maker in (("sklearn", _estimators), ("pandas", _tables), ("numpy", _arrays), ("torch", _modules)):
        try:
            for name, thing in maker():
                for protocol in (2, 4):
                    path = folder / f"{group}_{name}_{protocol}.pkl"
                    path.write_bytes(pickle.dumps(thing, protocol))
                    groups[path.name] = group
        except ImportError:
            print(f"left out: {group}")
    return groups


def _estimators() -> Iterator[tuple[str, object]]:
    import numpy as np
    from sklearn.utils import all_estimators

    table = np.random.default_rng(0).random((40, 4))
    for name, kind in all_estimators():
        try:
            made = kind()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made.fit(table, (table[:, 0] > 0.5).astype(int))
        except Exception:  # those that need more than a table are not part of this comparison
            continue
        yield name, made


def _tables() -> Iterator[tuple[str, object]]:
    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": pd.Categorical(["u", "v"])})
    yield "frame", frame
    yield "series", frame["a"]
    yield "dates", pd.Series(pd.date_range("2020", periods=3, tz="UTC"))
    yield "index", frame.set_index(["a", "b"]).index
    yield "interval", pd.cut(pd.Series([1, 2, 3]), 2)
    yield "nullable", pd.array([1, None], dtype="Int64")


def _arrays() -> Iterator[tuple[str, object]]:
    import numpy as np

    yield "array", np.arange(100.0)
    yield "objects", np.array([1, "a", None], dtype=object)
    yield "records", np.rec.array([(1, 2.0)], dtype=[("a", int), ("b", float)])
    yield "generator", np.random.default_rng(0)
    yield "masked", np.ma.array([1, 2], mask=[False, True])


def _modules() -> Iterator[tuple[str, object]]:
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.LSTM(4, 2))
    yield "module", net
    yield "weights", net.state_dict()
    yield "optimizer", torch.optim.Adam(net.parameters()).state_dict()
    yield "tensor", torch.arange(10)


# --- verdicts


def ours(folder: Path) -> dict[str, str]:
    """Judge every file: flagged from high, suspicious at medium, incomplete where something could not be read."""
    rank: dict[str, float] = {}
    for evidence in scan(folder):
        if isinstance(evidence, Finding):
            name, value = evidence.location.path, float(severity_rank(evidence.severity))
        elif isinstance(evidence, Skipped) and evidence.kind in ("limit", "error"):
            name, value = evidence.subject.split("!")[0], 1.5
        else:
            continue
        rank[name] = max(rank.get(name, 0.0), value)
    return {path.name: _word(rank.get(path.name, 0.0)) for path in folder.iterdir()}


def _word(rank: float) -> str:
    return "flagged" if rank >= 3 else "suspicious" if rank >= 2 else "incomplete" if rank == 1.5 else "clean"


PEER = r"""
import contextlib, io, json, pathlib, sys, logging, warnings
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
peer, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def picklescan(path):
    from picklescan.scanner import scan_file_path, SafetyLevel
    found = scan_file_path(str(path))
    levels = {g.safety for g in found.globals}
    if found.issues_count: return "flagged"
    if found.scan_err: return "incomplete"
    return "suspicious" if SafetyLevel.Suspicious in levels else "clean"
def fickling(path):
    from fickling.fickle import Pickled, StackedPickle
    from fickling.analysis import check_safety, Severity
    found = [check_safety(p).severity for p in StackedPickle.load(path.open("rb"))]
    worst = max(found, key=lambda s: s.value[0])
    return "flagged" if worst.value[0] >= Severity.LIKELY_UNSAFE.value[0] else (
        "clean" if worst is Severity.LIKELY_SAFE else "suspicious")
def modelscan(path):
    from modelscan.modelscan import ModelScan
    found = ModelScan().scan(str(path))
    worst = found["summary"]["total_issues_by_severity"]
    if worst.get("CRITICAL") or worst.get("HIGH"): return "flagged"
    if worst.get("MEDIUM"): return "suspicious"
    return "incomplete" if found.get("errors") or found["summary"]["skipped"]["total_skipped"] else "clean"
def modelaudit(path):
    from modelaudit.core import scan_model_directory_or_file
    found = scan_model_directory_or_file(str(path), cache_enabled=False)
    levels = {str(getattr(i.severity, "value", i.severity)).lower() for i in found.issues}
    if "critical" in levels: return "flagged"
    if "warning" in levels: return "suspicious"
    return "incomplete" if getattr(found, "has_errors", False) else "clean"
judge, result = globals()[peer], {}
for path in sorted(folder.iterdir()):
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            result[path.name] = judge(path)
    except ImportError as error:
        if peer in str(error): sys.exit(3)
        result[path.name] = "incomplete"
    except BaseException:
        result[path.name] = "incomplete"
print(json.dumps(result))
"""


def theirs(python: str, peer: str, folder: Path) -> dict[str, str] | None:
    """Judge every file with a peer in its own process; None where it cannot be imported."""
    command = [python, "-c", PEER, peer, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2400, env=os.environ | QUIET)
    verdicts: dict[str, str] | None = json.loads(done.stdout) if done.returncode == 0 else None
    return verdicts


def shares(verdicts: dict[str, str], groups: dict[str, str]) -> dict[str, dict[str, int]]:
    """Count verdicts by group."""
    counted: dict[str, Counter[str]] = {}
    for name, group in groups.items():
        counted.setdefault(group.split(":")[0], Counter())[verdicts.get(name, "incomplete")] += 1
    return {group: dict(counts) for group, counts in sorted(counted.items())}


def start_up(python: str, folder: Path) -> dict[str, float]:
    """Time whole commands on one tiny pickle in turns; medians, as multiples of picklescan's."""
    tiny = folder / "tiny.pkl"
    tiny.write_bytes(pickle.dumps([1, 2, 3]))
    own = Path(sys.executable).parent
    commands = {
        "hauberk": [str(own / "hauberk"), "scan", str(tiny)],
        "picklescan": [str(Path(python).parent / "picklescan"), "-p", str(tiny)],
        "fickling": [str(Path(python).parent / "fickling"), "--check-safety", str(tiny)],
        "modelscan": [str(Path(python).parent / "modelscan"), "-p", str(tiny)],
        "modelaudit": [str(Path(python).parent / "modelaudit"), "scan", str(tiny)],
    }
    times: dict[str, list[float]] = {name: [] for name, command in commands.items() if Path(command[0]).exists()}
    for _ in range(ROUNDS):
        for name in times:
            started = time.perf_counter()
            subprocess.run(
                commands[name], capture_output=True, check=False, timeout=120, cwd=folder, env=os.environ | QUIET
            )
            times[name].append(time.perf_counter() - started)
    base = median(times.get("picklescan", times["hauberk"]))
    return {name: round(median(taken) / base, 2) for name, taken in times.items()}


def main() -> None:
    """Write the corpus, judge it, print and keep the result."""
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    place = Path(tempfile.mkdtemp())
    try:
        for name in ("hostile", "benign", "tiny"):
            (place / name).mkdir()
        groups = {"hostile": hostile(place / "hostile"), "benign": benign(place / "benign")}
        result: dict[str, object] = {}
        for peer in ("hauberk", "picklescan", "fickling", "modelscan", "modelaudit"):
            for side, listed in groups.items():
                folder = place / side
                verdicts = ours(folder) if peer == "hauberk" else theirs(python, peer, folder)
                if verdicts is not None:
                    result[f"{peer}, {side}"] = shares(verdicts, listed)
        result["start-up, × picklescan"] = start_up(python, place / "tiny")
    finally:
        shutil.rmtree(place)
    RESULT.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
