"""Does the search for secrets find what detect-secrets finds, and more, with fewer false alarms, and how fast?

    DETECT_SECRETS=…/detect-secrets python benchmarks/scanning/secrets.py

Made corpus: keys of 30 kinds, made at random here with their checksums, each in seven kinds of files as projects have
them; and look-alikes (references, placeholders, digests, ids, tokenizers, lock files) that are none. A file counts as
found when anything is reported in it. Our own samples: they say what each tool covers, not how often such files occur.
Published sources: a part of the standard library, which holds no secret. Tools run in turns; times are of whole
processes over the same files, as ratios; ours is the search alone. Peer: pip install detect-secrets.
"""

# ruff: noqa: E501 - a sample is easier to read in one line

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import random
import shutil
import string
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from statistics import median

from hauberk.core.evidence import Finding
from hauberk.scanning.engine import scan

ROUNDS = 3
RESULT = Path(__file__).resolve().parents[1] / "results" / "scanning_secrets.json"
RNG = random.Random(20)
ALNUM, HEX, UPPER = string.ascii_letters + string.digits, "0123456789abcdef", string.ascii_uppercase + "234567"


def rand(length: int, alphabet: str = ALNUM) -> str:
    """Make a random text."""
    return "".join(RNG.choice(alphabet) for _ in range(length))


def checked(prefix: str) -> str:
    """Make a token with the checksum of GitHub and npm."""
    body = rand(30)
    number, digits, alphabet = (
        zlib.crc32(body.encode()),
        "",
        string.digits + string.ascii_uppercase + string.ascii_lowercase,
    )
    while number:
        number, digit = divmod(number, 62)
        digits = alphabet[digit] + digits
    return prefix + body + digits.rjust(6, "0")


