# SPDX-License-Identifier: Apache-2.0
"""An API server in one process: the verbs of the Kubernetes API over `Storage`.

What it answers is held to recordings of a real kube-apiserver (tests/conformance).
Here are its life, its doors for tests, and the way from a path to what answers it.
"""

import ssl
from collections.abc import Awaitable, Callable

from toono.runtime.clock import Clock, SystemClock
from toono.testing.apiserver import answers, openapi
from toono.testing.apiserver.crds import API_SERVICES, Definitions, api_service
from toono.testing.apiserver.discovery import (
    Discovery,
    is_served,
    page_not_found,
    unavailable,
)
from toono.testing.apiserver.forms import wants_protobuf
from toono.testing.apiserver.query import JSON, Place, Query, Refusal, place_of
from toono.testing.apiserver.refusals import unknown_resource
from toono.testing.apiserver.resources import Resource, built_in, shaped
from toono.testing.apiserver.storage import ExpiredError, Storage
from toono.testing.apiserver.verbs import Asked, Verbs
from toono.wire.messages import Request, Response
from toono.wire.server import Server, ServerSettings

Fault = Callable[[Request], Awaitable[Response | None]]
HEALTH = frozenset({"/healthz", "/livez", "/readyz"})


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
        self.resources = built_in()
        self.discovery = Discovery()
        self.definitions = Definitions(self.storage, self.resources, self.clock)
        self.ready = True
        self.fault: Fault | None = None
        """Asked first: an answer of its own replaces the server's."""
        self.authorizer: Fault | None = None
        """Asked next: who may do what (`access.Access`); None: everybody everything."""
        self.requests: list[tuple[str, str]] = []
        self.address = ("", 0)
        self._verbs = Verbs(
            self.storage,
            self.clock,
            bookmark_seconds=bookmark_seconds,
            too_large_seconds=too_large_seconds,
        )
        self._server: Server | None = None
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
            self.handle, refuse=answers.refuse, clock=self.clock, settings=settings
        )
        self.address = await self._server.start(host, port, tls=tls)
        self._scheme = "https" if tls else "http"
        self.discovery.address = f"{self.address[0]}:{self.address[1]}"
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
        return self._verbs.writes.create(resource, namespace, content).object

    def load(self, plural: str, content: JSON) -> JSON:
        """Take in an object as another server told it: uid, version, times and all."""
        resource = self._named(plural)
        meta = content["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        content = shaped(resource, content)
        return self.storage.load(resource.qualified, key, content).object

    def update(self, plural: str, content: JSON, *, namespace: str = "") -> JSON:
        """Replace an object, whatever its version; a status not given stays."""
        resource, name = self._named(plural), content["metadata"]["name"]
        old = self._verbs.writes.existing(resource, namespace, name)
        if "status" not in content and "status" in old.object:
            content = {**content, "status": old.object["status"]}
        return self._verbs.writes.replace(resource, old, content).object

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
            if self.authorizer is not None:
                answer = await self.authorizer(request)
                if answer is not None:
                    return answer
            path, _, raw = target.partition("?")
            place, query = place_of(path), Query(raw)
            if place is None:
                return self._plain(target, request, query)
            return await self._of_resource(request, place, query)
        except ExpiredError as exc:
            return _refused(request, Refusal(410, "Expired", str(exc)))
        except Refusal as refusal:
            return _refused(request, refusal)

    def _plain(self, target: str, request: Request, query: Query) -> Response:
        """Answer what is no resource: health, version, discovery."""
        path = target.partition("?")[0]
        if path in HEALTH:
            verbose = query.given("verbose")
            return answers.health(path, ready=self.ready, verbose=verbose)
        if path in ("/version", "/version/"):  # kr8s asks for the latter
            return answers.version()
        shown = self.definitions.all_shown()
        found = openapi.answer(target, shown, request.fields)
        found = found or self.discovery.answer(path.rstrip("/"), request.fields, shown)
        return found or page_not_found()

    async def _of_resource(
        self, request: Request, place: Place, query: Query
    ) -> Response:
        resource = self.resources.get((place.group, place.version, place.plural))
        if (place.group, place.version) in self.discovery.stale:
            return unavailable()
        if resource is None:
            built_ins = (one for one in self.resources.values() if not one.custom)
            if is_served(place.group, built_ins):
                raise unknown_resource()
            return page_not_found()
        asked = Asked(
            request=request,
            resource=resource,
            place=place,
            query=query,
            now=self.clock.wall(),
        )
        return await self._verbs.answer(asked)


def _refused(request: Request, refusal: Refusal) -> Response:
    accept = request.fields.get(b"accept", b"").decode("latin-1")
    return answers.of_refusal(refusal, protobuf=wants_protobuf(accept))
