# SPDX-License-Identifier: Apache-2.0
"""Calls about the node's Lease are answered, or passed and looked at."""

import asyncio
import json

import pytest

from tests.unit.autonomy.lease_world import LeaseServer, call_of
from toono.autonomy.lease import State
from toono.autonomy.renewal import LeaseKeeper
from toono.errors import RequestError, UnreachableError
from toono.pipeline.lease import MAX_AGENTS, MAX_BYTES, LeaseGate
from toono.testing.clock import VirtualClock
from toono.wire.messages import BytesBody, Peer, Request, Response

LEASE = {
    "metadata": {"name": "edge-1", "resourceVersion": "7"},
    "spec": {"renewTime": "2026-11-21T09:00:00.000000Z"},
}


def gate(mode="auto") -> LeaseGate:
    clock = VirtualClock()
    server = LeaseServer(clock)
    keeper = LeaseKeeper(server, mode, node_name="edge-1", grace=40.0, clock=clock)
    return LeaseGate(keeper, clock)


def request(method: str, content: bytes = b"") -> Request:
    return Request(
        method=method,
        target=b"/",
        headers=[],
        fields={},
        body=BytesBody(content),
        peer=Peer(connection=1, local=("", 0), remote=("", 0)),
    )


class Server:
    """What comes after the gate."""

    def __init__(self, status: int = 200, content=LEASE) -> None:
        self.status = status
        self.content = json.dumps(content).encode()
        self.heard: list[bytes] = []

    async def __call__(self, call, request) -> tuple[str, Response]:
        self.heard.append(await request.body.read())
        headers = [(b"Content-Type", b"application/json")]
        if self.status == 0:
            raise UnreachableError("cut")
        return "forward", Response(
            status=self.status, headers=headers, content=self.content
        )


def test_a_renewal_that_passes_keeps_its_body_and_is_noted() -> None:
    async def scenario() -> None:
        one, server = gate(), Server()
        route, response = await one(call_of("PUT"), request("PUT", b"lease"), server)
        assert (route, response.status) == ("forward", 200)
        assert server.heard == [b"lease"]
        duty = one.keeper.duty
        seen_at = one.keeper.duty._known
        assert seen_at is not None
        assert seen_at.resource_version == "7"
        assert duty._in_flight == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [0, 401, 500])
def test_a_renewal_that_fails_is_not_under_way_any_more(status) -> None:
    async def scenario() -> None:
        one = gate()
        try:
            await one(call_of("PUT"), request("PUT", b"lease"), Server(status))
        except UnreachableError:
            assert status == 0
        assert one.keeper.duty._in_flight == 0
        assert one.keeper.duty._known is None
        assert one.keeper.duty.state is State.LOOKING

    asyncio.run(scenario())


def test_a_conflict_of_the_kubelets_is_a_strangers_renewal() -> None:
    async def scenario() -> None:
        one = gate()
        await one(call_of("PUT"), request("PUT", b"lease"), Server(409, {}))
        assert one.keeper.duty.state is State.SILENT

    asyncio.run(scenario())


def test_always_answers_in_the_servers_place() -> None:
    async def scenario() -> None:
        one, server = gate("always"), Server()
        one.keeper._cloud.lease = LEASE
        put = call_of("PUT")
        route, response = await one(put, request("PUT", b"lease"), server)
        assert (route, response.status) == ("local", 200)
        assert json.loads(response.content)["metadata"]["resourceVersion"] == "101"
        assert (b"Cache-Status", b"toono; hit") in response.headers
        route, response = await one(call_of("GET"), request("GET"), server)
        assert (route, response.status) == ("local", 200)
        assert server.heard == []

    asyncio.run(scenario())


def test_a_question_passes_where_the_hub_does_not_renew() -> None:
    async def scenario() -> None:
        route, _ = await gate("never")(call_of("GET"), request("GET"), Server())
        assert route == "forward"

    asyncio.run(scenario())


def test_a_lease_of_any_size_is_not_read() -> None:
    async def scenario() -> None:
        huge = request("PUT", bytes(MAX_BYTES + 1))
        with pytest.raises(RequestError) as raised:
            await gate()(call_of("PUT"), huge, Server())
        assert raised.value.code == 413

    asyncio.run(scenario())


def test_who_calls_may_tell_a_distribution() -> None:
    async def scenario() -> None:
        one = gate()
        one.hear(call_of("GET", "kubelet/v1.34.1"))
        assert one.keeper.duty.state is State.LOOKING
        one.hear(call_of("GET", "k3s/v1.34.1+k3s1 (linux/amd64)"))
        assert one.keeper.duty.state is State.SILENT
        assert "K3s" in one.keeper.duty.evidence
        for number in range(2 * MAX_AGENTS):
            one.hear(call_of("GET", f"a/{number}"))
        assert len(one.agents) <= MAX_AGENTS + 1

    asyncio.run(scenario())
