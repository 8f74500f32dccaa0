"""A service may do anything in its cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.document_tree import Node
from hauberk.scanning.kubernetes_manifests import resources

_FIX = "list the resources and verbs that are needed"


class ClusterRights:
    """Find roles with every right, bindings to cluster-admin, and pods that carry the cluster's token for nothing.

    What: `verbs: ["*"]`, `cluster-admin`, `automountServiceAccountToken` left on.
    Why: a model server that is taken over then reads every secret of the cluster with the token in its file system.
    Bad: a ClusterRoleBinding of cluster-admin to the service account of a notebook.
    Good: `automountServiceAccountToken: false`; a Role with the resources and verbs that are used.
    Fix: switch the token off; list the rights that are needed.
    """

    card: ClassVar[Card] = Card(
        title="Cluster rights",
        summary="A role has every right, or a pod carries the cluster's token for nothing.",
        paper="CWE-269, CWE-250; Kubernetes RBAC good practices; OWASP LLM06",
        threats=("CWE-269", "CWE-250", "OWASP-LLM06"),
        severity="high",
        reads=("documents", "containers"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge roles and bindings, and the pods' tokens."""
        for document in artifact.documents:
            if document.kind == "kubernetes":
                for resource in resources(document.root):
                    found = _rights(resource)
                    if found is not None:
                        message, severity = found
                        yield Draft(message=message, fix=_FIX, severity=severity, place=Place(line=resource.line))
        for pod in dict.fromkeys(
            container.owner.partition(" of ")[2]
            for container in artifact.containers
            if container.system == "kubernetes" and container.token is None
        ):
            yield Draft(
                message=f"{pod} carries the cluster's token in its file system",
                fix="set automountServiceAccountToken: false where nobody uses it",
                severity="info",
                confidence="medium",
            )


def _rights(resource: Node) -> tuple[str, Severity] | None:
    kind, name = resource.get("kind").text, resource.get("metadata", "name").text
    if kind in ("ClusterRoleBinding", "RoleBinding") and resource.get("roleRef", "name").text == "cluster-admin":
        return f"{kind} {name} makes its subjects cluster-admin", "high"
    if kind not in ("ClusterRole", "Role"):
        return None
    for rule in resource.get("rules").items:
        verbs, things = {*rule.get("verbs").words}, {*rule.get("resources").words}
        if "*" in verbs and "*" in things:
            return f"{kind} {name} may do everything with everything", "high"
        if things & {"secrets", "*"} and verbs & {"*", "get", "list", "watch"} and not rule.get("resourceNames").items:
            return f"{kind} {name} reads every secret", "medium" if kind == "ClusterRole" else "low"
        if things & {"pods/exec", "pods/attach"} and verbs & {"*", "create", "get"}:
            return f"{kind} {name} runs commands in other pods", "medium"
    return None
