# SPDX-License-Identifier: Apache-2.0
"""An API server in one process: the verbs of the Kubernetes API over `Storage`.

What it answers is held to recordings of a real kube-apiserver (tests/conformance).
"""

import base64
import json
import ssl
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from toono.runtime.clock import Clock, SystemClock
from toono.testing.apiserver.crds import API_SERVICES, CRDS, Definitions, api_service
from toono.testing.apiserver.discovery import (
    Discovery,
    is_served,
    page_not_found,
    unavailable,
)
from toono.testing.apiserver.query import (
    JSON,
    Place,
    Query,
    Refusal,
    Selects,
    field_selector,
    label_selector,
    place_of,
)
from toono.testing.apiserver.resources import Resource, built_in, in_version, shaped
from toono.testing.apiserver.storage import ExpiredError, Storage, Stored, encode
from toono.testing.apiserver.watch import Watch
from toono.wire.messages import BytesBody, Headers, Request, Response
from toono.wire.server import Server, ServerSettings

JSON_TYPE = (b"Content-Type", b"application/json")
PRIVATE = (b"Cache-Control", b"no-cache, private")
Fault = Callable[[Request], Awaitable[Response | None]]


class APIServer:
    """One API server. Several may share one `storage`, as over one etcd."""

    def __init__(
        self,
        storage: Storage | None = None,
        *,
        clock: Clock | None = None,
        bookmark_seconds: float = 60.0,
        too_large_seconds: float = 3.0,
    ) -> None:
        self.storage = storage or Storage()
        self.clock = clock or SystemClock()
        self.bookmark_seconds = bookmark_seconds
        self.too_large_seconds = too_large_seconds
        self.resources = built_in()
        self.discovery = Discovery()
        self.definitions = Definitions(self.storage, self.resources, self.clock)
        self.ready = True
        self.fault: Fault | None = None
        """Asked first: an answer of its own replaces the server's."""
        self.requests: list[tuple[str, str]] = []
        self._server: Server | None = None
        self.address = ("", 0)
        self._scheme = "http"

    # -- life ----------------------------------------------------------------

    async def start(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen; `url` says where."""
        settings = ServerSettings(connections_loopback=2000)
        self._server = Server(
            self.handle, refuse=_refuse, clock=self.clock, settings=settings
        )
        self.address = await self._server.start(host, port, tls=tls)
        self._scheme = "https" if tls else "http"
        self.definitions.start()

    @property
    def url(self) -> str:
        """Where clients find this server."""
        return f"{self._scheme}://{self.address[0]}:{self.address[1]}"

    async def aclose(self) -> None:
        """Stop, and break every connection."""
        await self.definitions.aclose()
        if self._server is not None:
            await self._server.aclose()

    # -- for tests: changes without a client -----------------------------------

    def add_resource(self, resource: Resource) -> None:
        """Serve one more resource."""
        self.resources[resource.group, resource.version, resource.plural] = resource

    def set_available(self, group: str, version: str, *, available: bool) -> None:
        """Let the aggregated API of a group-version go down, or come back."""
        self.discovery.stale.discard((group, version))
        if not available:
            self.discovery.stale.add((group, version))
        content = api_service(group, version, available=available)
        key = ("", content["metadata"]["name"])
        self.storage.put(API_SERVICES.qualified, key, content)

    def create(self, plural: str, content: JSON, *, namespace: str = "") -> JSON:
        """Create an object; returns it as stored."""
        resource = self._named(plural)
        return self._create(resource, namespace, content, dry_run=False).object

    def update(self, plural: str, content: JSON, *, namespace: str = "") -> JSON:
        """Replace an object, whatever its version."""
        resource = self._named(plural)
        key = (namespace, content["metadata"]["name"])
        old = self._collection(resource).now[key]
        return self._replace(resource, old, content).object

    def delete(self, plural: str, name: str, *, namespace: str = "") -> None:
        """Delete an object at once."""
        resource = self._named(plural)
        self.storage.delete(resource.qualified, (namespace, name))

    def _named(self, plural: str) -> Resource:
        for resource in self.resources.values():
            if plural in (resource.plural, resource.qualified):
                return resource
        raise KeyError(plural)

    # -- requests --------------------------------------------------------------

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        target = request.target.decode()
        self.requests.append((request.method, target))
        try:
            if self.fault is not None:
                answer = await self.fault(request)
                if answer is not None:
                    return answer
            path, _, raw = target.partition("?")
            place = place_of(path)
            if place is None:
                return self._plain(path.rstrip("/"), request)
            return await self._resource(request, place, Query(raw))
        except ExpiredError as exc:
            return _refusal(Refusal(410, "Expired", str(exc)))
        except Refusal as refusal:
            return _refusal(refusal)

    def _plain(self, path: str, request: Request) -> Response:
        text = {"/healthz": b"ok", "/livez": b"ok", "/readyz": b"ok"}.get(path)
        if path == "/version":
            content = {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
            return _json(200, content)
        shown = self.definitions.all_shown()
        discovered = self.discovery.answer(path, request.fields, shown)
        if discovered is not None:
            return discovered
        if text is None:
            message = "the server could not find the requested resource"
            raise Refusal(404, "NotFound", message, {})
        if path == "/readyz" and not self.ready:
            return Response(status=500, content=b"not ready")
        headers: Headers = [(b"Content-Type", b"text/plain; charset=utf-8")]
        return Response(status=200, headers=headers, content=text)

    async def _resource(self, request: Request, place: Place, query: Query) -> Response:
        resource = self.resources.get((place.group, place.version, place.plural))
        if (place.group, place.version) in self.discovery.stale:
            return unavailable()
        if not is_served(place.group, self.resources.values()):
            return page_not_found()
        if resource is None or place.subresource not in ("", "status"):
            message = "the server could not find the requested resource"
            raise Refusal(404, "NotFound", message, {})
        _accepts_json(request)
        method = request.method
        if method in ("GET", "HEAD"):
            return await self._read(resource, place, query)
        body = await _body_of(request)
        if method == "POST" and not place.name:
            dry = bool(query.text("dryRun"))
            made = self._create(resource, place.namespace, _parsed(body), dry_run=dry)
            return _object(resource, 201, made)
        if method == "DELETE":
            return self._delete(resource, place, query, body)
        if not place.name or method not in ("PUT", "PATCH"):
            message = "the server does not allow this method on the requested resource"
            raise Refusal(405, "MethodNotAllowed", message, {})
        old = self._existing(resource, place)
        if method == "PUT":
            content = _parsed(body)
            _check_version(resource, old, content)
        else:
            kind = request.fields.get(b"content-type", b"").partition(b";")[0]
            if kind not in (
                b"application/merge-patch+json",
                b"application/strategic-merge-patch+json",
            ):
                raise Refusal(
                    415,
                    "UnsupportedMediaType",
                    "the body of the request was in an unknown format - accepted media"
                    " types include: application/merge-patch+json",
                )
            content = merged(old.object, _parsed(body))
            _check_version(resource, old, content)
        return _object(resource, 200, self._replace(resource, old, content))

    # -- reads -----------------------------------------------------------------

    async def _read(self, resource: Resource, place: Place, query: Query) -> Response:
        if place.name:
            return _object(resource, 200, self._existing(resource, place))
        version = query.version()
        selects = self._selector(resource, place, query)
        if query.true("watch"):
            return self._watch(resource, query, selects, version)
        if version is not None and version > self.storage.version:
            await self.clock.sleep(self.too_large_seconds)
            if version > self.storage.version:
                raise _too_large(version, self.storage.version)
        return self._list(resource, query, selects, version)

    def _selector(self, resource: Resource, place: Place, query: Query) -> Selects:
        labels = label_selector(query.text("labelSelector"))
        fields = field_selector(query.text("fieldSelector"), resource.fields)
        namespace = place.namespace

        def selects(content: JSON) -> bool:
            inside = not namespace or content["metadata"].get("namespace") == namespace
            return inside and labels(content) and fields(content)

        return selects

    def _list(
        self, resource: Resource, query: Query, selects: Selects, version: int | None
    ) -> Response:
        match = query.text("resourceVersionMatch")
        if match and version is None:
            raise _invalid_options("resourceVersionMatch is forbidden for list")
        limit, token = query.number("limit"), query.text("continue")
        at, start = self.storage.version, ""
        if token:
            at, start = _read_token(token)
            self.storage.check(at)
        elif match == "Exact" and version is not None:
            at = version
        if at < self.storage.compacted:
            text = f"The provided continue parameter is too old: {at}"
            raise Refusal(410, "Expired", text)
        collection = self._collection(resource)
        state = collection.now if at == self.storage.version else collection.at(at)
        found = sorted(
            (one for one in state.values() if selects(one.object)),
            key=lambda one: "/".join(one.key),
        )
        found = [one for one in found if "/".join(one.key) >= start]
        rest: list[Stored] = []
        if limit and version != 0:
            found, rest = found[:limit], found[limit:]
        return self._write_list(resource, found, rest, at, selected=bool(query))

    def _write_list(
        self,
        resource: Resource,
        found: list[Stored],
        rest: list[Stored],
        at: int,
        *,
        selected: bool,
    ) -> Response:
        meta: JSON = {"resourceVersion": str(at)}
        if rest:
            meta["continue"] = _make_token(at, "/".join(found[-1].key) + "\0")
            meta["remainingItemCount"] = len(rest)
        head = {"kind": resource.kind + "List", "apiVersion": resource.api_version}
        items = b",".join(item_bytes(resource, one) for one in found)
        if resource.custom:
            meta = {"continue": meta.get("continue", ""), **meta}
            content = (
                b'{"apiVersion":"%b","items":[%b],"kind":"%b","metadata":%b}\n'
                % (
                    resource.api_version.encode(),
                    items,
                    head["kind"].encode(),
                    encode(dict(sorted(meta.items()))),
                )
            )
        else:
            start = encode(head | {"metadata": meta})[:-1]
            content = start + b',"items":[' + items + b"]}\n"
        return Response(status=200, headers=[JSON_TYPE, PRIVATE], content=content)

    def _watch(
        self, resource: Resource, query: Query, selects: Selects, version: int | None
    ) -> Response:
        initial = query.true("sendInitialEvents")
        if initial and query.text("resourceVersionMatch") != "NotOlderThan":
            raise _invalid_options(
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            )
        body = Watch(
            self.storage,
            resource,
            selects=selects,
            start=None if initial else version,
            initial_events_end=initial,
            bookmarks=query.true("allowWatchBookmarks"),
            bookmark_seconds=self.bookmark_seconds,
            seconds=query.number("timeoutSeconds") or 1800,
            clock=self.clock,
        )
        return Response(status=200, headers=[JSON_TYPE, PRIVATE], body=body)

    # -- writes ----------------------------------------------------------------

    def _collection(self, resource: Resource) -> Any:
        return self.storage.collection(resource.qualified)

    def _existing(self, resource: Resource, place: Place) -> Stored:
        key = (place.namespace, place.name)
        found: Stored | None = self._collection(resource).now.get(key)
        if found is None:
            raise _not_found(resource, place.name)
        return found

    def _create(
        self, resource: Resource, namespace: str, content: JSON, *, dry_run: bool
    ) -> Stored:
        meta = dict(content.get("metadata") or {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
        name = meta.get("name", "")
        if not name:
            raise _invalid(resource, name, "metadata.name", "Required value")
        if resource.namespaced:
            meta["namespace"] = meta.get("namespace") or namespace
            if namespace and meta["namespace"] != namespace:
                message = (
                    "the namespace of the provided object does not match the request"
                )
                raise Refusal(400, "BadRequest", message)
        key = (meta.get("namespace", "") if resource.namespaced else "", name)
        if key in self._collection(resource).now:
            raise Refusal(
                409,
                "AlreadyExists",
                f'{resource.qualified} "{name}" already exists',
                _details(resource, name),
            )
        meta |= {"resourceVersion": ""}
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("generation", 1)
        meta.setdefault("creationTimestamp", _now())
        whole = {
            **content,
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": meta,
        }
        if dry_run:
            return Stored(key, 0, shaped(resource, whole))
        return self.storage.put(resource.qualified, key, shaped(resource, whole))

    def _replace(self, resource: Resource, old: Stored, content: JSON) -> Stored:
        before = old.object["metadata"]
        if resource.qualified == CRDS.qualified and "status" not in content:
            content = {**content, "status": old.object.get("status")}
        fixed = ("uid", "creationTimestamp", "name", "namespace", "deletionTimestamp")
        kept = {name: before[name] for name in fixed if name in before}
        meta = {
            **content["metadata"],
            **kept,
            "generation": before.get("generation", 1),
        }
        meta["resourceVersion"] = before["resourceVersion"]
        whole = shaped(
            resource,
            {
                **content,
                "kind": resource.kind,
                "apiVersion": resource.api_version,
                "metadata": meta,
            },
        )
        if encode(whole) == encode(old.object):
            return old  # a write of what is there changes nothing, not the version
        if "deletionTimestamp" in meta and not meta.get("finalizers"):
            return self.storage.delete(resource.qualified, old.key)
        return self.storage.put(resource.qualified, old.key, whole)

    def _delete(
        self, resource: Resource, place: Place, query: Query, body: bytes
    ) -> Response:
        if not place.name:
            selects = self._selector(resource, place, query)
            for one in list(self._collection(resource).now.values()):
                if selects(one.object):
                    self.storage.delete(resource.qualified, one.key)
            return _json(200, {"kind": resource.kind + "List", "apiVersion": "v1"})
        old = self._existing(resource, place)
        options = _parsed(body) if body else {}
        wanted = (options.get("preconditions") or {}).get("uid")
        meta = old.object["metadata"]
        if wanted and wanted != meta["uid"]:
            raise Refusal(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {resource.qualified} "{place.name}":'
                " the UID in the precondition does not match",
                _details(resource, place.name),
            )
        grace = options.get("gracePeriodSeconds", query.text("gracePeriodSeconds"))
        graceful = resource.plural == "pods" and str(grace) != "0"
        graceful = graceful and bool((old.object.get("spec") or {}).get("nodeName"))
        if meta.get("finalizers") or graceful:
            if "deletionTimestamp" not in meta:
                seconds = int(grace) if str(grace).isdecimal() else 30
                marks = {
                    "deletionTimestamp": _now(),
                    "deletionGracePeriodSeconds": seconds if graceful else 0,
                }
                content = {**old.object, "metadata": {**meta, **marks}}
                old = self.storage.put(
                    resource.qualified, old.key, shaped(resource, content)
                )
            return _object(resource, 200, old)
        self.storage.delete(resource.qualified, old.key)
        details = _details(resource, place.name) | {"uid": meta["uid"]}
        success = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
        return _json(200, success | {"status": "Success", "details": details})


def merged(target: JSON, patch: JSON) -> JSON:
    """Return `target` with a JSON merge patch applied (RFC 7386)."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            before = result.get(key)
            result[key] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[key] = value
    return result


def item_bytes(resource: Resource, stored: Stored) -> bytes:
    """Return an object as an item of a list: built-in kinds without their type."""
    if resource.custom:
        return encode(in_version(resource, stored.object))
    content = stored.object
    return encode({k: v for k, v in content.items() if k not in ("kind", "apiVersion")})


def _object(resource: Resource, code: int, stored: Stored) -> Response:
    return _json(code, in_version(resource, stored.object))


def _json(code: int, content: JSON) -> Response:
    body = encode(content) + b"\n"
    return Response(status=code, headers=[JSON_TYPE, PRIVATE], content=body)


def _refusal(refusal: Refusal) -> Response:
    headers: Headers = [JSON_TYPE, PRIVATE]
    if refusal.retry_after:
        headers.append((b"Retry-After", b"%d" % refusal.retry_after))
    content = encode(refusal.status())
    return Response(status=refusal.code, headers=headers, content=content)


def _refuse(code: int, message: str) -> tuple[Headers, bytes]:
    refusal = Refusal(code, "BadRequest", message)
    return [JSON_TYPE], encode(refusal.status())


def _accepts_json(request: Request) -> None:
    accept = request.fields.get(b"accept", b"*/*").decode("latin-1")
    for clause in accept.split(","):
        media_type, *parameters = (part.strip() for part in clause.split(";"))
        plain = not any(one.startswith("as=") for one in parameters)
        if plain and media_type in ("*/*", "application/*", "application/json"):
            return
    raise Refusal(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, "
        "application/yaml, application/vnd.kubernetes.protobuf, application/cbor",
    )


async def _body_of(request: Request) -> bytes:
    if isinstance(request.body, BytesBody):
        return await request.body.read()
    pieces = []
    while piece := await request.body.read():
        pieces.append(piece)
    return b"".join(pieces)


def _parsed(body: bytes) -> JSON:
    try:
        content = json.loads(body)
    except ValueError as exc:
        message = f"the object provided is unrecognized: {exc}"
        raise Refusal(400, "BadRequest", message) from exc
    if not isinstance(content, dict):
        raise Refusal(400, "BadRequest", "the object provided is no object")
    return content


def _check_version(resource: Resource, old: Stored, content: JSON) -> None:
    given = (content.get("metadata") or {}).get("resourceVersion")
    if given and given != old.object["metadata"]["resourceVersion"]:
        name = old.key[1]
        raise Refusal(
            409,
            "Conflict",
            f'Operation cannot be fulfilled on {resource.qualified} "{name}": the'
            " object has been modified; please apply your changes to the latest"
            " version and try again",
            _details(resource, name),
        )


def _details(resource: Resource, name: str) -> JSON:
    details: JSON = {"name": name}
    if resource.group:
        details["group"] = resource.group
    return details | {"kind": resource.plural}


def _not_found(resource: Resource, name: str) -> Refusal:
    message = f'{resource.qualified} "{name}" not found'
    return Refusal(404, "NotFound", message, _details(resource, name))


def _invalid(resource: Resource, name: str, field: str, why: str) -> Refusal:
    message = f'{resource.kind} "{name}" is invalid: {field}: {why}'
    return Refusal(422, "Invalid", message, _details(resource, name))


def _invalid_options(why: str) -> Refusal:
    message = (
        f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: {why}'
    )
    cause = {
        "reason": "FieldValueForbidden",
        "message": f"Forbidden: {why}",
        "field": "resourceVersionMatch",
    }
    details = {"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]}
    return Refusal(422, "Invalid", message, details)


def _too_large(asked: int, current: int) -> Refusal:
    cause = {
        "reason": "ResourceVersionTooLarge",
        "message": "Too large resource version",
    }
    return Refusal(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        {"causes": [cause], "retryAfterSeconds": 1},
        retry_after=1,
    )


def _make_token(version: int, start: str) -> str:
    token = {"v": "meta.k8s.io/v1", "rv": version, "start": start}
    return base64.urlsafe_b64encode(encode(token)).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        content = json.loads(raw)
        return int(content["rv"]), str(content["start"])
    except (ValueError, KeyError, TypeError) as exc:
        message = f"continue key is not valid: {exc}"
        raise Refusal(400, "BadRequest", message) from exc


def _now() -> str:
    wall = SystemClock().wall()
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
