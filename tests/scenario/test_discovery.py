# SPDX-License-Identifier: Apache-2.0
"""What the cluster serves, learned in passing and told while the link is down."""

import asyncio
import json

import pytest

from tests.rig import ask, body, get, headers_of, hub_over, status_of, until
from toono.restmapper import GVK, GVR
from toono.restmapper.yurthub import FILE
from toono.testing import APIServer

X = "x.example.com"
STATUS = ("127.0.0.1", 0)
KUBECTL = "kubectl/v1.34.0"
AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json"
)


def crd(*versions: str, scope: str = "Namespaced", plural: str = "drivers") -> dict:
    return {
        "metadata": {"name": f"{plural}.{X}"},
        "spec": {
            "group": X,
            "scope": scope,
            "names": {
                "plural": plural,
                "singular": plural[:-1],
                "kind": plural[:-1].title(),
            },
            "versions": [{"name": name, "served": True} for name in versions],
        },
    }


async def cloud(*definitions: dict) -> APIServer:
    server = APIServer()
    await server.start()
    for definition in definitions:
        server.create("customresourcedefinitions", definition)
    await server.definitions.settled()
    return server


def known(hub, resource: str, *, version: str = "v1"):
    mapper = hub.discovering.mapper
    return mapper and mapper.snapshot.served(GVR(X, version, resource))


def request(method: str, target: str, content: dict) -> bytes:
    sent = json.dumps(content).encode()
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: hub\r\nUser-Agent: {KUBECTL}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + sent


@pytest.mark.parametrize("watches", [True, False], ids=["watch", "passing"])
def test_a_new_version_is_known_within_a_second(tmp_path, watches) -> None:
    """Its CRD is written through the hub; with the watch refused that alone tells."""

    async def scenario() -> None:
        server = await cloud(crd("v1"))

        async def refuse_watch(asked):
            forbidden = b"watch=" in asked.target and b"/apis/api" in asked.target
            return server.forbidden(asked) if forbidden and not watches else None

        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: known(hub, "drivers"))
            path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/drivers.{X}"
            found = json.loads(body(await ask(hub, get(path, agent=KUBECTL))))
            found["spec"]["versions"] = crd("v1", "v2")["spec"]["versions"]
            assert status_of(await ask(hub, request("PUT", path, found))) == 200
            await until(lambda: known(hub, "drivers", version="v2"), seconds=1.0)
            found = hub.discovering.mapper.lookup(GVK(X, "v2", "Driver"))
            assert found.resource == GVR(X, "v2", "drivers")
        await server.aclose()

    asyncio.run(scenario())
