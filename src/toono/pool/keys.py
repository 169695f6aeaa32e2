# SPDX-License-Identifier: Apache-2.0
"""Where a kube-apiserver keeps an object in etcd, and which object a key names.

An API server over the pool's etcd finds what hubs wrote only if each key is exactly
its own. Three rules make them: a built-in resource stands below its own name whatever
its group and version, a few of those below a name of before there were groups, and
resources of CRDs, CRDs themselves and APIServices below group and resource. There is
no component in a key; that is the component key cache's matter. Knows no etcd.
"""

from typing import NamedTuple

from toono.kube.kinds import built_in
from toono.kube.names import GroupResource, is_path_segment
from toono.store.etcd_errors import BadKeyError

DEFAULT_PREFIX = "/registry"

BUILT_IN_GROUPS = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)
"""Served by kube-apiserver's own storage factory: their group is not in the key.
CRDs and APIServices come from the two servers built in beside it, whose keys have it."""

_PLACES = {
    GroupResource("", "endpoints"): "services/endpoints",
    GroupResource("", "nodes"): "minions",
    GroupResource("", "replicationcontrollers"): "controllers",
    GroupResource("", "services"): "services/specs",
    GroupResource("extensions", "ingresses"): "ingress",
    GroupResource("networking.k8s.io", "ingresses"): "ingress",
    GroupResource("policy", "podsecuritypolicies"): "podsecuritypolicy",
}
"""SpecialDefaultResourcePrefixes of kube-apiserver."""
_HOLDERS = {
    "services/endpoints": GroupResource("", "endpoints"),
    "minions": GroupResource("", "nodes"),
    "controllers": GroupResource("", "replicationcontrollers"),
    "services/specs": GroupResource("", "services"),
    "ingress": GroupResource("networking.k8s.io", "ingresses"),
    "podsecuritypolicy": GroupResource("policy", "podsecuritypolicies"),
}
_NESTED = "services"
"""The only place that is two segments long."""


class Place(NamedTuple):
    """The object that a key names."""

    group: str
    resource: str
    namespace: str
    name: str


class StorageKeys:
    """The keys below one prefix (`--coordinator-storage-prefix`)."""

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        segments = prefix.strip("/").split("/")
        if not prefix.startswith("/") or not all(map(is_path_segment, segments)):
            raise BadKeyError(f"{prefix!r} is no prefix of storage keys")
        self.prefix = "/" + "/".join(segments)
        self.root = f"{self.prefix}/".encode()

    def of(self, group: str, resource: str, *, namespace: str, name: str) -> bytes:
        """Return the key of one object; BadKeyError where it can have none."""
        if not is_path_segment(name) or not _encodable(name):
            raise BadKeyError(f"{name!r} is no name")
        return self.collection(group, resource, namespace=namespace) + name.encode()

    def collection(self, group: str, resource: str, *, namespace: str = "") -> bytes:
        """Return what the keys of a resource, or of one namespace, start with.

        It ends with a slash: "default" must not find "default2".
        """
        parts = [self.prefix, _place(group, resource)]
        if namespace:
            if not is_path_segment(namespace) or not _encodable(namespace):
                raise BadKeyError(f"{namespace!r} is no namespace")
            parts.append(namespace)
        return ("/".join(parts) + "/").encode()

    def parse(self, key: bytes) -> Place | None:
        """Return what `key` names, None where it is no object's (others may be there)."""
        if not key.startswith(self.root):
            return None
        try:
            segments = key[len(self.root) :].decode().split("/")
        except UnicodeDecodeError:
            return None
        if not all(map(is_path_segment, segments)):
            return None
        depth, holder = _holder(segments)
        rest = segments[depth:]
        if holder is None or len(rest) not in (1, 2):
            return None
        namespace, name = rest if len(rest) == 2 else ("", rest[0])
        known = built_in(*holder)
        if known is not None and known.namespaced != bool(namespace):
            return None
        return Place(holder.group, holder.resource, namespace, name)


def _place(group: str, resource: str) -> str:
    """Return the middle of a key: the resource's own place below the prefix."""
    for part in (group, resource):
        if part and (not is_path_segment(part) or not _encodable(part)):
            raise BadKeyError(f"{part!r} is no group or resource")
    if not resource:
        raise BadKeyError("a resource without a name")
    place = _PLACES.get(GroupResource(group, resource))
    if place is not None:
        return place
    return resource if group in BUILT_IN_GROUPS else f"{group}/{resource}"


def _holder(segments: list[str]) -> tuple[int, GroupResource | None]:
    """Return how many segments the resource takes, and which it is."""
    first = segments[0]
    if first == _NESTED:
        return 2, _HOLDERS.get("/".join(segments[:2]))
    if first in _HOLDERS:
        return 1, _HOLDERS[first]
    if "." in first and len(segments) > 1:
        return 2, GroupResource(first, segments[1])
    for group in _GROUPS_IN_ORDER:
        found = GroupResource(group, first)
        if built_in(*found) is not None and found not in _PLACES:
            return 1, found
    return 1, None


_GROUPS_IN_ORDER = sorted(BUILT_IN_GROUPS)
"""The core first: events of events.k8s.io live among its own."""


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
