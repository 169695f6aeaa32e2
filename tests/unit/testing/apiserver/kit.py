# SPDX-License-Identifier: Apache-2.0
"""What the embedded server's tests share: a server, and requests without sockets."""

import asyncio
import json
from typing import Any, NamedTuple

from toono.testing import APIServer, Storage
from toono.testing.apiserver.resources import Resource, built_in
from toono.testing.clock import VirtualClock
from toono.wire.messages import BytesBody, Peer, Request, Response

PEER = Peer(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))
PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"
CRONTABS = Resource(
    group="x.example.com",
    version="v1",
    plural="crontabs",
    kind="CronTab",
    custom=True,
    subresources=("status",),
)


def resource(plural: str) -> Resource:
    """Return a built-in resource by its name."""
    return next(one for one in built_in().values() if one.plural == plural)


def pod(name: str, *, node: str = "edge-1", **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **meta}, "spec": {"nodeName": node}}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


class Told(NamedTuple):
    """An answer."""

    status: int
    body: Any
    response: Response


class World:
    """One server on a clock that stands still."""

    def __init__(self, version: int = 100) -> None:
        self.clock = VirtualClock()
        self.server = APIServer(Storage(version), clock=self.clock)
        self.server.add_resource(CRONTABS)
        self.storage = self.server.storage

    async def respond(
        self, method: str, target: str, content: object = None, **fields: str
    ) -> Response:
        """Make a request; fields are headers with _ for -."""
        body = content if isinstance(content, bytes) else b""
        if not isinstance(content, bytes | None):
            body = json.dumps(content).encode()
        lower = {k.replace("_", "-").encode(): v.encode() for k, v in fields.items()}
        request = Request(
            method=method,
            target=target.encode(),
            headers=[],
            fields=lower,
            body=BytesBody(body),
            peer=PEER,
        )
        return await self.server.handle(request)

    async def ask(
        self, method: str, target: str, content: object = None, **fields: str
    ) -> Told:
        """Make a request, and read the answer's JSON."""
        response = await self.respond(method, target, content, **fields)
        assert isinstance(response.content, bytes)
        is_json = b"application/json" in dict(response.headers).values()
        body = json.loads(response.content) if is_json else response.content
        return Told(response.status, body, response)

    async def patch(self, target: str, content: object, kind: str = MERGE) -> Told:
        return await self.ask("PATCH", target, content, content_type=kind)


def run(scenario: Any) -> Any:
    """Run a scenario that takes a world."""
    return asyncio.run(scenario(World()))


def names(told: Told) -> list[str]:
    """Return the names of a list's items."""
    return [item["metadata"]["name"] for item in told.body["items"]]


async def frames(world: World, target: str, **fields: str) -> list[tuple[str, Any]]:
    """Open a watch, and return what it shows at once."""
    response = await world.respond("GET", target, **fields)
    assert response.body is not None
    world.watch = response.body  # type: ignore[attr-defined]
    return await more(world)


async def more(world: World) -> list[tuple[str, Any]]:
    """Return what the open watch shows now."""
    body = world.watch  # type: ignore[attr-defined]
    if not body._frames:
        return []
    lines = (await body.read()).splitlines()
    events = (json.loads(line) for line in lines)
    return [(event["type"], event["object"]) for event in events]
