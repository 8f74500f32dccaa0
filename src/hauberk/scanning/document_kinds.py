"""What a YAML document configures, told by its name and by the keys it has."""

from __future__ import annotations

import re

from hauberk.scanning.document_tree import Node

_KEYS = re.compile(
    rb"^[\"']?(?:apiVersion|services|jobs|scrape_configs|applications|model_list|runs|image|security|auth_enabled)"
    rb"[\"']?[ \t]*:|^-?\s{0,2}apiVersion:|^\{|trust_remote_code[\"']?[ \t]*:",
    re.M,
)
_NAMES = re.compile(
    r"(?:docker-|podman-)?compose(?:[._-].*)?\.ya?ml|\.?gitlab-ci.*\.ya?ml|bentofile\.ya?ml|values(?:[._-].*)?\.ya?ml"
    r"|prometheus.*\.ya?ml|litellm.*\.ya?ml|action\.ya?ml|.*serve.*\.ya?ml|ray.*\.ya?ml|qdrant.*\.ya?ml|config\.ya?ml"
)


def worth_reading(name: str, head: bytes) -> bool:
    """Say from a file's name and beginning whether it may hold a document of a kind that is known."""
    return _KEYS.search(head) is not None or _NAMES.fullmatch(name) is not None


def kind_of(path: str, root: Node) -> str:
    """Name what a document configures; "" for none of them."""
    name = path.replace("!", "/").rsplit("/", 1)[-1].lower()
    has = root.fields.keys()
    if {"apiVersion", "kind"} <= has:
        return "kubernetes"
    if "jobs" in has and ("on" in has or "true" in has or "/.github/workflows/" in f"/{path}"):
        return "workflow"
    if "runs" in has and root.get("runs", "using"):
        return "action"
    if name.startswith((".gitlab-ci", "gitlab-ci")):
        return "gitlab"
    if _is_compose(root, name):
        return "compose"
    if "scrape_configs" in has:
        return "prometheus"
    if "model_list" in has or "litellm_settings" in has:
        return "litellm"
    if "applications" in has and any(item.get("import_path") for item in root.get("applications").items):
        return "ray-serve"
    if name.startswith("bentofile"):
        return "bentoml"
    if name.startswith("values"):
        return "helm-values"
    return "settings" if root.kind == "mapping" else ""


def _is_compose(root: Node, name: str) -> bool:
    services = root.get("services")
    rows = [item for item in services.fields.values() if item.kind == "mapping"]
    named = "compose" in name
    return bool(rows) and (named or any(row.get("image") or row.get("build") or row.get("command") for row in rows))
