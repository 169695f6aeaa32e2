# SPDX-License-Identifier: Apache-2.0
"""The keeper of the Lease reads what it is told, and believes only what is a Lease."""

import asyncio
import json

import pytest

from tests.unit.autonomy.lease_world import (
    CALLER,
    NODE,
    LeaseServer,
    World,
    call_of,
    compact,
)
from toono.autonomy.cloud import Told
from toono.autonomy.renewal import LEASES, LeaseKeeper, read_lease, renewed_lease
from toono.codec.json import JSONCodec
from toono.codec.protobuf import ProtobufCodec
from toono.codec.transcode import to_protobuf
from toono.errors import CodecError
from toono.kube.request import parse
from toono.testing.clock import VirtualClock

LEASE = {
    "kind": "Lease",
    "apiVersion": "coordination.k8s.io/v1",
    "metadata": {"name": NODE, "namespace": "kube-node-lease", "resourceVersion": "7"},
    "spec": {
        "holderIdentity": NODE,
        "leaseDurationSeconds": 40,
        "renewTime": "2026-11-21T09:00:00.000000Z",
    },
}
PROTOBUF = "application/vnd.kubernetes.protobuf"


def in_protobuf() -> bytes:
    one = JSONCodec().read_single(compact(LEASE))
    of = {"kind": one.kind, "api_version": one.api_version}
    data = to_protobuf(one.object.data, **of)
    return ProtobufCodec().write_single(**of, style="typed", data=data)


@pytest.mark.parametrize("media_type", ["application/json", PROTOBUF])
def test_a_lease_is_read_in_both_forms(media_type) -> None:
    content = in_protobuf() if media_type == PROTOBUF else json.dumps(LEASE).encode()
    seen = read_lease(content, name=NODE, media_type=media_type)
    assert seen is not None
    assert seen.resource_version == "7"
    assert seen.renew_time == "2026-11-21T09:00:00.000000Z"
    assert seen.duration == 40.0
    assert not seen.delegated


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>Sign in</html>",
        b"\xff",
        b"[]",
        json.dumps(LEASE | {"metadata": {"name": "other"}}).encode(),
        json.dumps(
            LEASE | {"metadata": {"name": NODE, "resourceVersion": ""}}
        ).encode(),
        json.dumps(LEASE | {"spec": {"leaseDurationSeconds": "x"}}).encode(),
    ],
)
def test_what_is_not_this_lease_is_none(content) -> None:
    assert read_lease(content, name=NODE) is None
    assert read_lease(content, name=NODE, media_type=PROTOBUF) is None


def test_a_renewal_changes_time_and_holder_and_ends_a_delegation() -> None:
    notes = {"openyurt.io/delegate-heartbeat": "true", "mine": "stays"}
    given = LEASE | {"metadata": LEASE["metadata"] | {"annotations": notes}}
    content = json.dumps(given).encode()
    before = read_lease(content, name=NODE)
    assert before is not None
    assert before.delegated
    made = json.loads(renewed_lease(content, holder="me", at="now"))
    assert made["metadata"]["annotations"] == {"mine": "stays"}
    assert made["spec"] == LEASE["spec"] | {"renewTime": "now", "holderIdentity": "me"}
    with pytest.raises(CodecError):
        renewed_lease(b'{"spec": 1}', holder="me", at="now")


class Portal(LeaseServer):
    """Answers everything with one and the same page."""

    def __init__(self, clock: VirtualClock, told: Told) -> None:
        super().__init__(clock)
        self.told = told

    async def ask(self, method, target, content=b"", **_) -> Told:
        self.asked += 1
        assert method == "GET", "written to somebody unknown"
        return self.told


