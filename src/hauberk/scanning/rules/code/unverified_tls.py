"""Downloading or calling without checking who answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.fixing import drop_keyword
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite

_CLIENT = re.compile(r"(requests|httpx|aiohttp|urllib3|gradio_client|openai|anthropic)\b.*")
_WEIGHTS = re.compile(
    r"huggingface\.co|\.(pt|pth|bin|safetensors|onnx|gguf|pkl|joblib|h5|keras|ckpt|npz|zip|tar|tgz|gz|whl)(\?|$|\{)|model|weights"
)
_COMMANDS = re.compile(r"subprocess\.\w+|os\.(system|popen)|get_ipython\(\)\.system")
_UNCHECKED = re.compile(
    r"\bcurl\b.*\s(-k|--insecure)\b|\bwget\b.*--no-check-certificate|--trusted-host|http\.sslVerify[= ]false"
)
_SWITCHES = re.compile(r".*\[(CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE|PYTHONHTTPSVERIFY|HF_HUB_DISABLE_SSL\w*)\] =")


class UnverifiedTls:
    """Find certificate checks that are switched off: verify=False, unverified contexts, emptied CA bundles.

    Anyone on the way then replaces the model, or reads the prompts and keys. Leave the check on; for a private
    authority pass its certificate: `verify="ca.pem"`.

    Bad:

        requests.get("https://hub.internal/model.bin", verify=False)

    Good:

        requests.get("https://hub.internal/model.bin", verify="/etc/ssl/acme.pem", timeout=30)
    """

    card: ClassVar[Card] = Card(
        title="Unverified TLS",
        summary="Certificate checks are off, so that anyone on the way can replace a model or read what is sent.",
        paper="CWE-295; OWASP ML06; MITRE ATLAS AML.T0010",
        threats=("CWE-295", "CWE-494", "AML.T0010"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call and setting that concerns certificates."""
        for site in program_of(artifact).calls:
            how = _off(site)
            if how is None:
                continue
            text = " ".join(value.text for value in (*site.arguments, *(item for _, item in site.keywords)))
            weights = _WEIGHTS.search(text) is not None
            yield Draft(
                message=f"{how}: anyone on the way can replace {'the model' if weights else 'what is fetched'}",
                fix="leave certificate checks on; pass the private authority's certificate instead",
                severity="high" if weights else "medium",
                place=site.place,
                edits=drop_keyword(site, "verify") if site.says("verify") is False else (),
            )


def _off(site: CallSite) -> str | None:
    if site.path == "ssl._create_unverified_context":
        return "the context checks no certificate"
    if site.path == "ssl._create_default_https_context =" and "unverified" in site.arguments[0].path:
        return "certificate checks are off for the whole program"
    if _SWITCHES.fullmatch(site.path) and site.arguments[0].constant in ("", "0", "1"):
        return "certificate checks are off for the whole program"
    if site.path.endswith(".verify_mode =") and site.arguments[0].path == "ssl.CERT_NONE":
        return "the context checks no certificate"
    if site.path.endswith(".check_hostname =") and site.arguments[0].constant is False:
        return "the context does not check whose certificate it is"
    if _COMMANDS.fullmatch(site.path) and _UNCHECKED.search(_words(site)):
        return "the command checks no certificate"
    if site.says("verify_ssl") is False or site.says("verify_certs") is False or site.says("ssl_verify") is False:
        return "certificate checks are off"
    if site.path.endswith(".verify =") and site.arguments[0].constant is False:
        return "certificate checks are off for the session"
    if not _CLIENT.match(site.path) and site.tail not in ("get", "post", "request", "put"):
        return None
    if site.says("verify") is False:
        return "verify=False"
    if site.says("ssl") is False and ("aiohttp" in site.path or site.tail in ("get", "post", "request")):
        return "ssl=False"
    required = site.keyword("cert_reqs")
    if required is not None and (required.constant == "CERT_NONE" or required.path == "ssl.CERT_NONE"):
        return "cert_reqs=CERT_NONE"
    return None


def _words(site: CallSite) -> str:
    command = site.argument(0, "args")
    return command.text or " ".join(item.text for _, item in command.entries)
