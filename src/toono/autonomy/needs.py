# SPDX-License-Identifier: Apache-2.0
"""What a kubelet asks for when it starts, and for each of its pods: from values alone.

The questions are those of kubelets 1.30 to 1.34, as they write them: an informer for
each secret and config map, by name. Nothing here asks; who does is `prefetch`.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from toono.codec.sent import JSON, Values, text_in, write_sent

LISTING = "limit=500&resourceVersion=0"
API = "authentication.k8s.io/v1"


class Need(NamedTuple):
    """One question: a target to GET, or to POST where there is something to send."""

    target: str
    sent: bytes = b""
    """JSON."""


def of_node(node: str) -> Iterator[Need]:
    """Yield what a kubelet reads before it looks at any pod."""
    name = quote(node, safe="")
    yield _listed("/api/v1/nodes", f"metadata.name={node}")
    yield _listed("/api/v1/services", "spec.clusterIP!=None")
    yield _listed("/apis/storage.k8s.io/v1/csidrivers")
    yield _listed("/apis/node.k8s.io/v1/runtimeclasses")
    yield pods_of(node)
    yield Need(f"/apis/storage.k8s.io/v1/csinodes/{name}")


def pods_of(node: str) -> Need:
    """Return the question for the node's pods."""
    return _listed("/api/v1/pods", f"spec.nodeName={node}")


def of_pod(pod: Values) -> Iterator[Need]:
    """Yield what a kubelet reads to start a pod; tokens last."""
    namespace = text_in(pod, "metadata", "namespace")
    base = f"/api/v1/namespaces/{quote(namespace, safe='')}"
    mounted = sorted({*_by_volumes(pod), *_by_containers(pod), *_by_pulls(pod)})
    for resource, name in mounted:
        if name:
            yield _listed(f"{base}/{resource}", f"metadata.name={name}")
    for claim in _claims(pod):
        yield Need(f"{base}/persistentvolumeclaims/{quote(claim, safe='')}")
    for source in _tokens(pod):
        yield _token(pod, base, source)


def _listed(path: str, selector: str = "") -> Need:
    chosen = f"fieldSelector={quote(selector, safe='')}&" if selector else ""
    return Need(f"{path}?{chosen}{LISTING}")


def _by_volumes(pod: Values) -> Iterator[tuple[str, str]]:
    for volume in _maps(pod, "spec", "volumes"):
        yield "secrets", text_in(volume, "secret", "secretName")
        yield "configmaps", text_in(volume, "configMap", "name")
        yield "secrets", text_in(volume, "csi", "nodePublishSecretRef", "name")
        for source in _maps(volume, "projected", "sources"):
            yield "secrets", text_in(source, "secret", "name")
            yield "configmaps", text_in(source, "configMap", "name")


def _by_containers(pod: Values) -> Iterator[tuple[str, str]]:
    for field in ("containers", "initContainers"):
        for container in _maps(pod, "spec", field):
            for source in _maps(container, "envFrom"):
                yield "secrets", text_in(source, "secretRef", "name")
                yield "configmaps", text_in(source, "configMapRef", "name")
            for variable in _maps(container, "env"):
                given = ("valueFrom", "secretKeyRef", "name")
                yield "secrets", text_in(variable, *given)
                given = ("valueFrom", "configMapKeyRef", "name")
                yield "configmaps", text_in(variable, *given)


def _by_pulls(pod: Values) -> Iterator[tuple[str, str]]:
    for secret in _maps(pod, "spec", "imagePullSecrets"):
        yield "secrets", text_in(secret, "name")


def _claims(pod: Values) -> Iterable[str]:
    found = set()
    for volume in _maps(pod, "spec", "volumes"):
        found.add(text_in(volume, "persistentVolumeClaim", "claimName"))
        if "ephemeral" in volume:
            pod_name = text_in(pod, "metadata", "name")
            found.add(f"{pod_name}-{text_in(volume, 'name')}")
    return sorted(found - {""})


def _tokens(pod: Values) -> Iterator[Values]:
    for volume in _maps(pod, "spec", "volumes"):
        for source in _maps(volume, "projected", "sources"):
            token = source.get("serviceAccountToken")
            if isinstance(token, dict):
                yield token


def _token(pod: Values, base: str, source: Values) -> Need:
    """Return the TokenRequest that a kubelet makes of a projected token."""
    account = text_in(pod, "spec", "serviceAccountName") or "default"
    audience = text_in(source, "audience")
    sent: Values = {
        "kind": "TokenRequest",
        "apiVersion": API,
        "metadata": {},
        "spec": {
            "audiences": [audience] if audience else [],
            "expirationSeconds": source.get("expirationSeconds") or 3600,
            "boundObjectRef": {
                "kind": "Pod",
                "apiVersion": "v1",
                "name": text_in(pod, "metadata", "name"),
                "uid": text_in(pod, "metadata", "uid"),
            },
        },
    }
    return Need(
        f"{base}/serviceaccounts/{quote(account, safe='')}/token",
        write_sent(sent, JSON),
    )


def _maps(values: Any, *path: str) -> Iterator[Values]:
    """Yield the objects of a list at a path; whatever else stands there is none."""
    for step in path:
        values = values.get(step) if isinstance(values, dict) else None
    for one in values if isinstance(values, list) else ():
        if isinstance(one, dict):
            yield one
