# SPDX-License-Identifier: Apache-2.0
"""The hub's own answers, over a real cache in memory."""

import asyncio
import base64
import json

import pytest

from tests.unit.cache.kit import (
    CALLER,
    Cache,
    encode,
    not_found,
    one,
    pod,
    pod_list,
)
from tests.unit.wire.kit import play, whole
from toono.codec import cbor
from toono.errors import RequestError
from toono.kube.request import Caller, parse
from toono.pipeline import heads
from toono.pipeline.forward import WATCH_PATIENCE
from toono.pipeline.limits import InFlight
from toono.pipeline.local import MAX_CLIENTS, Local, accepts_of, nothing_discovered
from toono.wire.messages import Response

PODS = "/api/v1/pods"
POD = "/api/v1/namespaces/default/pods/a"
JSON = "application/json"
LEAST = 200.0


class Scene:
    """A hub that is cut off, since a minute."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.clock = self.cache.clock
        self.online = False
        self.since = self.clock.wall() - 60.0
        self.back = asyncio.Event()
        self.in_flight = InFlight()
        self.local = Local(
            self.cache.answers,
            self.cache.documents,
            self,
            self.in_flight,
            self.clock,
            self.back,
            least_watch=LEAST,
        )

    async def ask(self, target: str, *, method="GET", accept=JSON, source="127.0.0.1"):
        fields = {b"user-agent": b"kubelet/v1", b"accept": accept.encode()}
        caller = Caller(connection=1, local=CALLER.local, remote=(source, 2))
        return await self.local(parse(method, target.encode(), fields, caller))

    async def refused(self, target: str, **kind) -> RequestError:
        with pytest.raises(RequestError) as caught:
            await self.ask(target, **kind)
        return caught.value


async def known() -> Scene:
    """Two pods at version 9, one of them also asked for by name."""
    scene = Scene()
    await scene.cache.take(PODS, pod_list(9, pod("a", 3), pod("b", 4)))
    return scene


def field(response, name: bytes) -> list[bytes]:
    return [value for key, value in response.headers if key == name]


def content(response) -> bytes:
    raw = response.content
    return raw if isinstance(raw, bytes) else b"".join(raw)


# -- one object ------------------------------------------------------------------------


def test_an_object_is_answered_as_it_was_seen() -> None:
    async def scenario() -> None:
        scene = await known()
        await scene.cache.take(POD, one(pod("a", 3)))
        found = await scene.ask(POD)
        assert found.status == 200
        assert content(found) == one(pod("a", 3))
        assert field(found, b"Content-Type") == [b"application/json"]
        assert heads.VIA in found.headers
        assert heads.HIT in found.headers

    play(scenario)


def test_absent_unknown_and_unacceptable_are_three_answers() -> None:
    async def scenario() -> None:
        scene = await known()
        absent = await scene.refused(POD[:-1] + "gone")
        assert (absent.code, absent.reason) == (404, "NotFound")
        unknown = await scene.refused("/api/v1/namespaces/default/secrets/a")
        assert (unknown.code, unknown.reason) == (503, "ServiceUnavailable")
        assert "retryAfterSeconds" not in (unknown.details or {})
        form = await scene.refused(POD, accept="application/xml")
        assert (form.code, form.reason) == (406, "NotAcceptable")

    play(scenario)


def test_a_resource_has_no_head() -> None:
    """As API servers: they know GET alone."""

    async def scenario() -> None:
        scene = await known()
        refused = await scene.refused(PODS, method="HEAD")
        assert (refused.code, refused.reason) == (405, "MethodNotAllowed")
        assert (await scene.refused(POD, method="HEAD")).code == 405

    play(scenario)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (POD + "?resourceVersion=10", 504),
        (POD[:-1] + "gone?resourceVersion=10", 504),
        (POD[:-1] + "gone?resourceVersion=9", 404),
    ],
)
def test_one_object_is_not_told_at_a_version_to_come(target: str, code: int) -> None:
    async def scenario() -> None:
        scene = await known()
        assert (await scene.refused(target)).code == code
        assert (await scene.ask(POD + "?resourceVersion=9")).status == 200

    play(scenario)


def test_a_remembered_404_is_one() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.cache.take(POD, not_found("a"), status=404)
        assert (await scene.refused(POD)).code == 404

    play(scenario)


# -- lists -----------------------------------------------------------------------------


def test_a_list_is_at_the_version_of_its_scope() -> None:
    async def scenario() -> None:
        scene = await known()
        found = json.loads(content(await scene.ask(PODS)))
        assert (found["kind"], found["apiVersion"]) == ("PodList", "v1")
        assert found["metadata"]["resourceVersion"] == "9"
        assert [item["metadata"]["name"] for item in found["items"]] == ["a", "b"]
        assert "kind" not in found["items"][0]

    play(scenario)


def test_an_empty_list_is_told_only_where_one_was_seen() -> None:
    async def scenario() -> None:
        scene = Scene()
        assert (await scene.refused(PODS)).code == 503
        await scene.cache.take(PODS, pod_list(4))
        assert json.loads(content(await scene.ask(PODS)))["items"] == []

    play(scenario)


def test_a_list_comes_in_pages_and_a_page_of_the_cloud_is_expired() -> None:
    async def scenario() -> None:
        scene = await known()
        first = json.loads(content(await scene.ask(PODS + "?limit=1")))
        assert [item["metadata"]["name"] for item in first["items"]] == ["a"]
        assert first["metadata"]["remainingItemCount"] == 1
        following = f"{PODS}?limit=1&continue={first['metadata']['continue']}"
        second = json.loads(content(await scene.ask(following)))
        assert [item["metadata"]["name"] for item in second["items"]] == ["b"]
        assert second["metadata"] == {"resourceVersion": "9"}
        foreign = b'{"v":"meta.k8s.io/v1","rv":9,"start":"/default/a"}'
        text = base64.urlsafe_b64encode(foreign).decode().rstrip("=")
        found = await scene.refused(f"{PODS}?limit=1&continue={text}")
        assert (found.code, found.reason) == (410, "Expired")

    play(scenario)


def test_a_page_of_a_version_is_of_that_version_alone() -> None:
    """So did limits before resourceVersionMatch, and so they still do without it."""

    async def scenario() -> None:
        scene = await known()
        assert (await scene.refused(PODS + "?limit=1&resourceVersion=8")).code == 410
        page = json.loads(content(await scene.ask(PODS + "?limit=1&resourceVersion=9")))
        assert page["metadata"]["continue"]
        loose = "?limit=1&resourceVersion=8&resourceVersionMatch=NotOlderThan"
        assert (await scene.ask(PODS + loose)).status == 200

    play(scenario)


@pytest.mark.parametrize("version", ["0", "5", "9"])
def test_a_version_that_we_have_is_answered(version: str) -> None:
    async def scenario() -> None:
        scene = await known()
        assert (await scene.ask(PODS + f"?resourceVersion={version}")).status == 200

    play(scenario)


def test_a_version_above_ours_is_refused_once_a_minute_to_each_client() -> None:
    async def scenario() -> None:
        scene = await known()
        asked = PODS + "?resourceVersion=10"
        first = await scene.refused(asked)
        assert first.code == 504
        assert "Too large resource version" in first.message
        assert (await scene.ask(asked)).status == 200
        assert (await scene.refused(asked, source="10.0.0.2")).code == 504
        await scene.clock.advance(59.0)
        assert (await scene.ask(asked)).status == 200
        await scene.clock.advance(1.0)
        assert (await scene.refused(asked)).code == 504

    play(scenario)


def test_an_exact_old_version_is_expired() -> None:
    async def scenario() -> None:
        scene = await known()
        exact = PODS + "?resourceVersionMatch=Exact&resourceVersion="
        assert (await scene.refused(exact + "8")).code == 410
        assert (await scene.ask(exact + "9")).status == 200
        for _ in range(2):  # another version would be a wrong answer, not an old one
            assert (await scene.refused(exact + "10")).code == 504

    play(scenario)


@pytest.mark.parametrize("version", ["abc", "-1", "1_0", "%2B1"])
def test_what_is_no_version_is_refused(version: str) -> None:
    async def scenario() -> None:
        scene = await known()
        found = await scene.refused(PODS + f"?resourceVersion={version}")
        assert found.code == 400

    play(scenario)


# -- watches ---------------------------------------------------------------------------


def frames(raw: bytes) -> list[tuple[str, str]]:
    """Return type and name (of bookmarks: version) of each frame."""
    found = []
    for line in raw.splitlines():
        frame = json.loads(line)
        meta = frame["object"].get("metadata", {})
        name = meta.get("name") or meta.get("resourceVersion", "")
        found.append((frame["type"], name))
    return found


async def first_of(scene: Scene, target: str):
    """Return a watch's first frames, and what it then does: held or over."""
    response = await scene.ask(target)
    body = response.body
    reading = asyncio.create_task(body.read())
    for _ in range(20):
        await asyncio.sleep(0)
    if not reading.done():
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return response, [], "held"
    first = frames(await reading)
    more = asyncio.create_task(body.read())
    for _ in range(20):
        await asyncio.sleep(0)
    state = "over" if more.done() else "held"
    more.cancel()
    await asyncio.gather(more, return_exceptions=True)
    return response, first, state


