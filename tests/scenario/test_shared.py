# SPDX-License-Identifier: Apache-2.0
"""Many agents of one node and one watch of the cloud: what they see, what it costs."""

import asyncio
import json
import os
from pathlib import Path

from tests.rig import ask, begin, body, get, headers_of, hub_over, status_of, until
from toono.multiplex.shared import DEFAULTS
from toono.testing import APIServer
from toono.wire.messages import Request, Response

MINE = frozenset({os.getuid()})
SETTINGS = {"node_uids": MINE, "shared": DEFAULTS}
SERVICES = "/api/v1/services"
AGENTS = [f"agent-{number}/1" for number in range(20)]
PROTOBUF = "application/vnd.kubernetes.protobuf"


def service(name: str, **labels: str) -> dict:
    spec = {"clusterIP": "10.0.0.1", "type": "ClusterIP"}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


async def cloud() -> APIServer:
    server = APIServer(bookmark_seconds=0.2)
    await server.start()
    server.create("services", service("web", app="web"), namespace="default")
    server.create("services", service("api"), namespace="default")
    return server


def named(answer: bytes) -> list[str]:
    return [one["metadata"]["name"] for one in json.loads(body(answer))["items"]]


def version_of(answer: bytes) -> str:
    return str(json.loads(body(answer))["metadata"]["resourceVersion"])


def is_shared(answer: bytes) -> bool:
    return ("Cache-Status", "toono; hit; detail=shared") in headers_of(answer)


