# SPDX-License-Identifier: Apache-2.0
"""What is told as done is kept, and what cannot be kept is refused."""

import asyncio
import json

import pytest

from tests.unit.cache.kit import encode
from tests.unit.pipeline.alone_kit import (
    EVENT,
    EVENTS,
    KEYS,
    MERGE,
    POD,
    Scene,
    values_of,
)
from toono.autonomy.spooled import Target, key_of
from toono.codec.sent import PROTOBUF, read_sent, write_sent
from toono.errors import StoreFullError
from toono.pipeline import heads
from toono.store.base import Batch

ONE = f"{EVENTS}/web.1"
STATUS = POD + "/status"
NEWER = "/apis/events.k8s.io/v1/namespaces/shop/events"


def play(scenario) -> None:
    asyncio.run(scenario())


# -- events ------------------------------------------------------------------------


def test_an_event_is_kept_as_it_was_sent_and_answered_so() -> None:
    async def scenario() -> None:
        scene = Scene()
        response = await scene.ask("POST", EVENTS + "?timeout=3s", EVENT)
        assert response.status == 201
        assert values_of(response) == EVENT
        assert heads.SPOOLED in response.headers
        (write,) = await scene.waiting()
        assert json.loads(write.body) == EVENT
        assert write.path == EVENTS + "?timeout=3s"
        assert write.target == Target("", "events", "shop", "web.1")
        assert (write.user_agent, write.owner, write.token) == ("kubelet/v1", "", b"")
        assert write.at == scene.clock.wall()

    play(scenario)


def test_an_event_in_protobuf_is_kept_so_and_answered_in_either_form() -> None:
    async def scenario() -> None:
        scene = Scene()
        content = write_sent(EVENT, PROTOBUF)
        response = await scene.ask("POST", EVENTS, content, PROTOBUF, PROTOBUF)
        assert (b"Content-Type", PROTOBUF.encode()) in response.headers
        assert read_sent(response.content, PROTOBUF) == read_sent(content, PROTOBUF)
        (write,) = await scene.waiting()
        assert (write.body, write.content_type) == (content, PROTOBUF)

    play(scenario)


def test_a_name_that_is_to_be_made_is_made_here_so_that_it_lands_once() -> None:
    async def scenario() -> None:
        scene = Scene()
        meta = {"generateName": "web-"}
        unnamed = {**EVENT, "metadata": meta}
        names = set()
        for _ in range(2):
            told = values_of(await scene.ask("POST", EVENTS, unnamed))
            assert told["metadata"]["namespace"] == "shop"
            names.add(told["metadata"]["name"])
        assert len(names) == 2
        assert all(len(name) == len("web-") + 5 for name in names)
        kept = [json.loads(write.body) for write in await scene.waiting()]
        assert {one["metadata"]["name"] for one in kept} == names

    play(scenario)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (b"nonsense", 400),
        ({**EVENT, "kind": "Pod"}, 400),
        ({**EVENT, "apiVersion": "events.k8s.io/v1"}, 400),
        ({**EVENT, "metadata": {"name": "a", "namespace": "other"}}, 400),
        ({**EVENT, "metadata": None}, 400),
        ({**EVENT, "metadata": {}}, 422),
    ],
)
def test_what_is_no_event_is_refused(values, code: int) -> None:
    async def scenario() -> None:
        scene = Scene()
        assert (await scene.refused("POST", EVENTS, values)).code == code
        assert len(scene.spool) == 0

    play(scenario)


def test_an_event_that_waits_is_there_already() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.ask("POST", EVENTS, EVENT)
        again = await scene.refused("POST", EVENTS, EVENT)
        assert (again.code, again.reason) == (409, "AlreadyExists")
        newer = {**EVENT, "apiVersion": "events.k8s.io/v1"}
        assert (await scene.refused("POST", NEWER, newer)).code == 409

    play(scenario)


def test_the_newest_count_alone_waits() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.ask("POST", EVENTS, EVENT)
        for count in (2, 3, 4):
            told = await scene.ask("PATCH", ONE, {"count": count}, MERGE)
            assert told.status == 200
            assert values_of(told) == EVENT | {"count": count}
        larger = {"count": 5, "message": "m"}
        await scene.ask("PATCH", ONE, larger, MERGE)
        told = await scene.ask("PATCH", ONE, {"count": 6}, MERGE)
        assert values_of(told) == EVENT | {"count": 6, "message": "m"}
        bodies = [json.loads(write.body) for write in await scene.waiting()]
        assert bodies == [EVENT, larger, {"count": 6}]

    play(scenario)


def test_the_count_of_an_event_of_before_the_cut_is_moved_on() -> None:
    async def scenario() -> None:
        scene = Scene()
        meta = {**EVENT["metadata"], "resourceVersion": "4", "uid": "u"}
        known = {**EVENT, "metadata": meta}
        await scene.cache.take(ONE, encode(known))
        told = await scene.ask("PATCH", ONE, {"count": 9}, MERGE)
        assert values_of(told) == known | {"count": 9}
        told = await scene.ask("PATCH", ONE, {"count": 10}, MERGE)
        assert values_of(told)["count"] == 10
        (write,) = await scene.waiting()
        assert json.loads(write.whole) == EVENT | {"count": 10}

    play(scenario)


def test_a_patch_cannot_take_the_name_of_an_event_away() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.ask("POST", EVENTS, EVENT)
        assert (await scene.ask("PATCH", ONE, {"metadata": None}, MERGE)).status == 200
        write = (await scene.waiting())[-1]
        assert json.loads(write.whole) == EVENT

    play(scenario)