def web_token() -> str:
    """Make a signed web token."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": rand(8), "role": "admin"})
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
        + "."
        + rand(43)
    )


def kinds() -> dict[str, tuple[str, str]]:
    """Return kind → (name of its variable, a fresh secret)."""
    return {
        "OpenAI": ("OPENAI_API_KEY", f"sk-{rand(20)}T3Blbk" + f"FJ{rand(20)}"),
        "OpenAI project": ("OPENAI_API_KEY", f"sk-proj-{rand(74)}T3Blbk" + f"FJ{rand(74)}"),
        "Anthropic": ("ANTHROPIC_API_KEY", f"sk-ant-api03-{rand(93)}AA"),
        "Hugging Face": ("HF_TOKEN", f"hf_{rand(34, string.ascii_letters)}"),
        "Replicate": ("REPLICATE_API_TOKEN", f"r8_{rand(37)}"),
        "Groq": ("GROQ_API_KEY", f"gsk_{rand(52)}"),
        "OpenRouter": ("OPENROUTER_API_KEY", f"sk-or-v1-{rand(64, HEX)}"),
        "Google": ("GOOGLE_API_KEY", f"AIza{rand(35)}"),
        "W&B": ("WANDB_API_KEY", rand(40, HEX)),
        "Cohere": ("COHERE_API_KEY", rand(40)),
        "Mistral": ("MISTRAL_API_KEY", rand(32)),
        "Pinecone": ("PINECONE_API_KEY", f"pcsk_{rand(6)}_{rand(63)}"),
        "LangSmith": ("LANGSMITH_API_KEY", f"lsv2_pt_{rand(32, HEX)}_{rand(10, HEX)}"),
        "Tavily": ("TAVILY_API_KEY", f"tvly-{rand(32)}"),
        "AWS id": ("AWS_ACCESS_KEY_ID", f"AKIA{rand(16, UPPER)}"),
        "AWS secret": ("AWS_SECRET_ACCESS_KEY", rand(40)),
        "Azure storage": ("AZURE_STORAGE", f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={rand(86)}=="),
        "Databricks": ("DATABRICKS_TOKEN", f"dapi{rand(32, HEX)}"),
        "DigitalOcean": ("DO_PAT", f"dop_v1_{rand(64, HEX)}"),
        "GitHub": ("GH_PAT", checked("ghp_")),
        "GitLab": ("GL_PAT", f"glpat-{rand(20)}"),
        "npm": ("NPM_TOKEN", checked("npm_")),
        "PyPI": ("TWINE_PASSWORD", f"pypi-AgEIcHlwaS5vcmc{rand(130)}"),
        "Slack": ("SLACK_BOT", f"xoxb-{rand(12, string.digits)}-{rand(12, string.digits)}-{rand(24)}"),
        "Stripe": ("STRIPE_KEY", f"sk_live_{rand(24)}"),
        "SendGrid": ("SENDGRID_API_KEY", f"SG.{rand(22)}.{rand(43)}"),
        "Telegram": ("BOT", f"{rand(1, '123456789')}{rand(9, string.digits)}:AA{rand(33)}"),
        "web token": ("SESSION", web_token()),
        "password": ("DB_PASSWORD", f"{rand(5)}-{rand(5, string.digits)}!{rand(4)}"),
        "address": ("DATABASE_URL", f"postgresql://ml:{rand(14)}@db.internal:5432/prod"),
    }


def files(name: str, secret: str) -> dict[str, str]:
    """Write a secret into files as projects have them."""
    cell = {"cell_type": "code", "metadata": {}, "source": ["run()"], "execution_count": 1}
    output = {**cell, "outputs": [{"output_type": "stream", "name": "stdout", "text": [f"{name}={secret}\n"]}]}
    inside = {**cell, "source": [f'os.environ["{name}"] = "{secret}"'], "outputs": []}
    return {
        "app.py": f'import os\n\n{name} = "{secret}"\n',
        "dict.py": f'settings = {{\n    "{name.lower()}": "{secret}",\n}}\n',
        "settings.yaml": f"service:\n  {name.lower()}: {secret}\n",
        ".env": f"DEBUG=0\n{name}={secret}\n",
        "config.json": json.dumps({"a": 1, name.lower(): secret}, indent=2),
        "cell.ipynb": json.dumps({"cells": [inside], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1),
        "output.ipynb": json.dumps({"cells": [output], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1),
    }


def look_alikes() -> dict[str, str]:
    """Return files without a secret that look as if they had one."""
    return {
        "environ.py": 'import os\nAPI_KEY = os.environ["OPENAI_API_KEY"]\ntoken = os.getenv("HF_TOKEN", "")\n',
        "placeholder.env": "OPENAI_API_KEY=sk-your-key-here\nHF_TOKEN=hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nDB_PASSWORD=changeme\n",
        "docs.md": 'Set `AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE` and `api_key="<your key>"`.\n',
        "digests.txt": "".join(f"torch==2.{n} --hash=sha256:{rand(64, HEX)}\n" for n in range(5)),
        "commits.py": f'REVISION = "{rand(40, HEX)}"\nCHECKSUM = "{rand(64, HEX)}"\n',
        "tokens.py": 'eos_token = "<|endoftext|>"\npad_token = "[PAD]"\ntoken_type = "bearer"\nmax_tokens = 4096\n',
        "tokenizer_config.json": json.dumps(
            {"bos_token": "<s>", "tokenizer_class": "LlamaTokenizerFast", "unk_token": "<unk>"}
        ),
        "compose.yaml": "services:\n  a:\n    environment:\n      DB_PASSWORD: ${DB_PASSWORD:?}\n      API_KEY_FILE: /run/secrets/k\n",
        "form.html": '<input type="password" name="password" placeholder="Password" autocomplete="current-password">\n',
        "keys.py": 'KEY = "model.layers.0.attention.weight"\nprimary_key = "customer_id"\nsort_key = "created_at_2024"\n',
        "uuid.py": f'RUN = "{rand(8, HEX)}-{rand(4, HEX)}-4{rand(3, HEX)}-a{rand(3, HEX)}-{rand(12, HEX)}"\n',
        "getpass.py": "password = getpass.getpass()\nsecret = read_secret(vault, 'ml/prod')\n",
        "public.pem": f"-----BEGIN PUBLIC KEY-----\n{rand(64)}\n{rand(64)}\n-----END PUBLIC KEY-----\n",
        "base64.py": f'LOGO = "{base64.b64encode(RNG.randbytes(90)).decode()}"\n',
        "address.py": 'URL = "postgresql://user:password@localhost/test"\nOTHER = f"redis://:{password}@{host}"\n',
        "uv.lock": f'[[package]]\nname = "a"\nwheels = [{{ url = "https://f.example/a.whl", hash = "sha256:{rand(64, HEX)}" }}]\n',
        "test_login.py": 'def test_login():\n    assert login("user", password="test_password")\n    token = "fake-token-for-tests"\n',
        "secretref.yaml": "env:\n  - name: HF_TOKEN\n    valueFrom: {secretKeyRef: {name: hf-token-secret, key: token}}\n",
        "workflow.yml": "env:\n  HF_TOKEN: ${{ secrets.HF_TOKEN }}\n  API_KEY: ${API_KEY}\n",
        "svg.svg": f'<svg><image href="data:image/png;base64,{base64.b64encode(RNG.randbytes(120)).decode()}"/></svg>\n',
    }


def ours(folder: Path) -> dict[str, set[str]]:
    """Return file → names of the secret rules that found something."""
    found: dict[str, set[str]] = {}
    for entry in scan(folder, jobs=1):
        if isinstance(entry, Finding) and entry.rule.startswith("secrets."):
            found.setdefault(entry.location.path, set()).add(entry.rule)
    return found


def theirs(folder: Path, program: str) -> dict[str, set[str]]:
    """Return file → types that detect-secrets found."""
    command = [program, "scan", "--all-files", "--no-verify", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return {path: {row["type"] for row in rows} for path, rows in json.loads(done.stdout)["results"].items()}


def seconds(command: list[str], folder: Path) -> float:
    """Time a whole process."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return time.perf_counter() - begun


