# SPDX-License-Identifier: Apache-2.0
"""One suite over every transport, against the embedded API server on loopback."""

import asyncio
import contextlib
import time

import httpx
import kr8s.asyncio
import kubernetes
import pytest

from toono.restmapper import (
    GVK,
    GVR,
    Change,
    DiscoveryUnavailableError,
    GroupKind,
    MapperSettings,
    NoMatchError,
    RESTMapper,
    SyncRESTMapper,
    WholeBodies,
)
from toono.restmapper.transports.httpx import HttpxTransport
from toono.restmapper.transports.kr8s import Kr8sTransport
from toono.restmapper.transports.kubernetes import KubernetesTransport
from toono.restmapper.transports.relay import RelayTransport
from toono.testing.apiserver.server import APIServer
from toono.wire.client import Origin

X = "x.example.com"
CRDS = "customresourcedefinitions"
FORMS = ["aggregated", "legacy"]


@contextlib.asynccontextmanager
async def over_httpx(url):
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        yield HttpxTransport(client)


@contextlib.asynccontextmanager
async def over_kr8s(url):
    api = await kr8s.asyncio.api(url=url)
    try:
        yield Kr8sTransport(api)
    finally:
        if api._session is not None:
            await api._session.aclose()


@contextlib.asynccontextmanager
async def over_kubernetes(url):
    configuration = kubernetes.client.Configuration(host=url)
    with kubernetes.client.ApiClient(configuration) as client:
        transport = KubernetesTransport(client)
        yield transport
        transport.close()


@contextlib.asynccontextmanager
async def over_toono(url):
    host, port = url.removeprefix("http://").split(":")
    origin = Origin(host, int(port), tls=lambda credential: None)

    async def send(target, headers):
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        fields.append((b"Host", origin.authority.encode()))
        return await origin.send("GET", target.encode(), fields, None, credential=None)

    yield RelayTransport(send)
    origin.close()


@contextlib.asynccontextmanager
async def over_whole_bodies(url):
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:

        async def fetch(target, headers):
            answer = await client.get(target, headers=dict(headers))
            return answer.status_code, answer.headers, answer.content

        yield WholeBodies(fetch)


STREAMING = {
    "httpx": over_httpx,
    "kr8s": over_kr8s,
    "kubernetes": over_kubernetes,
    "toono": over_toono,
}
streaming = pytest.mark.parametrize("transport", STREAMING.values(), ids=STREAMING)
every = pytest.mark.parametrize(
    "transport",
    [*STREAMING.values(), over_whole_bodies],
    ids=[*STREAMING, "whole-bodies"],
)
both_forms = pytest.mark.parametrize("form", FORMS)


def crd(kind="Driver", plural="drivers", versions=("v1",), scope="Namespaced", **names):
    return {
        "metadata": {"name": f"{plural}.{X}"},
        "spec": {
            "group": X,
            "scope": scope,
            "names": {
                "plural": plural,
                "singular": kind.lower(),
                "kind": kind,
                **names,
            },
            "versions": [
                {"name": name, "served": True, "subresources": {"status": {}}}
                for name in versions
            ],
        },
    }


@contextlib.asynccontextmanager
async def serving(form="aggregated"):
    server = APIServer()
    server.discovery.aggregated = form == "aggregated"
    await server.start()
    try:
        yield server
    finally:
        await server.aclose()


