# SPDX-License-Identifier: Apache-2.0
"""OpenAPI v3 of what can be done with a resource: its paths, verbs and options.

Held to the document that a kube-apiserver 1.34 gives of a custom resource; what each
option is for is not told. Built-in resources are told in the same way: of the media
types they come in beside JSON and YAML nothing is said.
"""

from collections.abc import Iterator, Sequence

from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.served import ALL_VERBS

SCHEMAS = "#/components/schemas/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_TYPES = {
    "allowWatchBookmarks": "boolean",
    "force": "boolean",
    "gracePeriodSeconds": "integer",
    "ignoreStoreReadErrorWithClusterBreakingPotential": "boolean",
    "limit": "integer",
    "orphanDependents": "boolean",
    "sendInitialEvents": "boolean",
    "timeoutSeconds": "integer",
    "watch": "boolean",
}
"""Of options that are no strings."""
_OF_LISTS = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit",
    "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds",
    "watch",
)  # fmt: skip
_OF_WRITES = ("dryRun", "fieldManager", "fieldValidation")
_OF_DELETES = (
    "dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents", "propagationPolicy",
)  # fmt: skip
_PATCHES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
)
_PLAIN = ("application/json", "application/yaml")
_UNAUTHORIZED = {"401": {"description": "Unauthorized"}}


def paths_of(resource: Resource, schema: str) -> Iterator[tuple[str, JSON]]:
    """Yield the paths of a resource whose schema has this name."""
    prefix = "/apis" if resource.group else "/api"
    root = f"{prefix}/{resource.api_version}/"
    of = _Operations(resource, schema)
    many = root + resource.plural
    if resource.namespaced:
        if "list" in of.verbs:
            yield many, of.everywhere()
        many = f"{root}namespaces/{{namespace}}/{resource.plural}"
    yield many, of.many()
    yield many + "/{name}", of.one()
    if resource.has_status:
        yield many + "/{name}/status", of.status()


class _Operations:
    """What may be asked of one resource."""

    def __init__(self, resource: Resource, schema: str) -> None:
        self.verbs = resource.verbs or ALL_VERBS
        self._resource, self._schema = resource, schema
        self._scope = ["namespace"] if resource.namespaced else []

    def everywhere(self) -> JSON:
        listed = self._list("list", "ForAllNamespaces", options=())
        return {"get": listed, "parameters": _parameters(*sorted((*_OF_LISTS, PRETTY)))}

    def many(self) -> JSON:
        schema = self._schema
        told = {
            "get": ("list", self._list("list", "", options=_OF_LISTS)),
            "post": ("create", self._write("create", schema, (200, 201, 202))),
            "delete": ("deletecollection", self._clear()),
        }
        return self._offered(told) | self._common()

    def one(self) -> JSON:
        told = {"get": ("get", self._get()), **self._changes()}
        told["delete"] = ("delete", self._delete())
        order = ("get", "put", "delete", "patch")
        return self._offered({key: told[key] for key in order}) | self._common("name")

    def status(self) -> JSON:
        told = {"get": ("get", self._get("Status")), **self._changes("Status")}
        return self._offered(told) | self._common("name")

    def _offered(self, told: dict[str, tuple[str, JSON]]) -> JSON:
        return {
            method: each for method, (verb, each) in told.items() if verb in self.verbs
        }

    def _common(self, *names: str) -> JSON:
        return {"parameters": _parameters(*names, *self._scope, PRETTY)}

    # -- one operation each ------------------------------------------------------

    def _list(self, verb: str, end: str, *, options: Sequence[str]) -> JSON:
        answer = _answers(self._schema + "List", (200,))
        told = {"parameters": _parameters(*options)} if options else {}
        return self._told(verb, end, told | answer, everywhere=bool(end))

    def _get(self, part: str = "") -> JSON:
        told = {"parameters": _parameters("resourceVersion")}
        return self._told("read", part, told | _answers(self._schema, (200,)), "get")

    def _changes(self, part: str = "") -> dict[str, tuple[str, JSON]]:
        return {
            "put": ("update", self._write("replace", self._schema, (200, 201), part)),
            "patch": ("patch", self._patch(part)),
        }

    def _write(
        self, verb: str, schema: str, codes: Sequence[int], part: str = ""
    ) -> JSON:
        body = {"content": _content(schema, _PLAIN), "required": True}
        told = {"parameters": _parameters(*_OF_WRITES), "requestBody": body}
        action = "post" if verb == "create" else "put"
        return self._told(verb, part, told | _answers(schema, codes), action)

    def _patch(self, part: str) -> JSON:
        body = {"content": _content(META + "Patch", _PATCHES), "required": True}
        told = {"parameters": _parameters(*_OF_WRITES, "force"), "requestBody": body}
        return self._told("patch", part, told | _answers(self._schema, (200,)))

    def _delete(self) -> JSON:
        body = {"content": _content(META + "DeleteOptions", _PLAIN)}
        told = {"parameters": _parameters(*_OF_DELETES), "requestBody": body}
        return self._told("delete", "", told | _answers(META + "Status", (200, 202)))

    def _clear(self) -> JSON:
        told = {"parameters": _parameters(*_OF_LISTS)}
        told |= _answers(META + "Status", (200,))
        return self._told("delete", "", told, "deletecollection")

    def _told(
        self,
        verb: str,
        part: str,
        content: JSON,
        action: str = "",
        *,
        everywhere: bool = False,
    ) -> JSON:
        resource = self._resource
        group, version = (
            resource.group.removesuffix(".k8s.io") or "core",
            resource.version,
        )
        camel = "".join(word[:1].upper() + word[1:] for word in group.split("."))
        collection = "Collection" if action == "deletecollection" else ""
        scope = "Namespaced" if resource.namespaced and not everywhere else ""
        start = f"{verb}{camel}{version[:1].upper()}{version[1:]}{collection}{scope}"
        return {
            "tags": [f"{camel[:1].lower()}{camel[1:]}_{version}"],
            "operationId": f"{start}{resource.kind}{part}",
            **content,
            "x-kubernetes-action": action or verb,
            "x-kubernetes-group-version-kind": gvk(resource),
        }


PRETTY = "pretty"


def gvk(resource: Resource) -> JSON:
    """Return what a resource's objects are, as an operation tells it."""
    return {
        "group": resource.group,
        "version": resource.version,
        "kind": resource.kind,
    }


def _parameters(*names: str) -> list[JSON]:
    return [_parameter(name) for name in names]


def _parameter(name: str) -> JSON:
    in_path = name in ("name", "namespace")
    kind = {"type": _TYPES.get(name, "string"), "uniqueItems": True}
    required = {"required": True} if in_path else {}
    place = "path" if in_path else "query"
    return {"name": name, "in": place, **required, "schema": kind}


def _content(schema: str, media_types: Sequence[str]) -> JSON:
    reference = {"schema": {"$ref": SCHEMAS + schema}}
    return dict.fromkeys(media_types, reference)


_WORDS = {200: "OK", 201: "Created", 202: "Accepted"}


def _answers(schema: str, codes: Sequence[int]) -> JSON:
    content = _content(schema, _PLAIN)
    told = {
        f"{code}": {"description": _WORDS[code], "content": content} for code in codes
    }
    return {"responses": told | _UNAUTHORIZED}
