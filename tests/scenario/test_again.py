# SPDX-License-Identifier: Apache-2.0
"""A GET asked again on its connection: the answer of the long way, in less time.

Each test has the server answer by a script and looks at the bytes that the client gets
and at what the server was sent. What goes short shows in that no task and no head is
made for it: `shortly` counts the ways that were taken.
"""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.rig import hub_over, until
from tests.unit.wire.kit import play
from toono.cache.policy import Policy
from toono.cache.record import Recording
from toono.filters.approval import DEFAULTS, Approval
from toono.identity.rows import Question
from toono.identity.sockets import Owner
from toono.pipeline.again import PassedAgain
from toono.pipeline.again_kept import KeptAgain
from toono.upstream.health import HealthSettings

PATIENT = HealthSettings(
    interval=3600, down_interval=0.05, up_after=1, silence=60, probe_timeout=60
)
"""Links break, and none is silent: who waits for the processor is not cut off."""
SILENCE = 0.2
POD = "/api/v1/namespaces/default/pods/web-0"


def pod(version: int = 5, size: int = 3000, **metadata: object) -> bytes:
    content = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": "web-0",
            "namespace": "default",
            "uid": "u",
            "resourceVersion": str(version),
            "annotations": {"note": "x" * size},
            **metadata,
        },
    }
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def sized(content: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %b\r\nAudit-Id: 1\r\nContent-Type: application/json\r\n" % status
    return head + (
        b"Date: Sat, 21 Nov 2026 01:00:00 GMT\r\nContent-Length: %d\r\n\r\n%b"
        % (len(content), content)
    )


def chunked(content: bytes) -> bytes:
    head = sized(content).partition(b"Content-Length")[0]
    return head + (
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (len(content), content)
    )


NOT_FOUND = sized(
    json.dumps(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "reason": "NotFound",
            "details": {"name": "web-0", "kind": "pods"},
            "code": 404,
        }
    ).encode(),
    b"404 Not Found",
)
FORBIDDEN = sized(
    b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden",'
    b'"code":403}',
    b"403 Forbidden",
)


class Cloud(asyncio.Protocol):
    """A server that says `answer` to each request but for probes."""

    answer = sized(pod())
    healthy = True
    heads: list[bytes]

    @classmethod
    def new(cls) -> type["Cloud"]:
        return type("OneCloud", (cls,), {"heads": [], "transports": []})

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.transports.append(transport)
        self.buffer = b""

    def data_received(self, piece: bytes) -> None:
        self.buffer += piece
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            if b"/readyz" in head:
                if type(self).healthy:
                    self.transport.write(sized(b"ok"))
            elif POD.encode() in head:
                self.heads.append(head)
                type(self).asked = self.transport
                answer = type(self).answer
                if answer is not None:
                    self.transport.write(answer)
            else:
                self.transport.write(NOT_FOUND)


class Client:
    """A client that keeps its connection."""

    def __init__(self, reader, writer, agent: str, token: str) -> None:
        self.reader, self.writer = reader, writer
        more = f"Authorization: Bearer {token}\r\n" if token else ""
        self.head = (
            f"GET {POD} HTTP/1.1\r\nHost: hub\r\nUser-Agent: {agent}\r\n{more}"
            "Accept: application/json\r\n\r\n"
        ).encode()

    async def ask(self) -> bytes:
        self.writer.write(self.head)
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
            return head + await self.reader.readexactly(length)


