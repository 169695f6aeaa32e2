# SPDX-License-Identifier: Apache-2.0
"""What waited lands once, in order, whatever the server and the link do."""

import asyncio
import json
from contextlib import asynccontextmanager

import msgspec
import pytest

from tests.unit.autonomy.spool_kit import event, event_patch, names, pod_status, put
from toono.autonomy import replay as module
from toono.autonomy.replay import (
    MAX_TRIES,
    Heard,
    Later,
    Replay,
    judge,
    renamed_event,
    same_event,
)
from toono.autonomy.spool import Spool
from toono.autonomy.spooled import Target, Write, key_of
from toono.errors import (
    StoreFullError,
    StoreUnavailableError,
    UnreachableError,
    UpstreamError,
)
from toono.identity.sealed import Seal
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.base import Batch
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock, settle
from toono.upstream.pool import Credential
from toono.wire.messages import Answer, BytesBody

OBJECT = {"kind": "Event", "apiVersion": "v1", "metadata": {"name": "x"}}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch) -> None:
    monkeypatch.setattr(module, "SPREAD_SECONDS", 0.0)


def refusal(code: int, reason: str = "", **more) -> tuple:
    values = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    values |= {"reason": reason, "code": code}
    return code, json.dumps(values).encode(), more


def good(code: int = 201) -> tuple:
    return code, json.dumps(OBJECT).encode(), {}


