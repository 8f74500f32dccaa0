"""What Kubernetes Secrets and ConfigMaps hold, decoded, so that the rules for secrets read it."""

from __future__ import annotations

from collections.abc import Iterator

from hauberk.scanning.artifact import Note, Place
from hauberk.scanning.document_tree import Document
from hauberk.scanning.kubernetes_manifests import resources
from hauberk.scanning.secret_checks import unwrapped


def stored_values(document: Document) -> Iterator[Note]:
    """Yield `name=value` of every value of a Secret; base64 is a spelling, not a protection."""
    if document.kind != "kubernetes":
        return
    for resource in resources(document.root):
        if resource.get("kind").text != "Secret":
            continue
        for name, value in resource.get("data").fields.items():
            decoded = unwrapped(value.text)
            if decoded:
                yield Note(name="Secret's data", text=f"{name}={decoded}", place=Place(line=value.line))