class Taken:
    """Counts the short ways that were taken to their end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = self.kept = 0
        self.tried = 0
        answer, kept, begin = PassedAgain._answer, KeptAgain.begin, PassedAgain.begin

        def counted(one, lines, content) -> None:
            self.passed += 1
            answer(one, lines, content)

        def counted_kept(one, asker, now):
            content = kept(one, asker, now)
            self.kept += content is not None
            return content

        def counted_try(one, asker, now):
            content = begin(one, asker, now)
            self.tried += content is not None
            return content

        monkeypatch.setattr(PassedAgain, "_answer", counted)
        monkeypatch.setattr(PassedAgain, "begin", counted_try)
        monkeypatch.setattr(KeptAgain, "begin", counted_kept)


@pytest.fixture
def taken(monkeypatch) -> Taken:
    return Taken(monkeypatch)


@asynccontextmanager
async def asking(
    tmp_path,
    taken,
    *,
    agent: str = "kubelet/v1.34.0",
    token: str = "",
    probe_seconds: float = 0.0,
):
    """Yield (hub, cloud, client); the next GET goes the short way."""
    cloud = Cloud.new()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(cloud, "127.0.0.1", 0)
    addresses = [server.sockets[0].getsockname()]
    root = lambda *_: Owner(0, frozenset())  # noqa: E731
    health = PATIENT
    if probe_seconds:
        health = replace(PATIENT, silence=SILENCE, probe_timeout=probe_seconds)
    async with hub_over(addresses, tmp_path, owner=root, health=health) as hub:
        await until(lambda: hub.upstream.online)
        streams = await asyncio.open_connection(*hub.addresses[0])
        client = Client(*streams, agent, token)
        async with asyncio.timeout(30):
            while not taken.passed:  # what a hub learns as it starts may end it
                await client.ask()
        taken.passed = taken.tried = taken.kept = 0
        cloud.heads.clear()
        yield hub, cloud, client
        client.writer.close()
    for transport in cloud.transports:
        transport.abort()
    server.close()


@pytest.mark.parametrize("agent", ["kubelet/v1.34.0", "bench/1"])
@pytest.mark.parametrize("token", ["", "a.b.c"])
@pytest.mark.parametrize("frame", [sized, chunked])
def test_both_ways_give_and_send_the_same_bytes(
    tmp_path, taken, agent, token, frame
) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken, agent=agent, token=token) as (
            hub,
            cloud,
            client,
        ):
            cloud.answer = frame(pod())
            hub.chain.shortcuts, short = None, hub.chain.shortcuts
            end_of_life(hub)
            first = await client.ask()
            hub.chain.shortcuts = short
            assert await client.ask() == first
            assert taken.passed == 0
            for count in (1, 2, 3):
                assert await client.ask() == first
                assert taken.passed == count
            assert len(set(cloud.heads)) == 1
            assert hub.chain.in_flight.reading == 0

    play(scenario)


def test_what_changed_is_passed_on_and_remembered(tmp_path, taken) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            for version in range(6, 30):
                cloud.answer = sized(pod(version))
                answer = await client.ask()
                assert answer.endswith(pod(version))
                assert b"toono; fwd=miss; stored" in answer
            assert taken.passed == 24
            hub.upstream.hold(True)
            assert (await client.ask()).endswith(pod(29))

    play(scenario)


def test_a_removal_is_durable_before_its_answer_also_the_short_way(
    tmp_path, taken
) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            waits = []
            wait = hub.chain.shortcuts.barrier.wait

            async def watched(kept) -> None:
                waits.append(kept)
                await wait(kept)

            hub.chain.shortcuts.barrier.wait = watched
            ending = pod(7, deletionTimestamp="2026-11-21T00:00:00Z")
            cloud.answer = sized(ending)
            assert (await client.ask()).endswith(ending)
            assert len(waits) <= 1
            assert taken.passed == 1
            assert hub.chain.in_flight.reading == 0

    play(scenario)


@pytest.mark.parametrize("refused", [NOT_FOUND, FORBIDDEN])
def test_a_refusal_is_told_by_the_long_way(tmp_path, taken, refused) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            await client.ask()
            cloud.answer = refused
            answers = [await client.ask() for _ in range(3)]
            assert {one.split(b" ")[1] for one in answers} == {refused.split(b" ")[1]}
            assert taken.tried == 2, "one was answered, one was declined"
            cloud.answer = sized(pod(9))
            assert (await client.ask()).endswith(pod(9))
            hub.upstream.hold(True)
            assert (await client.ask()).endswith(pod(9))
            assert hub.chain.in_flight.reading == 0

    play(scenario)


def test_a_yes_after_somebody_elses_no_is_remembered(tmp_path, taken) -> None:
    """Rights are an identity's, and the node has many connections."""

    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            cloud.answer = FORBIDDEN
            streams = await asyncio.open_connection(*hub.addresses[0])
            other = Client(*streams, "another/1", "")
            assert (await other.ask()).startswith(b"HTTP/1.1 403 ")
            other.writer.close()
            cloud.answer = sized(pod())
            assert (await client.ask()).endswith(pod())
            assert hub.rights.book.find("node", question_of_pod()).allowed

    play(scenario)


def question_of_pod() -> Question:
    return Question("get", "", "pods", "", "default", "web-0", "")


