# SPDX-License-Identifier: Apache-2.0
"""OpenAPI v3 of what is served: an index, and a document for each path in it.

The index names each document by the hash of its content: what has a hash never
changes, and an old hash is led on to the new one. A kube-apiserver's own documents also
say what everything is for, and come in protobuf; these do not, and asked for nothing
else it is a 406.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from urllib.parse import parse_qs

from toono.testing.apiserver.forms import JSON_TYPES, clauses
from toono.testing.apiserver.openapi_paths import paths_of
from toono.testing.apiserver.openapi_schemas import Schemas
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.storage import encode
from toono.wire.messages import Headers, Response

ROOT = "/openapi/v3"
PLAIN = (".well-known/openid-configuration", "openid/v1/jwks", "version")
"""Paths that are no part of any group and have a document."""
_PRIVATE = (b"Cache-Control", b"no-cache, private")
_IMMUTABLE = (b"Cache-Control", b"public, immutable")
_Documents = dict[str, Callable[[], bytes]]


def answer(
    target: str, resources: Iterable[Resource], fields: Mapping[bytes, bytes]
) -> Response | None:
    """Answer a path of OpenAPI v3, with its query; None for any other."""
    path, _, query = target.partition("?")
    if path != ROOT and not path.startswith(ROOT + "/"):
        return None
    documents = _documents(resources)
    if path == ROOT:
        return _index(documents)
    content = documents.get(path.removeprefix(ROOT + "/"))
    if content is None:
        return Response(status=404, headers=[_PRIVATE])
    told = parse_qs(query).get("hash", [""])[0]
    return _document(path, content(), told=told, fields=fields)


def _documents(resources: Iterable[Resource]) -> _Documents:
    served: dict[str, list[Resource]] = {}
    for one in sorted(resources, key=lambda each: each.plural):
        prefix = "apis" if one.group else "api"
        served.setdefault(f"{prefix}/{one.api_version}", []).append(one)
    built_in = {
        one.group for group in served.values() for one in group if not one.custom
    }
    plain = ["api", "apis", *(f"apis/{group}" for group in built_in if group), *PLAIN]
    found: _Documents = {name: partial(_plain, name) for name in plain}
    for name, group in served.items():
        found[name] = partial(_content, tuple(group))
    return found


def _index(documents: _Documents) -> Response:
    paths = {
        name: {"serverRelativeURL": _located(f"{ROOT}/{name}", documents[name]())}
        for name in sorted(documents)
    }
    # kube-apiserver says text/plain of its index, and so clients must bear it.
    headers = [_PRIVATE, (b"Content-Type", b"text/plain; charset=utf-8")]
    return Response(status=200, headers=headers, content=encode({"paths": paths}))


def _document(
    path: str, content: bytes, *, told: str, fields: Mapping[bytes, bytes]
) -> Response:
    if told and told != _hash(content):
        where = (b"Location", _located(path, content).encode())
        return Response(status=301, headers=[_PRIVATE, where])
    accept = fields.get(b"accept", b"").decode("latin-1") or "*/*"
    if not any(one["type"] in JSON_TYPES for one in clauses(accept)):
        return Response(status=406, headers=[_PRIVATE, (b"Vary", b"Accept")])
    etag = f'"{_hash(content)}"'.encode()
    headers: Headers = [_IMMUTABLE if told else _PRIVATE]
    headers += [(b"Etag", etag), (b"Vary", b"Accept")]
    if fields.get(b"if-none-match", b"") == etag:
        return Response(status=304, headers=headers)
    headers.append((b"Content-Type", b"application/json"))
    return Response(status=200, headers=headers, content=content)


def _located(path: str, content: bytes) -> str:
    return f"{path}?hash={_hash(content)}"


def _hash(content: bytes) -> str:
    return hashlib.sha512(content).hexdigest().upper()


@lru_cache(maxsize=256)
def _content(resources: tuple[Resource, ...]) -> bytes:
    schemas = Schemas()
    paths = dict(sorted(_paths(resources, schemas)))
    info = {"title": "Kubernetes", "version": "1.34"}
    if resources[0].custom:
        info = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
    return _written(info, paths, {"schemas": schemas.document()})


def _paths(
    resources: Iterable[Resource], schemas: Schemas
) -> Iterator[tuple[str, JSON]]:
    for one in resources:
        yield from paths_of(one, schemas.add(one))


def _plain(name: str) -> bytes:
    """Return the document of a path that is only read."""
    answers = {
        "200": {"description": "OK", "content": {"application/json": {}}},
        "401": {"description": "Unauthorized"},
    }
    tag = name.rpartition("/")[2].partition(".")[0]
    operation = {"tags": [tag], "operationId": f"get {name}", "responses": answers}
    info = {"title": "Kubernetes", "version": "1.34"}
    return _written(info, {f"/{name}/": {"get": operation}}, {})


def _written(info: JSON, paths: JSON, components: JSON) -> bytes:
    document = {"openapi": "3.0.0", "info": info, "paths": paths}
    return encode(document | {"components": components})