def made(place: Path, peer: str | None) -> dict[str, object]:
    """Measure the made corpus."""
    bad, good = place / "bad", place / "good"
    total: dict[str, list[str]] = {}
    for kind, (name, secret) in kinds().items():
        folder = bad / kind.replace(" ", "_").replace("&", "n")
        folder.mkdir(parents=True)
        for file, text in files(name, secret).items():
            (folder / file).write_text(text)
            total.setdefault(kind, []).append(f"{folder.name}/{file}")
    good.mkdir()
    for file, text in look_alikes().items():
        (good / file).write_text(text)
    tools = {"hauberk": (ours(bad), ours(good))}
    if peer:
        tools["detect-secrets"] = (theirs(bad, peer), theirs(good, peer))
    rows: dict[str, object] = {}
    for tool, (hits, alarms) in tools.items():
        missed = sorted(path for paths in total.values() for path in paths if path not in hits)
        rows[tool] = {
            "files with a secret": sum(map(len, total.values())),
            "found": sum(map(len, total.values())) - len(missed),
            "kinds found in every file": sum(all(path in hits for path in paths) for paths in total.values()),
            "of kinds": len(total),
            "missed": missed[:20],
            "safe files": len(look_alikes()),
            "safe files flagged": sorted(alarms),
        }
    if peer:
        only = sorted(path for path in tools["detect-secrets"][0] if path not in tools["hauberk"][0])
        rows["found by detect-secrets only"] = only
    return rows


def real(peer: str | None) -> dict[str, object]:
    """Count what is reported in published sources, and time it."""
    packages = Path(json.__file__).parents[1]
    chosen = [
        packages / name
        for name in ("asyncio", "email", "http", "json", "logging", "urllib", "xml", "unittest", "ctypes")
    ]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for folder in chosen:
            shutil.copytree(folder, root / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
        count = sum(1 for _ in root.rglob("*.py"))
        rows: dict[str, object] = {
            "files of the standard library": count,
            "hauberk": sum(map(len, ours(root).values())),
        }
        code = "import sys;from pathlib import Path;from hauberk.scanning.secret_search import secrets_in;"
        code += "[secrets_in(p.read_text(errors='replace'), True) for p in Path('.').rglob('*.py')]"
        commands = {"hauberk's search": [sys.executable, "-c", code]}
        if peer:
            rows["detect-secrets"] = sum(map(len, theirs(root, peer).values()))
            commands["detect-secrets"] = [peer, "scan", "--all-files", "--no-verify", "."]
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                times[name].append(seconds(command, root))
        base = median(times["hauberk's search"])
        rows["times of the search's time"] = {name: round(median(value) / base, 2) for name, value in times.items()}
    return rows


def main() -> None:
    """Measure, print and write."""
    peer = os.environ.get("DETECT_SECRETS") or shutil.which("detect-secrets")
    with tempfile.TemporaryDirectory() as place:
        result: dict[str, object] = {"question": (__doc__ or "").partition("\n")[0], "made": made(Path(place), peer)}
    result["real"] = real(peer)
    result["versions"] = {"hauberk": "this tree", "python": sys.version.split()[0], "detect-secrets": version(peer)}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def version(peer: str | None) -> str:
    """Name the peer's version."""
    if peer is None:
        return "not installed"
    try:
        return importlib.metadata.version("detect-secrets")
    except importlib.metadata.PackageNotFoundError:
        return subprocess.run([peer, "--version"], capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