class Cloud:
    """An upstream that answers what a test has put in, and else 201."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str, bytes]] = []
        self.credentials: list[Credential] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.hold: asyncio.Event | None = None

    async def send(self, method, target, headers, body, *, credential) -> Answer:
        content = await body.read() if body is not None else b""
        self.sent.append((method, target.decode(), content))
        self.credentials.append(credential)
        self.headers.append(dict(headers))
        if self.hold is not None:
            await self.hold.wait()
        given = self.answers.pop(0) if self.answers else good()
        if isinstance(given, Exception):
            raise given
        code, content, more = given
        fields = {b"content-type": b"application/json; charset=utf-8"}
        fields |= {k.encode().replace(b"_", b"-"): v for k, v in more.items()}
        return Answer(
            status=code, reason=b"", headers=[], fields=fields, body=BytesBody(content)
        )

    def names(self) -> list[str]:
        found = []
        for method, target, content in self.sent:
            values = json.loads(content) if method == "POST" else {}
            found.append(values.get("metadata", {}).get("name") or target)
        return found


class Rig:
    def __init__(self, *answers) -> None:
        self.store = MemoryStore()
        self.spool = Spool(self.store)
        self.seal = Seal.fleeting()
        self.clock = VirtualClock()
        self.cloud = Cloud(*answers)
        self.replay = Replay(self.spool, self.seal, self.cloud, clock=self.clock)

    @asynccontextmanager
    async def running(self, *writes: Write):
        for write in writes:
            await put(self.spool, write)
        task = spawn(self.replay.run(), name="replay")
        self.replay.mode(online=True)
        await self.clock.advance(module.SPREAD_SECONDS)
        try:
            yield self
        finally:
            await cancel_and_wait(task)

    async def put_of_pod(self, write: Write, *, lasts: float) -> None:
        serial = self.spool.reserve()
        token = self.seal.close(b"token", place=key_of(serial))
        expires_at = self.clock.wall() + lasts
        write = msgspec.structs.replace(
            write, owner="sa", token=token, expires_at=expires_at
        )
        await self.spool.put(serial, write)


def test_all_lands_in_order_with_the_nodes_certificate() -> None:
    async def scenario() -> None:
        rig = Rig()
        writes = [event("a"), pod_status("web"), event("b"), event_patch("b", 2)]
        async with rig.running(*writes):
            assert [(m, t) for m, t, _ in rig.cloud.sent] == [
                ("POST", "/api/v1/namespaces/shop/events"),
                ("PATCH", "/api/v1/namespaces/shop/pods/web/status"),
                ("POST", "/api/v1/namespaces/shop/events"),
                ("PATCH", "/api/v1/namespaces/shop/events/b"),
            ]
            assert [body for _, _, body in rig.cloud.sent] == [w.body for w in writes]
            assert set(rig.cloud.credentials) == {Credential.NODE}
            assert rig.cloud.headers[0][b"User-Agent"] == b"kubelet/v1.34"
            assert rig.cloud.headers[1][b"Content-Type"] == (
                b"application/strategic-merge-patch+json"
            )
            assert rig.spool.counts["landed"] == 4
            assert len(rig.spool) == 0
            await put(rig.spool, event("later"))
            await settle()
            assert rig.spool.counts["landed"] == 5

    asyncio.run(scenario())


def test_nothing_is_sent_while_the_link_is_down() -> None:
    async def scenario() -> None:
        rig = Rig()
        async with rig.running():
            rig.replay.mode(online=False)
            await put(rig.spool, event("a"))
            await rig.clock.advance(100)
            assert rig.cloud.sent == []
            rig.replay.mode(online=True)
            await rig.clock.advance(module.SPREAD_SECONDS)
            assert rig.spool.counts["landed"] == 1

    asyncio.run(scenario())


def test_a_pods_event_goes_with_its_own_token_while_that_lives() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.put_of_pod(event("a"), lasts=60)
        await rig.put_of_pod(event("b"), lasts=-1)
        async with rig.running():
            assert rig.cloud.names() == ["a"]
            assert rig.cloud.headers[0][b"Authorization"] == b"Bearer token"
            assert rig.cloud.credentials[0].kind == "token"
            assert rig.spool.counts["expired"] == 1

    asyncio.run(scenario())


def test_a_token_that_was_moved_or_refused_sends_nothing_more() -> None:
    async def scenario() -> None:
        rig = Rig(refusal(401, "Unauthorized"))
        await rig.put_of_pod(event("a"), lasts=60)
        moved = msgspec.structs.replace(
            event("b"), owner="sa", token=b"x" * 40, expires_at=rig.clock.wall() + 60
        )
        async with rig.running(moved):
            assert rig.cloud.names() == ["a"]
            assert rig.spool.counts["expired"] == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("code", [403, 404, 422])
def test_what_the_server_refuses_is_dropped_and_the_rest_goes_on(code: int) -> None:
    async def scenario() -> None:
        rig = Rig(refusal(code))
        async with rig.running(event("a"), event("b")):
            assert rig.cloud.names() == ["a", "b"]
            assert rig.spool.counts == {"taken": 2, "refused": 1, "landed": 1}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        refusal(429, "TooManyRequests", retry_after=b"7"),
        refusal(500),
        refusal(503),
        (200, b"<html>sign in</html>", {"content_type": b"text/html"}),
        (403, b"<html>no</html>", {"content_type": b"text/html"}),
        (200, b"{}", {}),
        (200, b"not json", {}),
        (404, json.dumps(OBJECT).encode(), {}),
        refusal(200),
        UpstreamError("broke off"),
        UnreachableError("gone"),
    ],
)
def test_a_server_that_is_busy_or_is_none_is_asked_again(answer) -> None:
    async def scenario() -> None:
        rig = Rig(answer)
        async with rig.running(event("a"), event("b")):
            assert rig.cloud.names() == ["a"]
            assert names(rig.spool) == ["a", "b"]
            await rig.clock.advance(7)
            assert rig.cloud.names() == ["a", "a", "b"]
            assert rig.spool.counts["landed"] == 2

    asyncio.run(scenario())


def test_retry_after_is_obeyed() -> None:
    async def scenario() -> None:
        rig = Rig(refusal(429, retry_after=b"20"))
        async with rig.running(event("a")):
            await rig.clock.advance(15)
            assert len(rig.cloud.sent) == 1
            await rig.clock.advance(6)
            assert len(rig.cloud.sent) == 2

    asyncio.run(scenario())


def test_one_that_breaks_the_server_does_not_hold_up_the_rest() -> None:
    async def scenario() -> None:
        rig = Rig(*[refusal(500)] * MAX_TRIES)
        async with rig.running(event("a"), event("b")):
            await rig.clock.advance(3600)
            assert rig.spool.counts == {"taken": 2, "given_up": 1, "landed": 1}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        refusal(429),
        refusal(401, "Unauthorized"),
        (200, b"<html>sign in</html>", {"content_type": b"text/html"}),
        UnreachableError("gone"),
        UpstreamError("broke off"),
    ],
)
def test_what_is_not_the_writes_fault_never_drops_it(answer) -> None:
    async def scenario() -> None:
        rig = Rig(*[answer] * 40)
        async with rig.running(event("a")):
            await rig.clock.advance(3600)
            assert rig.spool.counts == {"taken": 1, "landed": 1}

    asyncio.run(scenario())


def test_an_event_that_had_landed_lands_no_second_time() -> None:
    async def scenario() -> None:
        there = json.loads(event("a").body) | {"count": 9}
        found = (200, json.dumps(there).encode(), {})
        rig = Rig(refusal(409, "AlreadyExists"), found)
        async with rig.running(event("a")):
            assert [(m, t) for m, t, _ in rig.cloud.sent] == [
                ("POST", "/api/v1/namespaces/shop/events"),
                ("GET", "/api/v1/namespaces/shop/events/a"),
            ]
            assert rig.spool.counts == {"taken": 1, "landed": 1}

    asyncio.run(scenario())


def test_another_event_of_that_name_is_told_apart() -> None:
    async def scenario() -> None:
        other = json.loads(event("a", reason="Killing").body)
        found = (200, json.dumps(other).encode(), {})
        exists = refusal(409, "AlreadyExists")
        rig = Rig(exists, found)
        async with rig.running(event("a")):
            renamed = rig.cloud.sent[2]
            name = json.loads(renamed[2])["metadata"]["name"]
            assert name.startswith("a.")
            assert len(name) == 12
            assert rig.spool.counts["landed"] == 1
        rig = Rig(exists, found, exists)
        async with rig.running(event("a")):
            assert json.loads(rig.cloud.sent[2][2])["metadata"]["name"] == name
            assert rig.spool.counts["landed"] == 1

    asyncio.run(scenario())


def test_who_may_not_look_takes_its_name_for_its_own() -> None:
    async def scenario() -> None:
        rig = Rig(refusal(409, "AlreadyExists"), refusal(403), refusal(403))
        async with rig.running(event("a")):
            assert len(rig.cloud.sent) == 3
            assert rig.spool.counts["landed"] == 1

    asyncio.run(scenario())


def test_a_node_that_may_read_no_event_sees_it_by_a_patch_of_nothing() -> None:
    async def scenario() -> None:
        other = json.loads(event("a", reason="Killing").body)
        found = (200, json.dumps(other).encode(), {})
        rig = Rig(refusal(409, "AlreadyExists"), refusal(403), found)
        async with rig.running(event("a")):
            assert rig.cloud.sent[2] == (
                "PATCH",
                "/api/v1/namespaces/shop/events/a",
                b"{}",
            )
            assert json.loads(rig.cloud.sent[3][2])["metadata"]["name"] != "a"
            assert rig.spool.counts["landed"] == 1

    asyncio.run(scenario())


def test_an_event_that_the_cloud_forgot_is_created_anew() -> None:
    async def scenario() -> None:
        whole = event("a", count=7).body
        patch = msgspec.structs.replace(event_patch("a", 7), whole=whole)
        gone = refusal(404, "NotFound")
        rig = Rig(gone, good(), gone, refusal(409, "AlreadyExists"), gone, gone)
        async with rig.running(patch, patch, patch):
            assert rig.cloud.sent[1] == (
                "POST",
                "/api/v1/namespaces/shop/events",
                whole,
            )
            assert rig.cloud.headers[1][b"Content-Type"] == b"application/json"
            assert rig.spool.counts == {"taken": 3, "landed": 2, "refused": 1}

    asyncio.run(scenario())


def test_a_damaged_row_is_stepped_over() -> None:
    async def scenario() -> None:
        rig = Rig()
        one = await put(rig.spool, event("a"))
        rig.store.apply(Batch(puts=[(key_of(one.serial), b"\xc1")]))
        async with rig.running(event("b")):
            assert rig.cloud.names() == ["b"]
            assert rig.spool.counts["damaged"] == 1

    asyncio.run(scenario())


def test_a_disk_that_cannot_be_read_just_now_loses_nothing() -> None:
    async def scenario() -> None:
        rig = Rig()
        get = rig.store.get
        failing = [True]

        async def read(key):
            if failing:
                raise StoreUnavailableError("the disk fails")
            return await get(key)

        rig.store.get = read  # type: ignore[method-assign]
        async with rig.running(event("a")):
            await rig.clock.advance(60)
            assert rig.cloud.sent == []
            failing.clear()
            await rig.clock.advance(60)
            assert rig.spool.counts == {"taken": 1, "landed": 1}

    asyncio.run(scenario())


def test_a_disk_whose_queue_is_full_ends_nothing() -> None:
    async def scenario() -> None:
        rig = Rig()
        apply = rig.store.apply
        full = [True]

        def take(batch, *, sync=False):
            if full and batch.deletes:
                raise StoreFullError("the queue is full")
            return apply(batch, sync=sync)

        rig.store.apply = take  # type: ignore[method-assign]
        async with rig.running(event("a")):
            await rig.clock.advance(60)
            assert len(rig.spool) == 1
            full.clear()
            await rig.clock.advance(60)
            assert rig.spool.counts == {"taken": 1, "landed": 1}
            rig.replay.mode(online=False)
            await settle()
            status = await put(rig.spool, pod_status("web"))
            full.append(True)
            await rig.spool.overtaken(status.target)
            assert rig.spool.counts["overtaken"] == 1
            assert len(rig.spool) == 0

    asyncio.run(scenario())


def test_a_newer_status_waits_for_the_older_under_way() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.cloud.hold = asyncio.Event()
        async with rig.running(pod_status("web")):
            assert len(rig.cloud.sent) == 1
            passing = asyncio.ensure_future(
                rig.spool.overtaken(Target("", "pods", "shop", "web"))
            )
            await settle()
            assert not passing.done()
            rig.cloud.hold.set()
            await passing

    asyncio.run(scenario())


def test_cancelled_in_the_middle_it_begins_there_again() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.cloud.hold = asyncio.Event()
        async with rig.running(event("a"), event("b")):
            pass
        assert names(rig.spool) == ["a", "b"]
        again = Spool(rig.store)
        await again.open()
        assert names(again) == ["a", "b"]

    asyncio.run(scenario())


def test_a_status_that_conflicts_is_dropped() -> None:
    values = {"kind": "Status", "apiVersion": "v1", "reason": "Conflict"}
    assert judge(pod_status("web"), Heard(409, values)) == "refused"
    exists = {**values, "reason": "AlreadyExists"}
    assert judge(pod_status("web"), Heard(409, exists)) == "refused"
    assert judge(event("a"), Heard(409, exists)) == "landed"
    assert judge(event("a"), Heard(200, None)) == Later()


def test_events_of_both_groups_are_told_by_what_they_are_about() -> None:
    core = json.loads(event("a").body)
    newer = {**core, "regarding": core["involvedObject"]}
    del newer["involvedObject"]
    assert same_event(core, newer)
    assert not same_event(core, {**core, "reason": "Other"})
    long = event("n" * 253)
    renamed = renamed_event(long, json.loads(long.body))
    assert len(renamed.target.name) == 253
