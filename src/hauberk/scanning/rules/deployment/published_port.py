"""A model server's port is open to the whole network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.document_tree import Node
from hauberk.scanning.kubernetes_manifests import resources
from hauberk.scanning.model_servers import KEYLESS, server_of


class PublishedPort:
    """Find ports of model servers, notebooks, dashboards and vector stores published on every interface of the host.

    What: `ports: ["11434:11434"]` of a service without authentication of its own.
    Why: Docker opens the port past the host's firewall; whoever finds it runs models, jobs or code.
    Bad: `- "8265:8265"` for Ray's dashboard.
    Good: `- "127.0.0.1:8265:8265"`, or `expose` and a gateway that authenticates.
    Fix: bind it to 127.0.0.1 or take it out of `ports`.
    """

    card: ClassVar[Card] = Card(
        title="Published port",
        summary="A port of a server without authentication is open to the whole network.",
        paper="CWE-668, CWE-306; OWASP LLM10; MITRE ATLAS AML.T0049; CIS Docker Benchmark 5.13",
        threats=("CWE-668", "CWE-306", "AML.T0049"),
        severity="medium",
        reads=("containers", "documents"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every published port, and the Services of a cluster."""
        for container in artifact.containers:
            for port in container.ports:
                if port.host.startswith(("127.", "localhost", "[::1]", "::1", "$")):
                    continue
                server = server_of(container.image, port.inner)
                if server:
                    yield Draft(
                        message=f"{container.owner} opens port {port.outer} of {server} to the whole network",
                        fix="bind it to 127.0.0.1, or put an authenticating gateway before it",
                        severity="medium" if server in KEYLESS else "low",
                        place=port.place,
                    )
        for document in artifact.documents:
            if document.kind == "kubernetes":
                for resource in resources(document.root):
                    yield from _services(resource)


def _services(resource: Node) -> Iterator[Draft]:
    spec = resource.get("spec")
    if resource.get("kind").text != "Service" or spec.get("type").text not in ("LoadBalancer", "NodePort"):
        return
    inner = any(
        "internal" in key and value.text for key, value in resource.get("metadata", "annotations").fields.items()
    )
    if inner or spec.get("loadBalancerSourceRanges").items:
        return
    name = resource.get("metadata", "name").text
    for port in spec.get("ports").items:
        numbers = {port.get("port").text, port.get("targetPort").text}
        server = next(
            (found for text in sorted(numbers) if text.isdigit() and (found := server_of("", int(text[:5])))), ""
        )
        selected = " ".join(
            spec.get("selector").words + tuple(node.text for node in spec.get("selector").fields.values())
        )
        server = server or server_of(f"{name} {selected}", 0)
        if server:
            yield Draft(
                message=f"Service {name} ({spec.get('type').text}) opens {server} beyond the cluster",
                fix="make it a ClusterIP, and put an authenticating gateway before it",
                severity="medium" if server in KEYLESS else "low",
                place=Place(line=port.line),
            )
            return
