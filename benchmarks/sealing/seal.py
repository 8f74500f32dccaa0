"""What does a seal with two digests cost beside model-signing with one, sha256sum, and the bare hashes?

Every entrant hashes the same files, warm, in turn in one process (sha256sum in its own), five rounds; the median is
divided by sha256sum's. model-signing is measured where it is installed (`pip install model-signing pyOpenSSL`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from hauberk.api.sealing import new_key, seal
from hauberk.api.verifying import Trust, verify
from hauberk.core.version import __version__

ROUNDS = 5
RESULT = Path(__file__).parents[1] / "results" / "sealing_seal.json"
FOLDERS = {
    "one file of 512 MiB": (1, 512 << 20),
    "16 files of 32 MiB": (16, 32 << 20),
    "4,000 files of 10 KiB": (4000, 10 << 10),
}
Run = Callable[[], object]


def filled(folder: Path, count: int, size: int) -> Path:
    """Fill a folder with random files."""
    folder.mkdir()
    block = os.urandom(min(size, 16 << 20))
    for index in range(count):
        with (folder / f"{index:05d}.bin").open("wb") as file:
            file.write(index.to_bytes(8, "big"))
            for _ in range(size // len(block)):
                file.write(block)
    return folder


def entrants(folder: Path, home: Path) -> dict[str, Run]:
    """Name each way to digest the folder."""
    key = home / "key.pem"
    files = sorted(path for path in folder.iterdir())
    trust = Trust(keys=(Path(f"{key}.pub"),))
    place = seal(folder, key=key, output=home / "ours.sig").path
    runs: dict[str, Run] = {
        "hauberk seal (sha256 + blake3)": lambda: seal(folder, key=key, output=place),
        "hauberk verify (sha256 + blake3)": lambda: verify(folder, trust, seal=place),
        "hauberk verify --quick (blake3)": lambda: verify(folder, trust, seal=place, quick=True),
        "sha256sum": lambda: subprocess.run(["sha256sum", *map(str, files)], check=True, stdout=subprocess.DEVNULL),
        "bare hashlib sha256, one thread": lambda: [hashlib.sha256(path.read_bytes()).digest() for path in files],
        "bare blake3, mapped, all threads": lambda: [
            blake3(max_threads=blake3.AUTO).update_mmap(path).digest() for path in files
        ],
    }
    if importlib.util.find_spec("model_signing"):
        from model_signing import hashing, signing, verifying

        theirs = home / "theirs.sig"

        def sign(algorithm: str) -> object:
            rule = hashing.Config().use_file_serialization(hashing_algorithm=algorithm)
            signer = signing.Config().use_elliptic_key_signer(private_key=str(key))
            return signer.set_hashing_config(rule).sign(folder, theirs)

        def check() -> object:
            return verifying.Config().use_elliptic_key_verifier(public_key=f"{key}.pub").verify(folder, theirs)

        runs["model-signing sign (blake3)"] = lambda: sign("blake3")
        runs["model-signing sign (sha256)"] = lambda: sign("sha256")
        runs["model-signing verify (sha256)"] = check
    return runs


def measured(runs: dict[str, Run]) -> dict[str, float]:
    """Time the entrants in turn and divide the medians by sha256sum's."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["sha256sum"])
    return {name: round(statistics.median(rows) / base, 2) for name, rows in seconds.items()}


def main() -> None:
    """Measure every folder and write the ratios."""
    home = Path(tempfile.mkdtemp())
    try:
        new_key(home / "key.pem", kind="p256")
        rows = []
        for name, (count, size) in FOLDERS.items():
            folder = filled(home / "files", count, size)
            rows.append({"files": name, "time / sha256sum": measured(entrants(folder, home))})
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(home)
    found = importlib.util.find_spec("model_signing")
    result = {
        "question": (__doc__ or "").splitlines()[0],
        "rows": rows,
        "versions": {
            "hauberk": __version__,
            "model-signing": importlib.metadata.version("model-signing") if found else "not installed",
            "blake3": importlib.metadata.version("blake3"),
            "python": platform.python_version(),
        },
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