def test_an_answer_framed_otherwise_has_no_short_way_for_good(tmp_path, taken) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (_, cloud, client):
            cloud.answer = sized(pod()).replace(b"Audit-Id: 1", b"Audit-Id:  1")
            for _ in range(4):
                assert (await client.ask()).endswith(pod())
            assert (taken.tried, taken.passed) == (1, 0)
            assert len(cloud.heads) == 5, "one was asked twice"

    play(scenario)


@pytest.mark.parametrize(
    "otherwise", [NOT_FOUND, sized(pod()).replace(b"Audit-Id: 1", b"Audit-Id:  1")]
)
def test_an_answer_of_another_kind_costs_no_connection(
    tmp_path, taken, otherwise
) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            (server,) = hub.upstream.servers
            links = set(server.origin._open)
            cloud.answer = otherwise
            await client.ask()
            assert taken.tried == 1
            assert all(link.is_alive for link in links)
            cloud.answer = sized(pod())
            await client.ask()
            last = otherwise.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            cloud.answer = last + last
            end_of_life(hub)
            await client.ask()
            assert not all(link.is_alive for link in links)

    play(scenario)


def test_a_failure_of_the_short_way_is_heard_by_its_client(
    tmp_path, taken, monkeypatch, caplog
) -> None:
    take, failures = Recording.take, [RuntimeError("a fault"), None]

    def fail(*asked):
        if failures and (failure := failures.pop(0)):
            raise failure
        return take(*asked)

    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            monkeypatch.setattr(Recording, "take", fail)
            cloud.answer = sized(pod(6))
            assert (await client.ask()).endswith(pod(6))
            assert (taken.tried, taken.passed) == (1, 0)
            assert hub.chain.in_flight.reading == 0

    play(scenario)


def test_what_was_asked_before_the_cloud_was_restored_is_asked_again(
    tmp_path, taken
) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            cloud.answer = None
            asked = asyncio.ensure_future(client.ask())
            await until(lambda: len(cloud.heads) == 1)
            hub.scopes.epoch += 1
            cloud.answer = sized(pod(9))
            cloud.asked.write(sized(pod(8)))
            assert (await asked).endswith(pod(9))
            assert (taken.tried, taken.passed) == (1, 0)

    play(scenario)


def test_what_a_server_says_of_a_cache_is_not_what_the_hub_keeps(
    tmp_path, taken
) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken, token="a.b.c") as (hub, cloud, client):
            node = Client(
                *await asyncio.open_connection(*hub.addresses[0]), "kubelet/v1", ""
            )
            await node.ask()
            (scope,) = hub.scopes.of_all("", "pods", "web-0")
            said = b"Audit-Id: 1\r\nCache-Status: toono; fwd=miss; stored"
            for version in (6, 7, 8):
                end_of_life(hub)
                cloud.answer = sized(pod(version)).replace(b"Audit-Id: 1", said)
                for _ in range(2):
                    answer = await client.ask()
                    assert answer.endswith(pod(version))
                    assert b"Cache-Status: toono; fwd=bypass\r\n" in answer
            assert taken.passed == 3
            assert [row.resource_version for row in scope.rows.values()] == ["5"]
            node.writer.close()

    play(scenario)


def test_a_link_that_breaks_within_an_answer_is_asked_again(tmp_path, taken) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            cloud.answer = sized(pod())[:900]
            asked = asyncio.ensure_future(client.ask())
            await until(lambda: len(cloud.heads) == 1)
            cloud.answer = sized(pod(6))
            for transport in cloud.transports:
                transport.abort()
            assert (await asked).endswith(pod(6))
            assert taken.tried == 1
            assert hub.chain.in_flight.reading == 0

    play(scenario)


def test_a_link_that_falls_silent_is_noticed_and_the_cache_answers(
    tmp_path, taken
) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken, probe_seconds=0.5) as (hub, cloud, client):
            cloud.answer, cloud.healthy = None, False
            answer = await client.ask()
            assert b"toono; hit" in answer
            assert answer.endswith(pod())
            assert taken.tried == 1
            assert not hub.upstream.online
            assert hub.chain.in_flight.reading == 0

    play(scenario)


def test_a_server_that_thinks_is_waited_for(tmp_path, taken) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken, probe_seconds=60) as (_, cloud, client):
            cloud.answer = None
            asked = asyncio.ensure_future(client.ask())
            await until(lambda: len(cloud.heads) == 1)
            await asyncio.sleep(4 * SILENCE)
            assert not asked.done()
            cloud.asked.write(sized(pod(6)))
            assert (await asked).endswith(pod(6))
            assert taken.passed == 1

    play(scenario)


