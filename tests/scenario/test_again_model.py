# SPDX-License-Identifier: Apache-2.0
"""The short way against the long one: whatever happens, the same answer.

Random changes of an object, refusals, framings, cuts, breaks and new rules; after each,
a client that has asked before (and may go short) and one on a new connection (which
cannot) must hear the same, and what is remembered in the end must be the newest that
was heard. TOONO_AGAIN_RUNS sets how many runs (`make prove`: 2,000).
"""

import asyncio
import os
import random
import re

from tests.rig import hub_over, until
from tests.scenario.test_again import (
    FORBIDDEN,
    NOT_FOUND,
    PATIENT,
    Client,
    Cloud,
    chunked,
    pod,
    sized,
    without_time,
)
from toono.cache.policy import Policy
from toono.identity.sockets import Owner
from toono.pipeline.again import PassedAgain
from toono.pipeline.again_kept import KeptAgain

RUNS = int(os.environ.get("TOONO_AGAIN_RUNS", "12"))
STEPS = 40
AGENTS = [("kubelet/v1.34.0", ""), ("stranger/1", ""), ("agent/2", "a.b.c")]


class Run:
    """One hub, one server, three clients that stay, and a random script."""

    def __init__(self, seed: int, hub, cloud) -> None:
        self.rng = random.Random(seed)
        self.hub, self.cloud = hub, cloud
        self.version, self.size = 5, 3000
        self.gone = False

    def change(self) -> None:
        self.version += self.rng.randint(1, 3)
        self.size = self.rng.choice([0, 100, 20_000])
        self.reframe()

    def reframe(self) -> None:
        frame = self.rng.choice([sized, chunked])
        self.cloud.answer = frame(self.pod())

    def pod(self) -> bytes:
        """Return the object; one that was gone is another one."""
        self.version += self.gone
        self.gone = False
        return pod(self.version, self.size)

    def refuse(self) -> None:
        self.gone = self.gone or self.rng.random() < 0.5
        self.cloud.answer = NOT_FOUND if self.gone else FORBIDDEN

    def oddly(self) -> None:
        usual = sized(self.pod())
        self.cloud.answer = usual.replace(b"Audit-Id: 1", b"audit-id:   1")

    def cut(self) -> None:
        self.hub.upstream.hold(True)

    def join(self) -> None:
        self.hub.upstream.hold(False)

    def cut_connections(self) -> None:
        for transport in self.cloud.transports:
            transport.abort()
        self.cloud.transports.clear()

    def rule(self) -> None:
        self.hub.recorder.policy = Policy.of(*self.rng.choice([(), ("agent",)]))

    def forget(self) -> None:
        scopes = [one for one in self.hub.scopes.all() if one.loaded]
        if scopes:
            self.hub.scopes.empty(self.rng.choice(scopes))

    def age(self) -> None:
        for way in self.hub.server.known_heads._order.values():
            for again in way.known.values():
                if again is not None:
                    again._until = 0.0

    async def step(self, clients: list[Client]) -> None:
        for _ in range(self.rng.randint(0, 2)):
            self.rng.choice(
                [
                    *[self.change] * 4,
                    self.reframe,
                    self.refuse,
                    self.oddly,
                    self.cut,
                    *[self.join] * 2,
                    self.cut_connections,
                    self.rule,
                    self.forget,
                    self.age,
                ]
            )()
        client, times = self.rng.choice(clients), self.rng.randint(1, 3)
        kept = self.rng.random() < 0.3
        while not await self.compare(client, times, kept=kept):
            pass

    async def compare(self, client: Client, times: int, *, kept: bool) -> bool:
        """Compare what both hear; False where the link went or came meanwhile.

        A probe may be on a connection that was cut.
        """
        upstream = self.hub.upstream
        await until(lambda: upstream.online or upstream._held)
        since = upstream.since
        heard = [plain(await client.ask()) for _ in range(times)]
        if kept and b"stored" in heard[-1] and upstream.since == since:
            upstream.hold(True)  # what was heard last is what is remembered
            told = await self.told_anew(client)
            upstream.hold(False)
            assert content(told) == content(heard[-1])
            return True
        told = await self.told_anew(client)
        if upstream.since != since:
            return False
        assert [unmarked(one) for one in heard] == [unmarked(told)] * times
        return True

    async def told_anew(self, like: Client) -> bytes:
        """Return what a client on a new connection hears."""
        other = await self.new(like)
        told = plain(await other.ask())
        other.writer.close()
        return told

    async def new(self, like: Client) -> Client:
        streams = await asyncio.open_connection(*self.hub.addresses[0])
        other = Client(*streams, "", "")
        other.head = like.head
        return other


def content(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def unmarked(answer: bytes) -> bytes:
    """Return an answer without its Cache-Status: the hub reads its own rules, too."""
    return re.sub(rb"Cache-Status: toono; fwd=[^\r]*\r\n", b"", answer)


def plain(answer: bytes) -> bytes:
    """Return an answer without what time, or its being the first, changes."""
    head, _, rest = without_time(answer).partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Warning")]
    return b"\r\n".join([*lines, b"", rest])


def test_both_ways_say_the_same_whatever_happens(tmp_path, monkeypatch) -> None:
    taken = {PassedAgain: 0, KeptAgain: 0}
    for kind in taken:
        begin = kind.begin

        def counted(one, asker, now, *, begin=begin, kind=kind):
            content = begin(one, asker, now)
            taken[kind] += content is not None
            return content

        monkeypatch.setattr(kind, "begin", counted)

    async def play_one(seed: int) -> None:
        cloud = Cloud.new()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(cloud, "127.0.0.1", 0)
        addresses = [server.sockets[0].getsockname()]
        root = lambda *_: Owner(0, frozenset())  # noqa: E731
        directory = tmp_path / str(seed)
        async with hub_over(addresses, directory, owner=root, health=PATIENT) as hub:
            await until(lambda: hub.upstream.online)
            run = Run(seed, hub, cloud)
            clients = []
            for agent, token in AGENTS:
                streams = await asyncio.open_connection(*hub.addresses[0])
                clients.append(Client(*streams, agent, token))
            for _ in range(STEPS):
                await run.step(clients)
            for client in clients:
                client.writer.close()
            assert hub.chain.in_flight.reading == 0
        for transport in cloud.transports:
            transport.abort()
        server.close()

    async def scenario() -> None:
        for seed in range(RUNS):
            try:
                await play_one(seed)
            except AssertionError as exc:
                raise AssertionError(f"seed {seed}") from exc

    async def long_scenario() -> None:
        async with asyncio.timeout(max(120, RUNS * 10)):
            await scenario()

    with asyncio.Runner() as runner:
        runner.run(long_scenario())
    assert all(taken.values()), taken