ADDED = [("ADDED", "a"), ("ADDED", "b")]


@pytest.mark.parametrize(
    ("query", "first", "state"),
    [
        ("", ADDED, "held"),
        ("&resourceVersion=0", ADDED, "held"),
        ("&allowWatchBookmarks=true", [*ADDED, ("BOOKMARK", "9")], "held"),
        (
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
            ADDED,
            "held",
        ),
        ("&resourceVersion=9", [], "held"),
        ("&resourceVersion=12", [], "held"),
        ("&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", [], "held"),
        (
            "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
            "&resourceVersion=0",
            [],
            "held",
        ),
        ("&resourceVersion=8", [("ERROR", "")], "over"),
        (
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
            "&allowWatchBookmarks=true",
            [*ADDED, ("BOOKMARK", "9")],
            "held",
        ),
    ],
)
def test_a_watch_begins_as_its_version_says(query, first, state) -> None:
    async def scenario() -> None:
        scene = await known()
        response, came, then = await first_of(scene, PODS + "?watch=true" + query)
        assert (came, then) == (first, state)
        assert response.status == 200
        assert response.patience == WATCH_PATIENCE
        assert field(response, b"Content-Type") == [b"application/json"]

    play(scenario)


def test_a_watch_from_the_past_is_told_so_and_ends() -> None:
    async def scenario() -> None:
        scene = await known()
        response = await scene.ask(PODS + "?watch=true&resourceVersion=8")
        frame = json.loads(await whole(response.body))
        assert frame["type"] == "ERROR"
        assert (frame["object"]["code"], frame["object"]["reason"]) == (410, "Expired")

    play(scenario)


