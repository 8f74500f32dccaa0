"""What does encryption at rest cost beside AES-256-GCM over memory, a plain copy, and age?

Every entrant writes the same 256 MiB file, or its plain text again, warm, in turn in one process (age and cp in their
own), five rounds; the median is divided by that of AES-256-GCM over memory, which writes nothing. age (ChaCha20,
64 KiB at once) is measured where it is installed. A second table: the peak of memory over the size of the file.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hauberk.core.version import __version__
from hauberk.crypto.key_wrapping import SecretKey
from hauberk.crypto.sealed_files import SealedFile
from hauberk.sealing.decrypting import decrypt_file
from hauberk.sealing.encrypting import encrypt_file

ROUNDS, SIZE, SEGMENT = 5, 256 << 20, 1 << 20
RESULT = Path(__file__).parents[1] / "results" / "data_encryption.json"
KEY = SecretKey(bytes(range(32)), "file")
Run = Callable[[], object]
_PEAK = """
import resource, sys
from pathlib import Path
from hauberk.crypto.key_wrapping import SecretKey
from hauberk.sealing.encrypting import encrypt_file
encrypt_file(Path(sys.argv[1]), Path(sys.argv[2]), [SecretKey(bytes(range(32)), "file")])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def over_memory(block: bytes) -> Run:
    """Encrypt a segment of memory again and again."""
    cipher, nonce = AESGCM(bytes(32)), bytes(12)
    return lambda: [cipher.encrypt(nonce, block, None) for _ in range(SIZE // SEGMENT)]


def entrants(home: Path) -> dict[str, Run]:
    """Name each way to encrypt the file, or to read it again."""
    plain, sealed = home / "plain", home / "plain.sealed"
    block = os.urandom(SEGMENT)
    with plain.open("wb") as file:
        for _ in range(SIZE // SEGMENT):
            file.write(block)
    encrypt_file(plain, sealed, [KEY])

    def read_in_place() -> None:
        buffer = memoryview(bytearray(SEGMENT))
        with SealedFile(sealed, [KEY]) as file:
            while file.readinto(buffer):
                pass

    runs: dict[str, Run] = {
        "AES-256-GCM over memory": over_memory(block),
        "hauberk seal --encrypt (to disk, synced)": lambda: encrypt_file(plain, home / "a.sealed", [KEY]),
        "hauberk unseal (to disk, synced)": lambda: decrypt_file(sealed, home / "b", [KEY], replace=True),
        "hauberk, opened in place": read_in_place,
        "cp, synced": lambda: subprocess.run(f"cp {plain} {home / 'c'} && sync {home / 'c'}", shell=True, check=True),
    }
    if shutil.which("age"):
        identity = subprocess.run(["age-keygen"], check=True, capture_output=True, text=True).stdout
        (home / "id").write_text(identity)
        to = next(line.split()[-1] for line in identity.splitlines() if "public key" in line)
        seal_it = ["age", "-r", to, "-o", str(home / "d.age"), str(plain)]
        subprocess.run(seal_it, check=True)
        runs["age, encrypting"] = lambda: subprocess.run(seal_it, check=True)
        runs["age, decrypting"] = lambda: subprocess.run(
            ["age", "-d", "-i", str(home / "id"), "-o", str(home / "e"), str(home / "d.age")], check=True
        )
    return runs


def measured(runs: dict[str, Run]) -> dict[str, float]:
    """Time the entrants in turn and divide the medians by the first's."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(rows) for name, rows in seconds.items()}
    base = next(iter(medians.values()))
    return {name: round(value / base, 2) for name, value in medians.items()}


def peaks(home: Path) -> dict[str, float]:
    """Measure the peak of memory for a small file and a large one, as a ratio of the small one's."""
    found = {}
    for name, size in (("1 MiB", 1 << 20), ("256 MiB", SIZE)):
        path = home / "size"
        with path.open("wb") as file:
            file.truncate(size)
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, str(path), str(home / "size.sealed")],
            check=True,
            capture_output=True,
            text=True,
        )
        found[name] = float(done.stdout)
    return {name: round(value / found["1 MiB"], 2) for name, value in found.items()}


def main() -> None:
    """Measure and write the ratios."""
    home = Path(tempfile.mkdtemp())
    try:
        rows = measured(entrants(home))
        memory = peaks(home)
    finally:
        shutil.rmtree(home)
    result = {
        "question": (__doc__ or "").splitlines()[0],
        "rows": [{"file": "256 MiB", "time / AES-256-GCM over memory": rows}],
        "peak of memory / that for 1 MiB": memory,
        "versions": {
            "hauberk": __version__,
            "cryptography": importlib.metadata.version("cryptography"),
            "age": _age(),
            "python": platform.python_version(),
        },
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def _age() -> str:
    if not shutil.which("age"):
        return "not installed"
    return subprocess.run(["age", "--version"], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