def test_a_client_that_leaves_lets_go_of_its_link(tmp_path, taken) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            cloud.answer = None
            client.writer.write(client.head)
            await until(lambda: len(cloud.heads) == 1)
            (server,) = hub.upstream.servers
            waiting = server.origin.waiting
            (connection,) = hub.server.connections.values()
            connection.abort()
            await until(lambda: server.origin.waiting < waiting)
            await until(lambda: hub.chain.in_flight.reading == 0)
            assert taken.tried == 1

    play(scenario)


def changed_policy(hub) -> None:
    hub.recorder.policy = Policy.of("another")


def changed_filters(hub) -> None:
    added = {"masterservice": frozenset({"another"})}
    hub.chain.filters.approval = Approval(off=frozenset(DEFAULTS), added=added)


def begun_drill(hub) -> None:
    assert hub.drill.start(60, frozenset())


def end_of_life(hub) -> None:
    for way in hub.server.known_heads._order.values():
        for again in filter(None, way.known.values()):
            again._until = 0.0


@pytest.mark.parametrize(
    "change", [changed_policy, changed_filters, begun_drill, end_of_life]
)
def test_whatever_it_rests_on_ends_the_short_way(tmp_path, taken, change) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, _, client):
            await client.ask()
            assert taken.passed == 1
            change(hub)
            assert (await client.ask()).endswith(pod())
            assert taken.passed == 1
            hub.drill.end()

    play(scenario)


def test_cut_off_the_answer_is_held_ready_and_its_age_goes_on(tmp_path, taken) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            hub.upstream.hold(True)
            assert b"Warning" in await client.ask(), "an outage is told once"
            first = await client.ask()
            assert taken.kept == 0
            assert without_time(await client.ask()) == without_time(first)
            assert taken.kept == 1
            (scope,) = hub.scopes.of_all("", "pods", "web-0")
            for way in hub.server.known_heads._order.values():
                for again in way.known.values():
                    again._response.confirmed_at = scope.confirmed_at - 3600
                    again._to = 0.0
            assert 3600 <= age_of(await client.ask()) <= 3660
            assert taken.kept == 2
            assert cloud.heads == []

    play(scenario)


def test_cut_off_a_change_of_what_is_kept_ends_what_was_held_ready(
    tmp_path, taken
) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, _, client):
            hub.upstream.hold(True)
            for _ in range(3):
                await client.ask()
            assert taken.kept == 1
            (scope,) = hub.scopes.of_all("", "pods", "web-0")
            hub.scopes.empty(scope)
            assert (await client.ask()).startswith(b"HTTP/1.1 503 ")
            assert taken.kept == 1

    play(scenario)


def test_back_online_the_server_is_asked_again(tmp_path, taken) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (hub, cloud, client):
            hub.upstream.hold(True)
            for _ in range(3):
                await client.ask()
            hub.upstream.hold(False)
            cloud.answer = sized(pod(8))
            assert (await client.ask()).endswith(pod(8))
            hub.upstream.hold(True)
            answer = await client.ask()
            assert b"Warning" in answer
            assert answer.endswith(pod(8))
            assert taken.kept == 1

    play(scenario)


def test_short_answers_are_counted_as_the_others(tmp_path, taken) -> None:
    async def scenario() -> None:
        async with asking(tmp_path, taken, agent="stranger/1") as (hub, _, client):
            before = counted(hub)
            for _ in range(7):
                await client.ask()
            assert taken.passed == 7
            assert counted(hub) == before + 7

            (asker,) = (
                one
                for one in hub.board.pages["/v1/agents"]()["notKept"]
                if one["component"] == "stranger"
            )
            assert asker["requests"] == before + 7

    play(scenario)


def counted(hub) -> int:
    """Return how many answers to the stranger were counted, in all places alike."""
    text = hub.metrics.text().decode()
    kind = 'code="200",component="stranger",resource="pods"'
    (line,) = (one for one in text.splitlines() if kind in one and "forward" in one)
    return int(float(line.split()[-1]))


def without_time(answer: bytes) -> bytes:
    return re.sub(rb"(Age|Date): [^\r]*\r\n", b"", answer)


def age_of(answer: bytes) -> int:
    return int(re.search(rb"Age: (\d+)", answer)[1])
