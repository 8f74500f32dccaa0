"""Fetching weights over plain HTTP, or without comparing their digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Edit
from hauberk.scanning.fixing import set_beginning
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import UNKNOWN, CallSite, Value

_WEIGHTS = re.compile(
    r"\.(pt|pth|pt2|bin|safetensors|onnx|gguf|ggml|pkl|pickle|joblib|h5|hdf5|keras|ckpt|npz|npy|tflite|pb|mar|nemo|ptl"
    r"|engine|mlmodel|cbm|ubj)(\.(gz|zip|tar|xz))?([?#{\"' ]|$)"
    r"|(weights|checkpoint|model)s?[\w.-]*\.(zip|tar|tgz|tar\.gz)\b",
    re.I,
)
_PLAIN = re.compile(r"http://(?!localhost\b|127\.|0\.0\.0\.0|\[::1\])", re.I)
_HUBS = (
    "http://huggingface.co",
    "http://github.com",
    "http://download.pytorch.org",
    "http://raw.githubusercontent.com",
)
_FETCH = re.compile(
    r"(requests|httpx)(\.(Session|Client|AsyncClient|session)\(\))?\.(get|stream|request)"
    r"|urllib\.request\.(urlretrieve|urlopen|Request)|aiohttp\.ClientSession\(\)\.get|wget\.download|gdown\.download"
    r"|torch\.hub\.download_url_to_file|torch\.hub\.load_state_dict_from_url|torch\.utils\.model_zoo\.load_url"
    r"|keras\.utils\.get_file|pooch\.retrieve|torchvision\.datasets\.utils\.download_url|fsspec\.open|urllib\.urlretrieve"
    r"|curl_cffi\.requests\.get"
)
_COMMANDS = re.compile(r"subprocess\.\w+|os\.(system|popen)|get_ipython\(\)\.system")
_DIGEST_KEYWORDS = ("file_hash", "md5_hash", "hash_prefix", "known_hash", "md5", "sha256", "checksum", "expected_hash")


class UnverifiedWeights:
    """Find model files fetched over http://, and downloads of weights whose digest nothing compares.

    Whoever is on the way, or takes the bucket over, replaces the model; where the file is a pickle, that is code. Use
    https, write the digest of the reviewed file into the program and compare it before loading.

    Bad:

        urllib.request.urlretrieve("http://models.example.org/net.onnx", "net.onnx")

    Good:

        data = requests.get("https://models.example.org/net.onnx", timeout=30).content
        if hashlib.sha256(data).hexdigest() != SHA256: raise RuntimeError("not the reviewed weights")
    """

    card: ClassVar[Card] = Card(
        title="Unverified weights",
        summary="Weights are fetched over plain HTTP, or no digest of what arrives is compared.",
        paper="CWE-494, CWE-319; OWASP ML06 and LLM03; MITRE ATLAS AML.T0010",
        threats=("CWE-494", "CWE-319", "OWASP-ML06", "OWASP-LLM03", "AML.T0010"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that fetches something that looks like weights."""
        program = program_of(artifact)
        for site in program.calls:
            text = _address(site)
            named = " ".join(value.text for value in (*site.arguments[:2], *(value for _, value in site.keywords[:6])))
            if not text or (_WEIGHTS.search(text) or _WEIGHTS.search(named)) is None:
                continue
            verdict = _judge(site, text, bool(program.digested))
            if verdict is not None:
                message, severity = verdict
                yield Draft(
                    message=message,
                    fix="fetch it over https and compare its digest with the reviewed one before loading it",
                    severity=severity,
                    place=site.place,
                    edits=_edits(site, text),
                )


def _judge(site: CallSite, text: str, digested: bool) -> tuple[str, Severity] | None:
    if _PLAIN.search(text):
        return ("weights are fetched over http, where anyone on the way can replace them", "high")
    checked = digested or site.says("check_hash") is True
    for name in _DIGEST_KEYWORDS:
        value = site.keyword(name)
        checked = checked or (value is not None and value.constant is not None)
    return None if checked else ("weights are fetched and no digest of them is compared", "medium")


def _address(site: CallSite) -> str:
    """Return the text of the address a call fetches, or of the command line that does; "" where it fetches nothing."""
    if _FETCH.fullmatch(site.path):
        values = [*site.arguments[:2], *(site.keyword(name) or Value() for name in ("url", "origin", "fname"))]
        return next((value.text for value in values if "://" in value.text), "")
    if _COMMANDS.fullmatch(site.path):
        command = site.argument(0, "args")
        words = [str(item.constant) for _, item in command.entries if item.constant is not UNKNOWN]
        text = command.text or " ".join(words)
        return text if re.search(r"\b(wget|curl|aria2c)\b", text) and "sha256sum" not in text else ""
    return ""


def _edits(site: CallSite, text: str) -> tuple[Edit, ...]:
    """Write https for the hubs that are known to answer there."""
    return set_beginning(site, 0, "http://", "https://") if text.startswith(_HUBS) else ()
