"""How long does a large checkpoint take, and how much memory do it and a bomb need, next to peers?

    python benchmarks/scanning/checkpoint.py [folder with the commands picklescan, modelaudit, modelscan]

Writes a pickle of one number, a torch zip of 512 MiB, the same weights stored in a zip of a safetensors file, and bombs
(a gzip and a deflated member of 1500 MiB of zeros, five levels of sixteen zips) into a temporary folder. Every command
is a process of its own, started in turns; wall and processor time and the peak of its memory are taken from the system.
A first round warms the page cache and is not counted. Ratios are to picklescan, of medians.
"""

from __future__ import annotations

import gzip
import io
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from array import array
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROUNDS = 7
SIZE = 512 << 20
RESULT = Path(__file__).resolve().parents[1] / "results" / "scanning_checkpoint.json"
BARE = (
    "import hashlib, pathlib, sys\n"
    "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
    "    hashlib.file_digest(path.open('rb'), 'sha256')"
)
"""The floor of both digests: SHA-256 of the same bytes, which nothing divides among processors."""
OURS = Path(sys.executable).with_name("hauberk")


class Run(NamedTuple):
    """One process: wall and processor seconds, the peak of its memory in MiB, its exit status."""

    wall: float
    processor: float
    memory: float
    status: int


def run(command: list[str]) -> Run:
    """Start a command and wait for it."""
    begun = time.perf_counter()
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=quiet)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode)


def checkpoint(path: Path) -> None:
    """Save 64 tensors of random floats as torch does."""
    import torch

    torch.manual_seed(0)
    torch.save({f"layer{index}.weight": torch.randn(SIZE // 64 // 4) for index in range(64)}, path)


def stored_safetensors(path: Path) -> None:
    """Put a safetensors file whole into a zip, not packed."""
    count = SIZE >> 2
    header = json.dumps({"a": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    noise = bytes(array("f", [0.02 * (byte - 127.5) for byte in os.urandom(1 << 18)]))
    with zipfile.ZipFile(path, "w") as archive, archive.open("m.safetensors", "w", force_zip64=True) as member:
        member.write(len(header).to_bytes(8, "little") + header)
        for _ in range(SIZE >> 20):
            member.write(noise)


def bombs(folder: Path) -> None:
    """Write three files that unpack to far more than they are."""
    zeros = bytes(1 << 20)
    with gzip.open(folder / "bomb.joblib.gz", "wb", 6) as stream:
        for _ in range(1500):
            stream.write(zeros)
    with (
        zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(1500):
            member.write(zeros)
    data = bytes(200 << 20)
    for _ in range(5):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for index in range(16):
                archive.writestr(f"{index}.zip", data)
        data = buffer.getvalue()
    (folder / "nested.zip").write_bytes(data)


def apart(make: Callable[[Path], None], path: Path) -> None:
    """Make a file in a process of its own: the peak that the system tells of a child begins with its parent's size."""
    process = multiprocessing.get_context("spawn").Process(target=make, args=(path,))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{path} could not be made")


def commands(target: Path, peers: Path | None) -> dict[str, list[str]]:
    """List the commands that are there; ours with and without digests and a terminal; the bare loop."""
    found = {
        "hauberk": [str(OURS), "scan", str(target)],
        "hauberk --quiet": [str(OURS), "scan", "--quiet", str(target)],
        "hauberk --digests": [str(OURS), "scan", "--digests", str(target)],
        "bare sha256": [sys.executable, "-c", BARE, str(target)],
    }
    shapes = {
        "picklescan": ["-p", str(target)],
        "modelaudit": ["scan", "--no-cache", str(target)],
        "modelscan": ["-p", str(target)],
    }
    for name, arguments in shapes.items():
        place = peers / name if peers else None
        where = str(place) if place and place.exists() else shutil.which(name)
        if where:
            found[name] = [where, *arguments]
    return found


def measured(folder: Path, peers: Path | None, rounds: int) -> dict[str, dict[str, float | int]]:
    """Run every command on the folder in turns."""
    table = commands(folder, peers)
    runs: dict[str, list[Run]] = {name: [] for name in table}
    for turn in range(rounds + 1):
        for name, command in table.items():
            one = run(command)
            if turn:
                runs[name].append(one)
    base = runs.get("picklescan")
    rows: dict[str, dict[str, float | int]] = {}
    for name, found in runs.items():
        rows[name] = {"peak_mib": round(max(one.memory for one in found)), "exit": found[-1].status}
        if base:
            for field in ("wall", "processor"):
                ratio = median(getattr(one, field) for one in found) / median(getattr(one, field) for one in base)
                rows[name][f"{field}_to_picklescan"] = round(ratio, 2)
    return rows


def main() -> None:
    """Measure, print and write."""
    peers = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    result: dict[str, object] = {
        "question": (__doc__ or "").partition("\n")[0],
        "rounds": ROUNDS,
        "machine": {"python": platform.python_version(), "processors": os.cpu_count(), "system": platform.system()},
    }
    with tempfile.TemporaryDirectory() as place:
        for name, make in (("torch_zip_512_mib", checkpoint), ("zip_of_safetensors_512_mib", stored_safetensors)):
            folder = Path(place) / name
            folder.mkdir()
            apart(make, folder / ("m.pt" if "torch" in name else "m.zip"))
            result[name] = measured(folder, peers, ROUNDS)
            shutil.rmtree(folder)
        folder = Path(place) / "tiny_pickle"
        folder.mkdir()
        (folder / "m.pkl").write_bytes(b"\x80\x04K\x01.")
        result["tiny_pickle"] = measured(folder, peers, ROUNDS)
        folder = Path(place) / "bombs"
        folder.mkdir()
        apart(bombs, folder)
        rows: dict[str, dict[str, float | int]] = {}
        for bomb in sorted(folder.iterdir()):
            one = run([str(OURS), "scan", str(bomb)])
            rows[bomb.name] = {"peak_mib": round(one.memory), "exit": one.status, "within_10_s": int(one.wall <= 10)}
        result["bombs"] = rows
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
