# SPDX-License-Identifier: Apache-2.0
"""OpenAPI v3 of what is served: as much as tells a client which fields there are.

An index names one document a group-version, with the hash of its content; what has a
hash never changes. Built-in kinds are told from the field table of the wire format,
custom ones from their definitions. A kube-apiserver's own documents say more: every
operation's parameters, and what each field is for.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

from toono.codec.schema import Field, fields_of, message_of, messages
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.served import ALL_VERBS
from toono.testing.apiserver.storage import encode
from toono.wire.messages import Headers, Response

ROOT = "/openapi/v3"
_SCALARS: Mapping[str, JSON] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "list:string": {"type": "array", "items": {"type": "string"}},
    "Time": {"type": "string", "format": "date-time"},
    "MicroTime": {"type": "string", "format": "date-time"},
    "Quantity": {"type": "string"},
    "IntOrString": {"type": "string", "format": "int-or-string"},
}
"""What is no message of its own; any other type is some object."""
_META = "meta.v1.ObjectMeta"
_OPERATIONS = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}
_OPTIONS = [{"name": name, "in": "query"} for name in ("dryRun", "fieldValidation")]
"""Of writes: where kubectl finds them it leaves validation to the server."""


def answer(
    path: str, resources: Iterable[Resource], fields: Mapping[bytes, bytes]
) -> Response | None:
    """Answer a path of OpenAPI v3; None for any other."""
    if path != ROOT and not path.startswith(ROOT + "/"):
        return None
    served: dict[str, list[Resource]] = {}
    for one in sorted(resources, key=lambda each: each.plural):
        prefix = "apis" if one.group else "api"
        served.setdefault(f"{prefix}/{one.api_version}", []).append(one)
    if path == ROOT:
        return _index(served)
    found = served.get(path.removeprefix(ROOT + "/"))
    return None if found is None else _document(found, fields)


def _index(served: Mapping[str, list[Resource]]) -> Response:
    paths = {
        name: {
            "serverRelativeURL": f"{ROOT}/{name}?hash={_hash(_content(served[name]))}"
        }
        for name in sorted(served)
    }
    # kube-apiserver says text/plain of its index, and so clients must bear it.
    kind = (b"Content-Type", b"text/plain; charset=utf-8")
    return Response(status=200, headers=[kind], content=encode({"paths": paths}))


def _document(resources: list[Resource], fields: Mapping[bytes, bytes]) -> Response:
    content = _content(resources)
    etag = f'"{_hash(content)}"'.encode()
    headers: Headers = [(b"Etag", etag), (b"Vary", b"Accept")]
    if fields.get(b"if-none-match", b"") == etag:
        return Response(status=304, headers=headers)
    headers.append((b"Content-Type", b"application/json"))
    return Response(status=200, headers=headers, content=content)


def _hash(content: bytes) -> str:
    return hashlib.sha512(content).hexdigest().upper()


def _content(resources: list[Resource]) -> bytes:
    schemas: JSON = {}
    paths: JSON = {}
    for one in resources:
        schemas[_name(one)] = _schema(one, schemas)
        paths |= _paths(one)
    return encode(
        {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.34.0"},
            "paths": paths,
            "components": {"schemas": schemas},
        }
    )


def _name(resource: Resource) -> str:
    message = message_of(resource.kind, resource.api_version)
    if message is not None and not resource.custom:
        return message
    turned = ".".join(reversed(resource.group.split(".")))
    return f"{turned}.{resource.version}.{resource.kind}"


def _gvk(resource: Resource) -> JSON:
    return {
        "group": resource.group,
        "version": resource.version,
        "kind": resource.kind,
    }


def _paths(resource: Resource) -> JSON:
    prefix = "/apis" if resource.group else "/api"
    root = f"{prefix}/{resource.api_version}/"
    many = root + resource.plural
    if resource.namespaced:
        many = f"{root}namespaces/{{namespace}}/{resource.plural}"
    verbs = resource.verbs or ALL_VERBS
    found = {many: {"get": "list", "post": "create", "delete": "deletecollection"}}
    found[many + "/{name}"] = {method: verb for verb, method in _OPERATIONS.items()}
    return {
        path: {
            method: {
                "parameters": _OPTIONS if method in ("post", "put", "patch") else [],
                "x-kubernetes-action": verb,
                "x-kubernetes-group-version-kind": _gvk(resource),
            }
            for method, verb in operations.items()
            if verb in verbs
        }
        for path, operations in found.items()
    }


# -- schemas -----------------------------------------------------------------------------


def _schema(resource: Resource, schemas: JSON) -> JSON:
    kind = {"x-kubernetes-group-version-kind": [_gvk(resource)]}
    of_all = {"apiVersion": _SCALARS["string"], "kind": _SCALARS["string"]}
    if not resource.custom:
        message = message_of(resource.kind, resource.api_version)
        told: JSON = _message(message, schemas) if message else {}
        properties: JSON = {**of_all, **told.get("properties", {})}
        return {"type": "object", "properties": properties} | kind
    _refer(_META, schemas)
    told = _defined(resource)
    metadata = {"metadata": _reference(_META)}
    properties = {**of_all, **metadata, **told.get("properties", {}), **metadata}
    return {**told, "type": "object", "properties": properties} | kind


def _defined(resource: Resource) -> JSON:
    definition = json.loads(resource.definition or b"{}")
    for version in definition.get("spec", {}).get("versions", ()):
        if version["name"] == resource.version:
            schema = version.get("schema") or {}
            return dict(schema.get("openAPIV3Schema") or {"type": "object"})
    return {"type": "object"}


def _message(name: str, schemas: JSON) -> JSON:
    properties: JSON = {}
    for field in fields_of(name):
        if field.inline:
            if field.type in messages():
                properties |= _message(field.type, schemas)["properties"]
        else:
            properties[field.name] = _typed(field, schemas)
    return {"type": "object", "properties": properties}


def _typed(field: Field, schemas: JSON) -> JSON:
    told = _SCALARS.get(field.type)
    if told is None:
        known = field.type in messages()
        told = _refer(field.type, schemas) if known else {"type": "object"}
    if field.map:
        return {"type": "object", "additionalProperties": told}
    return {"type": "array", "items": told} if field.repeated else told


def _refer(name: str, schemas: JSON) -> JSON:
    """Return a reference to a message, told of once however often it is named."""
    if name not in schemas:
        schemas[name] = {}
        schemas[name] = _message(name, schemas)
    return _reference(name)


def _reference(name: str) -> JSON:
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}