async def until_seen(reader: asyncio.StreamReader, what: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(60):
        while what not in seen:
            piece = await reader.read(65536)
            assert piece, seen
            seen += piece
    return seen


async def until_shared(hub) -> None:
    """Wait for the feed: a reader waits for it 2 s at most, then asks for itself."""
    await until(lambda: hub.upstream.online)
    feed = hub.chain.shared.feeds[DEFAULTS[0]]
    feed.begin()
    await until(feed.ready.is_set)


async def requests_of(agents: list[str], directory: Path) -> list[tuple[str, str]]:
    """Return the requests the cloud sees of agents that list, watch and hear."""
    server = await cloud()
    async with hub_over([server.address], directory, **SETTINGS) as hub:
        await until(lambda: hub.upstream.online)
        before = len(server.requests)
        await until_shared(hub)
        streams = []
        for agent in agents:
            listed = await ask(hub, get(f"{SERVICES}?resourceVersion=0", agent=agent))
            assert named(listed) == ["api", "web"]
            target = f"{SERVICES}?watch=true&resourceVersion={version_of(listed)}"
            streams.append(await begin(hub, get(target, agent=agent)))
        feed = hub.chain.shared.feeds[DEFAULTS[0]]
        await until(lambda: feed.readers == len(agents))
        server.create("services", service("late"), namespace="default")
        for reader, writer in streams:
            await until_seen(reader, b'"name":"late"')
            writer.close()
        asked = [one for one in server.requests[before:] if one[1].startswith(SERVICES)]
    await server.aclose()
    return asked


def test_twenty_agents_cost_the_cloud_what_one_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        one = await requests_of(AGENTS[:1], tmp_path / "one")
        twenty = await requests_of(AGENTS, tmp_path / "twenty")
        assert len(one) <= 3
        assert len(twenty) <= len(one) * 1.1, twenty

    asyncio.run(scenario())


def test_a_shared_answer_is_what_the_cloud_says(tmp_path: Path) -> None:
    """Lists, selectors, bursts and streams; each beside the API server's own."""

    async def scenario() -> None:
        server = await cloud()
        async with (
            hub_over([server.address], tmp_path / "a", **SETTINGS) as hub,
            hub_over([server.address], tmp_path / "b", node_uids=MINE) as plain,
        ):
            await until(lambda: plain.upstream.online)
            await until_shared(hub)
            for accept in ("application/json", PROTOBUF, f"{PROTOBUF}, */*"):
                for query in (
                    "resourceVersion=0",
                    "resourceVersion=0&limit=500",
                    "resourceVersion=0&labelSelector=app%3Dweb",
                    "resourceVersion=0&fieldSelector=spec.clusterIP%21%3DNone",
                    "resourceVersion=1&resourceVersionMatch=NotOlderThan",
                    "watch=true&resourceVersion=0&timeoutSeconds=1",
                    "watch=true&sendInitialEvents=true&allowWatchBookmarks=true"
                    "&resourceVersionMatch=NotOlderThan&timeoutSeconds=1",
                ):
                    asked = get(f"{SERVICES}?{query}", agent="x/1", accept=accept)
                    ours, theirs = await asyncio.gather(
                        ask(hub, asked), ask(plain, asked)
                    )
                    assert is_shared(ours), query
                    assert not is_shared(theirs)
                    types = [
                        dict(headers_of(x))["Content-Type"] for x in (ours, theirs)
                    ]
                    assert types[0] == types[1]
                    if accept == "application/json" and "watch" not in query:
                        assert json.loads(body(ours)) == json.loads(body(theirs))
                    elif "watch" not in query:
                        assert body(ours) == body(theirs)
                    else:
                        assert body(ours).count(b"web") == body(theirs).count(b"web")
        await server.aclose()

    asyncio.run(scenario())


def test_what_a_watch_cache_would_ask_its_store_is_passed_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until_shared(hub)
            shared = await ask(hub, get(f"{SERVICES}?resourceVersion=0"))
            assert is_shared(shared)
            for query in (
                "",
                "?limit=1",
                f"?resourceVersion={version_of(shared)}&resourceVersionMatch=Exact",
                "?resourceVersion=1&limit=1",
                "?watch=true&timeoutSeconds=1",
                "?watch=true&resourceVersion=1&timeoutSeconds=1",
                "?resourceVersion=0&fieldSelector=metadata.name%3Dweb",
            ):
                answer = await ask(hub, get(f"{SERVICES}{query}"))
                assert not is_shared(answer), query
            tables = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"
            answer = await ask(hub, get(f"{SERVICES}?resourceVersion=0", accept=tables))
            assert json.loads(body(answer))["kind"] == "Table"
            assert not is_shared(await ask(hub, get("/api/v1/pods?resourceVersion=0")))
        await server.aclose()

    asyncio.run(scenario())


def test_without_the_right_to_list_each_reader_asks_for_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = await cloud()

        async def forbid(request: Request) -> Response | None:
            if request.fields.get(b"user-agent") != b"toono":
                return None
            return Response(status=403, content=b"{}")

        server.fault = forbid
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until(lambda: hub.upstream.online)
            for _ in range(2):
                answer = await ask(hub, get(f"{SERVICES}?resourceVersion=0"))
                assert named(answer) == ["api", "web"]
                assert not is_shared(answer)
        await server.aclose()

    asyncio.run(scenario())


def test_streams_go_on_over_a_cut_and_restarts_resume(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until_shared(hub)
            listed = await ask(hub, get(f"{SERVICES}?resourceVersion=0"))
            target = f"{SERVICES}?watch=true&resourceVersion={version_of(listed)}"
            reader, writer = await begin(hub, get(target))
            feed = hub.chain.shared.feeds[DEFAULTS[0]]
            await until(lambda: feed.readers == 1)
            port = server.address[1]
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            # Cut off, what was shared is what the hub remembers.
            offline = await ask(hub, get(f"{SERVICES}?resourceVersion=0"))
            assert named(offline) == ["api", "web"]
            await server.start(port=port)
            server.create("services", service("late"), namespace="default")
            await until_seen(reader, b'"name":"late"')
            assert (feed.readers, feed.cut.total()) == (1, 0)
        assert await reader.read() == b"0\r\n\r\n"  # a clean end
        writer.close()
        lists = [one for one in server.requests if one[1].startswith(SERVICES)]
        assert sum("watch=true" not in one[1] for one in lists) == 1
        before = len(server.requests)
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until_shared(hub)
            listed = await ask(hub, get(f"{SERVICES}?resourceVersion=0"))
            assert is_shared(listed)
            assert named(listed) == ["api", "late", "web"]
        again = [one for one in server.requests[before:] if one[1].startswith(SERVICES)]
        assert all("watch=true" in one[1] for one in again), again
        await server.aclose()

    asyncio.run(scenario())


def kept_of(hub) -> list[str]:
    """Return which services the hub's own list holds; none where it is incomplete."""
    (scope,) = hub.scopes.about("toono", "", "services", "")
    return sorted(name for _, name in scope.rows) if scope.complete else []


def test_what_is_shared_is_kept_also_where_somebody_knew_newer(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = APIServer(bookmark_seconds=60.0)
        await server.start()
        server.create("services", service("web"), namespace="default")
        query = f"{SERVICES}?resourceVersion=0"
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until_shared(hub)
            assert is_shared(await ask(hub, get(query)))
            # Another's list, without a version, is of a later moment than the feed's.
            server.create("configmaps", {"metadata": {"name": "x"}}, namespace="a")
            assert named(await ask(hub, get(SERVICES, agent="kubectl/1"))) == ["web"]
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until_shared(hub)
            assert is_shared(await ask(hub, get(query)))
            feed = hub.chain.shared.feeds[DEFAULTS[0]]
            server.create("services", service("late"), namespace="default")
            await until(lambda: len(feed.state.entries) == 2)
            assert kept_of(hub) == ["late", "web"]
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            assert named(await ask(hub, get(query))) == ["late", "web"]

    asyncio.run(scenario())


def test_what_is_shared_is_kept_again_after_a_disk_lost_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = await cloud()
        query = f"{SERVICES}?resourceVersion=0"
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until_shared(hub)
            listed = await ask(hub, get(query))
            target = f"{SERVICES}?watch=true&resourceVersion={version_of(listed)}"
            reader, writer = await begin(hub, get(target))
            feed = hub.chain.shared.feeds[DEFAULTS[0]]
            await until(lambda: feed.readers == 1)
            (scope,) = hub.scopes.about("toono", "", "services", "")
            hub.scopes.empty(scope)
            port = server.address[1]
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            await server.start(port=port)
            await until(lambda: kept_of(hub) == ["api", "web"])
            server.create("services", service("late"), namespace="default")
            await until_seen(reader, b'"name":"late"')
            assert kept_of(hub) == ["api", "late", "web"]
            assert (feed.readers, feed.cut.total()) == (1, 0)
            writer.close()
        await server.aclose()

    asyncio.run(scenario())


def test_nothing_is_shared_of_before_the_cloud_was_restored(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = await cloud()
        query = f"{SERVICES}?resourceVersion=0"
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until_shared(hub)
            feed = hub.chain.shared.feeds[DEFAULTS[0]]
            before = server.storage.version
            server.create("services", service("lost"), namespace="default")
            listed = await ask(hub, get(query))
            assert named(listed) == ["api", "lost", "web"]
            target = f"{SERVICES}?watch=true&resourceVersion={version_of(listed)}"
            reader, writer = await begin(hub, get(target))
            await until(lambda: feed.readers == 1)
            for agent in ("kubectl/1", "kubectl/1"):
                assert status_of(await ask(hub, get(SERVICES, agent=agent))) == 200
                server.storage.restore(before)
            # Somebody's list proves it: nobody is told of the old world after that.
            assert hub.scopes.epoch > 0
            assert named(await ask(hub, get(query))) == ["api", "web"]
            await until_seen(reader, b'"code":410')
            writer.close()
            port = server.address[1]
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            await server.start(port=port)
            await until(lambda: feed.is_current and feed.ready.is_set())
            assert named(await ask(hub, get(query))) == ["api", "web"]
            assert kept_of(hub) == ["api", "web"]
        await server.aclose()

    asyncio.run(scenario())


def test_a_token_shares_only_what_the_cloud_has_lately_allowed_it(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        query = f"{SERVICES}?resourceVersion=0"
        token = b"Authorization: Bearer abc\r\n\r\n"
        asked = get(query, agent="agent/1")[:-2] + token
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until_shared(hub)
            assert is_shared(await ask(hub, get(query)))
            first = await ask(hub, asked)
            assert status_of(first) == 200
            assert not is_shared(first)
            assert is_shared(await ask(hub, asked))
            other = get(query, agent="agent/1")[:-2] + token.replace(b"abc", b"abd")
            assert not is_shared(await ask(hub, other))
        await server.aclose()

    asyncio.run(scenario())