def test_a_burst_ends_with_the_bookmark_that_says_so() -> None:
    async def scenario() -> None:
        scene = await known()
        response = await scene.ask(
            PODS + "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true"
            "&resourceVersionMatch=NotOlderThan"
        )
        last = json.loads((await response.body.read()).splitlines()[-1])
        assert last["object"]["metadata"]["annotations"] == {
            "k8s.io/initial-events-end": "true"
        }
        response.body.close()

    play(scenario)


@pytest.mark.parametrize(
    ("query", "marks"),
    [
        ("&resourceVersion=9&allowWatchBookmarks=true", [("BOOKMARK", "9")]),
        ("&resourceVersion=9", []),
        ("&resourceVersion=12&allowWatchBookmarks=true", []),
    ],
)
def test_bookmarks_come_at_our_version_and_never_below_the_client_s(
    query, marks
) -> None:
    async def scenario() -> None:
        scene = await known()
        response = await scene.ask(PODS + "?watch=true&timeoutSeconds=100" + query)
        reading = asyncio.create_task(whole(response.body))
        await scene.clock.advance(99.0)
        assert not reading.done()
        await scene.clock.advance(1.0)
        assert frames(await reading) == marks

    play(scenario)


def test_a_watch_that_names_no_time_lasts_one_to_two_times_the_least() -> None:
    async def scenario() -> None:
        scene = await known()
        response = await scene.ask(PODS + "?watch=true&resourceVersion=9")
        reading = asyncio.create_task(whole(response.body))
        await scene.clock.advance(LEAST - 1.0)
        assert not reading.done()
        await scene.clock.advance(LEAST + 1.0)
        assert frames(await reading) == []

    play(scenario)


def test_a_watch_of_what_nobody_asked_is_unknown() -> None:
    async def scenario() -> None:
        assert (await Scene().refused(PODS + "?watch=true")).code == 503

    play(scenario)


def test_watches_end_when_the_cloud_is_back_spread_by_their_number() -> None:
    async def scenario() -> None:
        scene = await known()
        scene.in_flight.watching = 50
        spreads = [scene.local._spread() for _ in range(200)]
        assert 0.0 <= min(spreads) < 1.0
        assert 4.0 < max(spreads) <= 5.0
        response = await scene.ask(PODS + "?watch=true&resourceVersion=9")
        reading = asyncio.create_task(whole(response.body))
        scene.back.set()
        await scene.clock.advance(5.0)
        assert await reading == b""

    play(scenario)


def test_a_hub_that_stops_ends_its_watches_without_delay() -> None:
    async def scenario() -> None:
        scene = await known()
        response = await scene.ask(PODS + "?watch=true&resourceVersion=9")
        scene.local.end()
        scene.back.set()
        async with asyncio.timeout(1):
            reading = asyncio.create_task(whole(response.body))
            await scene.clock.advance(0.0)
            assert await reading == b""

    play(scenario)


# -- a node that registers ---------------------------------------------------------------


def test_a_known_node_exists_already_and_an_unknown_one_is_unknown() -> None:
    async def scenario() -> None:
        scene = Scene()
        register = {"method": "POST"}
        assert (await scene.refused("/api/v1/nodes", **register)).code == 503
        node = {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": "edge-1", "uid": "u", "resourceVersion": "3"},
        }
        await scene.cache.take("/api/v1/nodes/edge-1", encode(node))
        found = await scene.refused("/api/v1/nodes", **register)
        assert (found.code, found.reason) == (409, "AlreadyExists")

    play(scenario)


