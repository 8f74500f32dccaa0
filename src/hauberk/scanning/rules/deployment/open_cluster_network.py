"""A cluster lets anything speak with the model server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.document_tree import Node
from hauberk.scanning.kubernetes_manifests import resources

_WORK = ("Deployment", "StatefulSet", "DaemonSet", "InferenceService", "RayService", "RayCluster")


class OpenClusterNetwork:
    """Find workloads without a NetworkPolicy beside them, policies that let everything in, and Ingresses without TLS.

    What: a Deployment and a Service in a file that has no NetworkPolicy; `ingress: [{}]`; an Ingress without `tls`.
    Why: without a policy every pod of the cluster reaches the server, and the server reaches the whole Internet: a
    payload in a model phones home.
    Bad: a Deployment alone.
    Good: a policy that lets the gateway in and nothing out.
    Fix: `hauberk init --deploy` writes one.
    """

    card: ClassVar[Card] = Card(
        title="Open cluster network",
        summary="No NetworkPolicy stands beside a workload, or it lets everything through.",
        paper="CWE-923, CWE-319; Kubernetes NetworkPolicy; MITRE ATLAS AML.T0025",
        threats=("CWE-923", "CWE-319", "AML.T0025"),
        severity="low",
        reads=("documents",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the resources of a file together."""
        found = [
            item
            for document in artifact.documents
            if document.kind == "kubernetes"
            for item in resources(document.root)
        ]
        kinds = {item.get("kind").text for item in found}
        work = next((item for item in found if item.get("kind").text in _WORK), None)
        if work is not None and not kinds & {"NetworkPolicy", "CiliumNetworkPolicy", "AuthorizationPolicy"}:
            yield Draft(
                message="no NetworkPolicy in this file: every pod reaches the workload, and it reaches the Internet",
                fix="add a NetworkPolicy that lets the gateway in and nothing out",
                confidence="low",
                place=Place(line=work.line),
            )
        for item in found:
            yield from _judge(item)


def _judge(item: Node) -> Iterator[Draft]:
    kind, name, spec = item.get("kind").text, item.get("metadata", "name").text, item.get("spec")
    if kind == "NetworkPolicy" and any(
        rule.kind == "mapping" and not rule.fields for rule in spec.get("ingress").items
    ):
        yield Draft(
            message=f"NetworkPolicy {name} lets everything in",
            fix="name who may come in",
            place=Place(line=spec.get("ingress").line),
        )
    if kind == "Ingress" and spec.get("rules") and not spec.get("tls"):
        yield Draft(
            message=f"Ingress {name} has no TLS: prompts and keys travel in the clear",
            fix="add tls with a certificate",
            place=Place(line=item.line),
        )
