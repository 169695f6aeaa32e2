# SPDX-License-Identifier: Apache-2.0
"""Discovery in its older, unaggregated form: which groups, versions and resources."""

from collections.abc import Iterable

from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.resources import Resource

VERBS = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
]


def document(path: str, resources: Iterable[Resource]) -> JSON | None:
    """Return the discovery document at `path`, None where there is none."""
    served = list(resources)
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = sorted({one.group for one in served if one.group})
        listed = [_group(name, served) for name in groups]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    parts = path.strip("/").split("/")
    if parts[0] == "apis" and len(parts) == 2:
        known = any(one.group == parts[1] for one in served)
        head = {"kind": "APIGroup", "apiVersion": "v1"}
        return head | _group(parts[1], served) if known else None
    if parts[0] == "api" and len(parts) == 2:
        return _resources("", parts[1], served)
    if parts[0] == "apis" and len(parts) == 3:
        return _resources(parts[1], parts[2], served)
    return None


def _group(name: str, served: list[Resource]) -> JSON:
    versions = sorted({one.version for one in served if one.group == name})
    listed = [{"groupVersion": f"{name}/{one}", "version": one} for one in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[-1]}


def _resources(group: str, version: str, served: list[Resource]) -> JSON | None:
    found = [one for one in served if (one.group, one.version) == (group, version)]
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found[0].api_version,
        "resources": [
            {
                "name": one.plural,
                "singularName": one.kind.lower(),
                "namespaced": one.namespaced,
                "kind": one.kind,
                "verbs": VERBS,
            }
            for one in found
        ],
    }
