# SPDX-License-Identifier: Apache-2.0
"""A new version of a known group, looked up: where known mappers fail for ever.

A controller starts while `x.example.com/v1` is served. Then a CRD with `v2` comes.
Looking its kind up, with or without the version, must find it at the first ask,
without a restart. The cluster here is an API server in this process.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from toono.restmapper import GroupKind, RESTMapper, Transport
from toono.testing import APIServer

GROUP = "x.example.com"


def crd(kind: str, version: str) -> dict:
    """A CustomResourceDefinition with one version."""
    plural = f"{kind.lower()}s"
    return {
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [{"name": version, "served": True}],
        },
    }


async def install(server: APIServer, kind: str, version: str) -> None:
    """Create a CRD and wait until it is served."""
    server.create("customresourcedefinitions", crd(kind, version))
    await server.definitions.settled()


@asynccontextmanager
async def cluster() -> AsyncIterator[APIServer]:
    """A small cluster in which `Driver` of `x.example.com/v1` is served."""
    server = APIServer()
    await server.start()
    try:
        await install(server, "Driver", "v1")
        yield server
    finally:
        await server.aclose()


async def play(server: APIServer, transport: Transport) -> None:
    """Start, install, look up; every step is checked."""
    mapper = RESTMapper(transport)
    known = await mapper.rest_mapping(GroupKind(GROUP, "Driver"))
    print(f"started:           {known.kind.version} {known.resource.resource}")

    await install(server, "Rider", "v2")
    before = len(server.requests)
    found = await mapper.rest_mapping(GroupKind(GROUP, "Rider"))
    print(f"without a version: {found.kind.version} {found.resource.resource}")
    again = await mapper.rest_mapping(GroupKind(GROUP, "Rider"), "v2")
    print(f"with the version:  {again.kind.version} {again.resource.resource}")
    requests = len(server.requests) - before
    print(f"requests:          {requests}")
    await mapper.aclose()

    assert found == again
    assert found.resource == (GROUP, "v2", "riders")
    assert requests <= 2
