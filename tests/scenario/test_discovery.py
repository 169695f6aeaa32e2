# SPDX-License-Identifier: Apache-2.0
"""What the cluster serves, learned in passing and told while the link is down."""

import asyncio
import json

import pytest

from tests.rig import ask, body, get, headers_of, hub_over, status_of, until
from toono.restmapper import GVK, GVR
from toono.restmapper.yurthub import FILE
from toono.testing import APIServer
from toono.wire.messages import Response

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
            agent = asked.fields.get(b"user-agent", b"")
            own = agent == b"toono" and b"/v1/" in asked.target
            return Response(status=403) if own and not watches else None

        server.fault = refuse_watch
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: known(hub, "drivers"))
            path = (
                f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/drivers.{X}"
            )
            found = json.loads(body(await ask(hub, get(path, agent=KUBECTL))))
            found["spec"]["versions"] = crd("v1", "v2")["spec"]["versions"]
            assert status_of(await ask(hub, request("PUT", path, found))) == 200
            await until(lambda: known(hub, "drivers", version="v2"), seconds=1.0)
            found = hub.discovering.mapper.lookup(GVK(X, "v2", "Driver"))
            assert found.resource == GVR(X, "v2", "drivers")
        await server.aclose()

    asyncio.run(scenario())


def test_an_answer_of_a_kind_that_nobody_announced_is_learned(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud(crd("v1"))

        async def hide(asked):
            own = asked.fields.get(b"user-agent", b"") == b"toono"
            return Response(status=403) if own else None

        server.fault = hide
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online and hub.discovering.mapper)
            await ask(hub, get(f"/apis/{X}/v1/drivers"))
            await until(lambda: known(hub, "drivers"))
            assert known(hub, "drivers").kind == GVK(X, "v1", "Driver")
        await server.aclose()

    asyncio.run(scenario())


def test_a_resource_that_is_served_no_more_is_forgotten(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud(crd("v1"))

        async def refuse_watch(asked):
            own = asked.fields.get(b"user-agent", b"") == b"toono"
            return Response(status=403) if own and b"/v1/" in asked.target else None

        server.fault = refuse_watch
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: known(hub, "drivers"))
            server.delete("customresourcedefinitions", f"drivers.{X}")
            await server.definitions.settled()
            path = f"/apis/{X}/v1/drivers"
            assert status_of(await ask(hub, get(path, agent=KUBECTL))) == 404
            await until(lambda: not known(hub, "drivers"), seconds=1.0)
        await server.aclose()

    asyncio.run(scenario())


def test_cut_off_an_empty_list_has_the_kind_of_its_resource(tmp_path) -> None:
    """Of one namespace too, though only all were asked for: it has namespaces."""

    async def scenario() -> None:
        server = await cloud(crd("v1"), crd("v1", scope="Cluster", plural="models"))
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: known(hub, "drivers") and known(hub, "models"))
            for plural in ("drivers", "models"):
                await ask(hub, get(f"/apis/{X}/v1/{plural}"))
            await server.aclose()
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.discovering.mapper)
            in_one = f"/apis/{X}/v1/namespaces/default"
            for target in (f"/apis/{X}/v1/drivers", f"{in_one}/drivers"):
                answer = await ask(hub, get(target))
                assert status_of(answer) == 200, target
                listed = json.loads(body(answer))
                told = (listed["kind"], listed["apiVersion"], listed["items"])
                assert told == ("DriverList", f"{X}/v1", [])
            assert status_of(await ask(hub, get(f"/apis/{X}/v1/models"))) == 200
            answer = await ask(hub, get(f"{in_one}/models"))
            assert status_of(answer) == 503
            assert b"whether this resource has namespaces" in answer
            answer = await ask(hub, get(f"/apis/{X}/v1/unheard"))
            assert status_of(answer) == 503

    asyncio.run(scenario())


def test_cut_off_discovery_that_nobody_asked_for_is_told_over_a_restart(
    tmp_path,
) -> None:
    async def scenario() -> None:
        server = await cloud(crd("v1", "v2"))
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: known(hub, "drivers"))
            await until(lambda: hub.discovering.mapper.observe.version_document)
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            before = await told(hub)
        assert json.loads((tmp_path / FILE).read_text())[f"{X}/v2/driver"] == "Driver"
        async with hub_over([server.address], tmp_path) as hub:
            assert await told(hub) == before

    async def told(hub) -> list:
        answers = []
        for target, accept in (
            ("/apis", AGGREGATED),
            ("/apis", ""),
            ("/api", AGGREGATED),
            ("/api/v1", ""),
            (f"/apis/{X}", ""),
            (f"/apis/{X}/v2", ""),
            ("/version", ""),
        ):
            answer = await ask(hub, get(target, agent=KUBECTL, accept=accept))
            assert status_of(answer) == 200, (target, answer)
            fields = dict(headers_of(answer))
            assert fields["Cache-Status"].startswith("toono; hit"), fields
            answers.append((fields["Content-Type"], json.loads(body(answer))))
        kinds = [content.get("kind") for _, content in answers]
        assert kinds[:3] == ["APIGroupDiscoveryList", "APIGroupList", kinds[0]]
        (driver,) = answers[5][1]["resources"]
        assert (driver["kind"], driver["namespaced"]) == ("Driver", True)
        return answers

    asyncio.run(scenario())


def test_a_document_that_was_seen_is_told_as_it_was(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud(crd("v1"))
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: known(hub, "drivers"))
            seen = await ask(hub, get("/apis", accept=AGGREGATED))
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            answer = await ask(hub, get("/apis", accept=AGGREGATED))
            assert body(answer) == body(seen)
            etag = dict(headers_of(answer))["Etag"]
            again = get("/apis", accept=AGGREGATED).replace(
                b"Host:", b"If-None-Match: " + etag.encode() + b"\r\nHost:"
            )
            assert status_of(await ask(hub, again)) == 304
            answer = await ask(hub, get("/apis/none.example.com/v1"))
            assert status_of(answer) == 503

    asyncio.run(scenario())


def test_what_it_did_is_on_the_metrics_page(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud(crd("v1"))
        async with hub_over([server.address], tmp_path, status_listen=STATUS) as hub:
            await until(lambda: known(hub, "drivers"))
            reader, writer = await asyncio.open_connection(*hub.status_address)
            head = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            writer.write(head)
            shown = (await reader.read()).decode()
            writer.close()
            for name in ("requests_total", "kinds", "age_seconds", "watching"):
                assert f"\ntoono_restmapper_{name} " in shown
        await server.aclose()

    asyncio.run(scenario())


def test_a_bad_file_of_an_earlier_run_never_stops_a_start(tmp_path) -> None:
    async def scenario() -> None:
        bad = tmp_path / "_internal" / "toono" / "discovery"
        bad.parent.mkdir(parents=True, mode=0o700)
        bad.write_bytes(b"nothing that was written here")
        (tmp_path / FILE).parent.mkdir(parents=True)
        (tmp_path / FILE).write_text(json.dumps({f"{X}/v1/drivers": "Driver"}))
        async with hub_over([("127.0.0.1", 1)], tmp_path) as hub:
            await until(lambda: hub.discovering.mapper)
            assert known(hub, "drivers").kind == GVK(X, "v1", "Driver")
            assert status_of(await ask(hub, get("/apis/x.other/v1"))) == 503

    asyncio.run(scenario())