async def until(condition, seconds=5.0):
    """Wait for something that must come by itself; yields to the loop meanwhile."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def discovery_requests(server):
    return [
        target
        for _, target in server.requests
        if target.startswith("/api") and CRDS not in target and "services" not in target
    ]


@every
@both_forms
def test_known_new_and_absent_kinds(transport, form):
    async def main():
        async with serving(form) as server, transport(server.url) as over:
            mapper = RESTMapper(over)
            found = await mapper.rest_mapping(GroupKind("apps", "Deployment"))
            assert found.resource == GVR("apps", "v1", "deployments")
            assert (await mapper.kind_for(GVR("", "", "po" + "ds"))).kind == "Pod"
            with pytest.raises(NoMatchError):
                await mapper.rest_mapping(GroupKind(X, "Driver"))
            server.create(CRDS, crd())
            await until(lambda: (X, "v1", "drivers") in server.resources)
            found = await mapper.wait_for(GVK(X, "v1", "Driver"), timeout=2)
            assert found.resource.resource == "drivers"
            await mapper.aclose()

    asyncio.run(main())


@every
@both_forms
def test_the_seed_a_new_version_of_a_known_group_is_found_at_the_first_ask(
    transport, form
):
    async def main():
        async with serving(form) as server, transport(server.url) as over:
            server.create(CRDS, crd())
            await until(lambda: (X, "v1", "drivers") in server.resources)
            mapper = RESTMapper(over)
            await mapper.rest_mapping(GroupKind(X, "Driver"))
            server.create(CRDS, crd("Rider", "riders", ["v2"]))
            await until(lambda: (X, "v2", "riders") in server.resources)
            before = len(discovery_requests(server))
            assert (
                await mapper.rest_mapping(GroupKind(X, "Rider"))
            ).kind.version == "v2"
            assert await mapper.rest_mapping(GroupKind(X, "Rider"), "v2")
            assert len(discovery_requests(server)) - before <= 2
            await mapper.aclose()

    asyncio.run(main())


@streaming
@both_forms
def test_with_the_right_to_watch_a_change_is_seen_within_a_second(transport, form):
    async def main():
        async with serving(form) as server, transport(server.url) as over:
            settings = MapperSettings(poll_seconds=3600)
            async with RESTMapper(over, settings=settings) as mapper:
                await mapper.wait_for(GVK("", "v1", "Pod"))
                await until(lambda: mapper.statistics().watching)
                driver = GVK(X, "v1", "Driver")
                events = []

                async def listen():
                    async for event in mapper.events():
                        events.append((event.change, event.kind))

                listening = asyncio.ensure_future(listen())
                await asyncio.sleep(0)
                server.create(CRDS, crd())
                await until(lambda: mapper.lookup(driver), 1)
                server.update(CRDS, crd(versions=["v1", "v2"]))
                await until(lambda: mapper.lookup(GVK(X, "v2", "Driver")), 1)
                server.update(CRDS, crd(versions=["v2"]))
                await until(lambda: not mapper.lookup(driver), 1)
                server.delete(CRDS, f"drivers.{X}")
                await until(lambda: not mapper.lookup(GVK(X, "v2", "Driver")), 1)
                await until(lambda: len(events) >= 4, 1)
                assert events == [
                    (Change.ADDED, driver),
                    (Change.ADDED, GVK(X, "v2", "Driver")),
                    (Change.REMOVED, driver),
                    (Change.REMOVED, GVK(X, "v2", "Driver")),
                ]
                listening.cancel()

    asyncio.run(main())


@both_forms
@pytest.mark.parametrize("change", ["kind", "scope", "plural"])
def test_a_crd_made_anew_under_a_watch(form, change):
    async def main():
        async with serving(form) as server, over_httpx(server.url) as over:
            server.create(CRDS, crd())
            await until(lambda: (X, "v1", "drivers") in server.resources)
            settings = MapperSettings(poll_seconds=3600)
            async with RESTMapper(over, settings=settings) as mapper:
                await mapper.wait_for(GVK(X, "v1", "Driver"))
                await until(lambda: mapper.statistics().watching)
                server.delete(CRDS, f"drivers.{X}")
                kind = "Pilot" if change == "kind" else "Driver"
                plural = "driverz" if change == "plural" else "drivers"
                scope = "Cluster" if change == "scope" else "Namespaced"
                server.create(CRDS, crd(kind, plural, scope=scope))

                def is_there():
                    found = mapper.lookup(GVK(X, "v1", kind))
                    told = found and (found.resource.resource, found.scope.value)
                    return told == (plural, scope)

                await until(is_there, 1)

    asyncio.run(main())


@both_forms
def test_established_seconds_before_discovery_shows_it(form):
    async def main():
        async with serving(form) as server, over_httpx(server.url) as over:
            server.definitions.delays.shown = 0.6
            settings = MapperSettings(poll_seconds=3600)
            async with RESTMapper(over, settings=settings) as mapper:
                await mapper.wait_for(GVK("", "v1", "Pod"))
                await until(lambda: mapper.statistics().watching)
                server.create(CRDS, crd())
                driver = GVK(X, "v1", "Driver")
                await until(lambda: mapper.lookup(driver), 0.5)
                end = time.monotonic() + 1.2
                while time.monotonic() < end:
                    assert await mapper.rest_mapping(GroupKind(X, "Driver"))
                    await asyncio.sleep(0.01)

    asyncio.run(main())


@both_forms
def test_an_aggregated_api_goes_down_and_comes_back(form):
    async def main():
        async with serving(form) as server, over_httpx(server.url) as over:
            server.create(CRDS, crd())
            await until(lambda: (X, "v1", "drivers") in server.resources)
            settings = MapperSettings(poll_seconds=3600)
            async with RESTMapper(over, settings=settings) as mapper:
                await mapper.wait_for(GVK(X, "v1", "Driver"))
                await until(lambda: mapper.statistics().watching)
                server.set_available(X, "v1", available=False)
                await until(lambda: mapper.lookup(GVK(X, "v1", "Driver")).stale, 1)
                with pytest.raises(DiscoveryUnavailableError, match=f"{X}/v1"):
                    await mapper.rest_mapping(GroupKind(X, "Other"))
                server.set_available(X, "v1", available=True)
                await until(lambda: not mapper.lookup(GVK(X, "v1", "Driver")).stale, 1)

    asyncio.run(main())


class TakingTurns:
    """Two servers behind one address: requests for a path take turns."""

    def __init__(self, *transports):
        self.transports = transports
        self.turns = {}

    def get(self, target, headers):
        turn = self.turns.get(target, 0)
        self.turns[target] = turn + 1
        return self.transports[turn % len(self.transports)].get(target, headers)


@both_forms
def test_two_servers_of_one_storage_that_show_a_crd_at_different_times(form):
    async def main():
        async with (
            serving(form) as one,
            over_httpx(one.url) as first,
        ):
            other = APIServer(one.storage)
            other.discovery.aggregated = form == "aggregated"
            other.definitions.delays.shown = 1.0
            await other.start()
            async with over_httpx(other.url) as second:
                settings = MapperSettings(poll_seconds=0.2)
                turns = TakingTurns(first, second)
                async with RESTMapper(turns, settings=settings) as mapper:
                    await mapper.wait_for(GVK("", "v1", "Pod"))
                    await until(lambda: mapper.statistics().watching)
                    one.create(CRDS, crd())
                    await until(lambda: mapper.lookup(GVK(X, "v1", "Driver")), 1)
                    end = time.monotonic() + 2
                    while time.monotonic() < end:
                        assert mapper.lookup(GVK(X, "v1", "Driver"))
                        await asyncio.sleep(0.005)
            await other.aclose()

    asyncio.run(main())


@every
def test_a_server_that_is_gone_is_unavailable_and_known_kinds_are_answered(transport):
    async def main():
        async with serving() as server, transport(server.url) as over:
            mapper = RESTMapper(over)
            await mapper.rest_mapping(GroupKind("", "Pod"))
            await server.aclose()
            mapper.invalidate()
            assert await mapper.rest_mapping(GroupKind("", "Pod"))
            with pytest.raises(DiscoveryUnavailableError):
                await mapper.rest_mapping(GroupKind(X, "Driver"))
            await mapper.aclose()

    asyncio.run(main())


@streaming
def test_a_cancelled_mapper_leaves_no_watch_behind(transport):
    async def main():
        async with serving() as server, transport(server.url) as over:
            async with RESTMapper(over) as mapper:
                await until(lambda: mapper.statistics().watching)
                began = time.monotonic()
            assert time.monotonic() - began < 1
            names = [task.get_name() for task in asyncio.all_tasks()]
            assert not [name for name in names if name.startswith("restmapper")]

    asyncio.run(main())


def test_the_sync_facade_from_threads(tmp_path):
    async def main():
        async with serving() as server:
            server.create(CRDS, crd())
            await until(lambda: (X, "v1", "drivers") in server.resources)
            await asyncio.to_thread(in_threads, server.url, tmp_path / "discovery")

    def in_threads(url, file):
        client = kubernetes.client.ApiClient(kubernetes.client.Configuration(host=url))
        settings = MapperSettings(file=file, identity="here")
        with SyncRESTMapper(
            lambda: KubernetesTransport(client), settings=settings
        ) as m:
            kind = GroupKind(X, "Driver")
            assert m.rest_mapping(kind).kind.version == "v1"
            assert m.rest_mappings(kind, "v1")[0].kind.version == "v1"
            assert m.kind_for(GVR("", "", "drivers")).kind == "Driver"
            assert m.kinds_for(GVR("", "", "drivers"))[0].kind == "Driver"
            assert m.resource_for(GVR(X, "", "driver")).resource == "drivers"
            assert m.resources_for(GVR(X, "", "driver"))[0].resource == "drivers"
            assert m.resource_singularizer("drivers") == "driver"
            assert m.expand(GVR("", "", "po")).mapping.resource.resource == "pods"
            assert GVR("", "v1", "pods") in m.category("all")
            assert m.lookup(GVK("", "v1", "Pod"))
            assert m.wait_for(GVK("", "v1", "Pod"))
            assert m.refresh() is m.snapshot
            assert m.load() is m.snapshot
            m.invalidate()
            assert m.rest_mapping(kind)
            assert m.age() < 60
            assert m.statistics().kinds > 10
            with pytest.raises(NoMatchError):
                m.rest_mapping(GroupKind(X, "Absent"))
        with pytest.raises(DiscoveryUnavailableError, match="closed"):
            m.refresh()
        client.close()
        assert file.exists()

    asyncio.run(main())