@pytest.mark.parametrize(
    ("values", "code"),
    [(b"[]", 400), ({"count": 2}, 503), ({"$patch": "delete"}, 503)],
)
def test_a_count_that_cannot_be_answered_is_refused(values, code: int) -> None:
    async def scenario() -> None:
        scene = Scene()
        assert (await scene.refused("PATCH", ONE, values, MERGE)).code == code
        assert len(scene.spool) == 0

    play(scenario)


def test_a_row_that_is_damaged_makes_its_event_unknown() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.ask("POST", EVENTS, EVENT)
        scene.cache.store.apply(Batch(puts=[(key_of(1), b"\xc1")]))
        assert (await scene.refused("PATCH", ONE, {"count": 2}, MERGE)).code == 503

    play(scenario)


# -- whose ---------------------------------------------------------------------------


def test_a_pods_event_waits_with_its_token_sealed() -> None:
    async def scenario() -> None:
        scene = Scene(node=False)
        token = scene.token(seconds=600)
        response = await scene.ask("POST", EVENTS, EVENT, token=token)
        assert response.status == 201
        (write,) = await scene.waiting()
        assert write.owner == "system:serviceaccount:shop:web"
        assert write.expires_at == scene.clock.wall() + 600
        assert scene.seal.open(write.token, place=key_of(1)) == token.encode()
        for _, value in (await scene.cache.store.scan(b"")).rows:
            assert token.encode() not in value

    play(scenario)


def test_nobody_moves_the_count_of_anothers_event() -> None:
    async def scenario() -> None:
        scene = Scene(node=False)
        token = scene.token()
        await scene.ask("POST", EVENTS, EVENT, token=token)
        told = await scene.ask("PATCH", ONE, {"count": 2}, MERGE, token=token)
        assert told.status == 200
        now = scene.clock.wall()
        other = KEYS.mint("shop", "other", now=now, seconds=600)
        refused = await scene.refused("PATCH", ONE, {"count": 2}, MERGE, token=other)
        assert refused.code == 503
        assert len(scene.spool) == 2

    play(scenario)


def test_who_cannot_be_known_is_refused() -> None:
    async def scenario() -> None:
        scene = Scene(node=False)
        for token, code in [
            ("", 503),
            ("opaque", 503),
            (scene.token(seconds=-1000), 401),
            (scene.token()[:-4] + "AAAA", 401),
        ]:
            refused = await scene.refused("POST", EVENTS, EVENT, token=token)
            assert refused.code == code, token
        token = scene.token()
        call, _ = scene.pair("GET", EVENTS, b"", token=token)
        scene.rights.learn(call.caller, call, 401, node=False)
        assert (await scene.refused("POST", EVENTS, EVENT, token=token)).code == 401
        assert len(scene.spool) == 0

    play(scenario)


# -- statuses --------------------------------------------------------------------------


def test_the_newest_status_waits_bound_to_the_pod_that_was_seen() -> None:
    async def scenario() -> None:
        scene = Scene(statuses="spool")
        await scene.see_pod()
        for phase in ("Pending", "Running"):
            patch = {"status": {"phase": phase, "$setElementOrder/c": []}}
            told = await scene.ask("PATCH", STATUS, patch, MERGE)
            assert told.status == 200
            assert "status" not in values_of(told)
        (write,) = await scene.waiting()
        assert json.loads(write.body) == patch | {"metadata": {"uid": "uid-a"}}
        assert (write.kind, write.method) == ("status", "PATCH")
        given = {"metadata": {"uid": "mine", "name": "a"}, "status": {}}
        await scene.ask("PATCH", STATUS, given, MERGE)
        (write,) = await scene.waiting()
        assert json.loads(write.body)["metadata"] == {"uid": "mine", "name": "a"}

    play(scenario)


def test_a_status_of_what_was_never_seen_is_refused() -> None:
    async def scenario() -> None:
        scene = Scene(statuses="spool")
        assert (await scene.refused("PATCH", STATUS, {}, MERGE)).code == 503
        assert (await scene.refused("PATCH", STATUS, b"no", MERGE)).code == 400
        await scene.see_pod()
        scene.rights.book.feed("", "pods")  # a pod's answers are kept beside
        assert (await scene.refused("PATCH", STATUS, {}, MERGE)).code == 503
        assert len(scene.spool) == 0

    play(scenario)


# -- the disk ----------------------------------------------------------------------------


def test_without_a_disk_nothing_is_told_as_kept() -> None:
    async def scenario() -> None:
        scene = Scene(disk=False, statuses="spool")
        await scene.see_pod()
        for asked in (("POST", EVENTS, EVENT), ("PATCH", STATUS, {}, MERGE)):
            refused = await scene.refused(*asked)
            assert (refused.code, "disk" in refused.message) == (503, True)
        call, _ = scene.pair("PATCH", STATUS, {})
        await scene.alone.spooling.overtaken(call)

    play(scenario)


def test_a_full_queue_is_told(monkeypatch) -> None:
    async def scenario() -> None:
        scene = Scene()

        def full(batch, *, sync=False):
            raise StoreFullError("the queue is full")

        monkeypatch.setattr(scene.cache.store, "apply", full)
        refused = await scene.refused("POST", EVENTS, EVENT)
        assert (refused.code, "queue is full" in refused.message) == (503, True)

    play(scenario)