@pytest.mark.parametrize("status", [200, 302, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("content", [b"<html>", b"{}", b'{"kind":"Status"}'])
def test_nothing_is_concluded_from_what_is_no_lease(status, content) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        portal = Portal(clock, Told(status, "text/html", content))
        async with World("always") as world:
            world.clock = clock
            world.hub.server = portal
            world.hub.start()
            await clock.advance(30.0)
            keeper = world.hub.keeper
            assert keeper is not None
            assert (keeper.renewals, keeper.conflicts) == (0, 0)
            assert keeper.failures == portal.asked > 10

    asyncio.run(scenario())


def test_a_clock_that_was_years_ahead_still_renews() -> None:
    """Each renewal is later than the last, for whoever compares them."""

    async def scenario() -> None:
        async with World("always") as world:
            world.hub.start()
            await world.advance(1.0)
            lease = world.server.lease
            assert lease is not None
            lease["spec"]["renewTime"] = "2051-01-01T00:00:00.999999Z"
            await world.advance(10.0)
            assert world.server.lease["spec"]["renewTime"] == (
                "2051-01-01T00:00:01.000000Z"
            )
            for bad in ("the day before yesterday", "9999-12-31T23:59:59.999999Z"):
                world.server.lease["spec"]["renewTime"] = bad
                await world.advance(10.0)
                assert world.server.lease["spec"]["renewTime"].startswith("2026-")

    asyncio.run(scenario())


def test_the_kubelet_is_answered_in_its_own_form() -> None:
    async def scenario() -> None:
        async with World("always") as world:
            world.hub.start()
            keeper = world.hub.keeper
            assert keeper is not None
            path = f"{LEASES}/{NODE}".encode()
            fields = {b"user-agent": b"kubelet/v1", b"accept": PROTOBUF.encode()}
            told = await keeper.answer(parse("GET", path, fields, CALLER), b"")
            assert told is None, "nothing is known yet: the question passes"
            world.server.lease = LEASE
            await world.advance(1.0)
            told = await keeper.answer(parse("PUT", path, fields, CALLER), b"")
            assert told is not None
            status, media_type, content = told
            assert (status, media_type) == (200, PROTOBUF)
            seen = read_lease(content, name=NODE, media_type=PROTOBUF)
            assert seen is not None
            assert seen.resource_version == "101"
            told = await keeper.answer(parse("GET", path, {}, CALLER), b"")
            assert told is not None
            assert json.loads(told[2])["metadata"]["resourceVersion"] == "101"

    asyncio.run(scenario())


def test_a_lease_that_has_no_other_form_is_not_told() -> None:
    async def scenario() -> None:
        async with World("always") as world:
            world.hub.start()
            world.server.lease = LEASE | {"spec": LEASE["spec"] | {"later": 1}}
            await world.advance(1.0)
            keeper = world.hub.keeper
            assert keeper is not None
            fields = {b"accept": PROTOBUF.encode()}
            call = parse("GET", f"{LEASES}/{NODE}".encode(), fields, CALLER)
            assert await keeper.answer(call, b"") is None
            assert world.server.lease["spec"]["later"] == 1

    asyncio.run(scenario())


def test_a_kubelet_hears_its_own_words_before_the_lease_was_read() -> None:
    async def scenario() -> None:
        async with World("always") as world:
            world.server.online = False
            world.hub.start()
            keeper = world.hub.keeper
            assert keeper is not None
            assert await keeper.answer(call_of("POST"), b"mine") == (201, "", b"mine")
            assert await keeper.answer(call_of("PUT"), b"too") == (200, "", b"too")

    asyncio.run(scenario())


def test_a_cloud_that_hangs_does_not_hold_the_kubelet(monkeypatch) -> None:
    async def scenario() -> None:
        async with World("always") as world:
            world.hub.start()
            await world.advance(1.0)

            async def hang(*_: object, **__: object) -> Told:
                await asyncio.Event().wait()
                raise AssertionError

            keeper = world.hub.keeper
            assert keeper is not None
            world.server.ask = hang
            monkeypatch.setattr("toono.autonomy.renewal.PROMPTED_SECONDS", 0.01)
            world.clock._now += 6.0
            told = await keeper.answer(call_of("PUT"), b"")
            assert told is not None
            assert json.loads(told[2])["metadata"]["resourceVersion"] == "101"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "concerns"),
    [
        ("GET", f"{LEASES}/{NODE}", True),
        ("PUT", f"{LEASES}/{NODE}", True),
        ("PATCH", f"{LEASES}/{NODE}", True),
        ("POST", LEASES, True),
        ("DELETE", f"{LEASES}/{NODE}", False),
        ("GET", LEASES, False),
        ("PUT", f"{LEASES}/other", False),
        ("PUT", f"{LEASES}/{NODE}/status", False),
        ("PUT", f"/apis/coordination.k8s.io/v1/namespaces/x/leases/{NODE}", False),
        ("PUT", f"/apis/a.example/v1/namespaces/kube-node-lease/leases/{NODE}", False),
        ("PUT", f"/api/v1/nodes/{NODE}", False),
    ],
)
def test_which_calls_are_about_the_lease(method, path, concerns) -> None:
    async def scenario() -> None:
        server = LeaseServer(VirtualClock())
        keeper = LeaseKeeper(
            server, "never", node_name=NODE, grace=40.0, clock=server.clock
        )
        assert keeper.concerns(parse(method, path.encode(), {}, CALLER)) is concerns

    asyncio.run(scenario())