# -- heads -------------------------------------------------------------------------------


def test_age_is_the_time_since_the_cloud_confirmed_it() -> None:
    async def scenario() -> None:
        scene = await known()
        await scene.clock.advance(77.5)
        assert field(await scene.ask(PODS), b"Age") == [b"77"]

    play(scenario)


def test_each_client_is_warned_once_an_outage() -> None:
    async def scenario() -> None:
        scene = await known()
        warned = field(await scene.ask(PODS), b"Warning")
        assert len(warned) == 1
        assert warned[0].startswith(b'299 toono "cut off since ')
        assert field(await scene.ask(POD), b"Warning") == []
        assert field(await scene.ask(PODS, source="10.0.0.2"), b"Warning") == warned
        scene.since += 30.0
        assert field(await scene.ask(PODS), b"Warning") not in ([], warned)
        scene.online = True
        scene.since += 30.0
        assert field(await scene.ask(PODS), b"Warning") == []

    play(scenario)


def test_who_asks_for_tables_is_warned_each_time() -> None:
    async def scenario() -> None:
        scene = await known()
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        for _ in range(2):
            found = await scene.ask(PODS, accept=accept)
            assert len(field(found, b"Warning")) == 1

    play(scenario)


def test_who_was_told_what_is_forgotten_of_the_oldest() -> None:
    async def scenario() -> None:
        scene = await known()
        for number in range(MAX_CLIENTS + 1):
            await scene.ask(POD, source=f"10.{number >> 8}.{number & 255}.1")
        assert len(scene.local._told) == MAX_CLIENTS
        assert field(await scene.ask(POD, source="10.0.0.1"), b"Warning")

    play(scenario)


def test_a_form_is_acceptable_where_rows_can_be_given_in_it() -> None:
    async def scenario() -> None:
        scene = await known()
        (scope,) = scene.cache.scopes.all()
        for accept, fits in (
            ("application/json;q=0.5", True),
            ("application/xml", False),
            ("application/xml, */*", True),
            ("application/cbor", True),
        ):
            fields = {b"user-agent": b"kubelet/v1", b"accept": accept.encode()}
            asked = parse("GET", PODS.encode(), fields, CALLER)
            assert accepts_of(asked)(scope) is fits

    play(scenario)


# -- for people ------------------------------------------------------------------------


def test_who_asks_for_indents_gets_them_in_json_alone() -> None:
    async def scenario() -> None:
        scene = await known()
        plain = content(await scene.ask(PODS))
        shown = content(await scene.ask(PODS + "?pretty=true"))
        assert shown.startswith(b'{\n  "kind": "PodList",\n')
        assert json.loads(shown) == json.loads(plain)
        binary = "application/vnd.kubernetes.protobuf"
        coded = content(await scene.ask(PODS, accept=binary))
        assert content(await scene.ask(PODS + "?pretty=1", accept=binary)) == coded
        one_of_them = content(await scene.ask(POD + "?pretty=true"))
        assert one_of_them.startswith(b'{\n  "kind": "Pod",\n')

    play(scenario)


def test_a_document_that_was_seen_wins_and_another_is_made_of_what_is_known() -> None:
    made = Response(
        status=200,
        headers=[(b"Content-Type", b"application/json")],
        content=b'{"made":true}',
    )

    async def scenario() -> None:
        scene = Scene()
        asked = []

        async def discovered(call) -> Response | None:
            asked.append(call.path)
            return made if call.path != "/apis/nobody" else None

        scene.local._discovered = discovered
        answer = await scene.ask("/apis")
        assert answer.content == made.content
        assert heads.HIT in answer.headers
        assert (await scene.refused("/apis/nobody")).code == 503
        seen = parse("GET", b"/apis", {}, CALLER)
        recording = scene.cache.documents.begin(seen)
        fields = {b"content-type": b"application/json"}
        await recording.finish(200, fields, b'{"seen":true}')
        assert (await scene.ask("/apis")).content == b'{"seen":true}'
        assert asked == ["/apis", "/apis/nobody"]
        protobuf = "application/vnd.kubernetes.protobuf"
        answer = await scene.ask("/apis", accept=protobuf)
        assert answer.content == made.content
        scene.local._discovered = nothing_discovered
        assert (await scene.refused("/apis", accept=protobuf)).code == 406

    asyncio.run(scenario())


def test_a_watch_in_cbor_that_is_too_old_ends_in_cbor() -> None:
    async def scenario() -> None:
        scene = await known()
        asked = PODS + "?watch=true&resourceVersion=8"
        response = await scene.ask(asked, accept="application/cbor")
        assert field(response, b"Content-Type") == [b"application/cbor-seq"]
        event = cbor.decode(await response.body.read())
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)

    play(scenario)
