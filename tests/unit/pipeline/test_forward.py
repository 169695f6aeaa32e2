# SPDX-License-Identifier: Apache-2.0
"""A call to the API server: the upstream is a script, the cache is real."""

import asyncio
import gzip
from types import SimpleNamespace

import pytest

from tests.unit.cache.kit import (
    CALLER,
    Cache,
    bookmark,
    call,
    event,
    not_found,
    one,
    pod,
    pod_list,
)
from tests.unit.wire.kit import Pieces, play, whole
from toono.cache.coding import MAX_BODY_BYTES
from toono.errors import BadResponseError, BodyCutError, UnreachableError, UpstreamError
from toono.kube.request import parse
from toono.pipeline.begun import REFUSAL_BYTES
from toono.pipeline.forward import SMALL_BYTES, WATCH_PATIENCE, Forward
from toono.pipeline.recorded import BARRIER_REST_SECONDS, Barrier
from toono.testing.clock import VirtualClock, settle
from toono.upstream.pool import Credential
from toono.wire.messages import Answer, BytesBody, Peer, Request

PEER = Peer(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))
POD = "/api/v1/namespaces/default/pods/a"
PODS = "/api/v1/pods"
WATCH = "/api/v1/pods?watch=true&resourceVersion=5&allowWatchBookmarks=true"
NODE, TOKEN = Credential.NODE, Credential.of_token(b"secret")
JSON = (b"Content-Type", b"application/json")


def answer(body=b"", *, status: int = 200, headers=(JSON,), tunnel=None) -> Answer:
    if isinstance(body, bytes):
        body = BytesBody(body)
    fields = {name.lower(): value for name, value in headers}
    return Answer(
        status=status,
        reason=b"Fine",
        headers=list(headers),
        fields=fields,
        body=body,
        tunnel=tunnel,
    )


class Cut(Pieces):
    """A body whose sender breaks off after its pieces."""

    failure: Exception = BodyCutError("cut")

    async def read(self) -> bytes:
        if not self.pieces:
            raise self.failure
        return await super().read()


def request(target: str, *, method: str = "GET", body=None, **fields) -> Request:
    named = {k.replace("_", "-").encode(): v.encode() for k, v in fields.items()}
    return Request(
        method=method,
        target=target.encode(),
        headers=[(b"Host", b"hub"), (b"Accept", b"application/json")],
        fields=named,
        body=body or BytesBody(),
        peer=PEER,
    )


class Scene:
    """A forwarder over a script: each request takes the next answer or error."""

    def __init__(self, *script) -> None:
        self.script = list(script)
        self.sent: list[tuple] = []
        self.cache = Cache()
        self.metered: list[str] = []
        self.heard: list[tuple[str, int]] = []
        self.forward = Forward(
            self,
            self.cache.recorder,
            self.cache.documents,
            self.cache.clock,
            hear=lambda call, response: self.heard.append((call.path, response.status)),
        )

    async def send(
        self, method, target, headers, body, *, credential, upgrade="", interim=None
    ):
        self.interim = interim
        self.sent.append((method, target, headers, body, credential, upgrade))
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def ask(self, target: str, credential=NODE, *, method="GET", **kind):
        asked = call(target, method=method)
        return await self.forward(
            asked, request(target, method=method, **kind), credential
        )


def run(scenario) -> None:
    play(scenario)


# -- what goes out and comes back -----------------------------------------------------


def test_a_request_goes_out_as_it_came_but_for_hops() -> None:
    async def scenario() -> None:
        scene = Scene(answer(b"{}", status=201))
        body = BytesBody(b"abc")
        found = await scene.ask(PODS + "?dryRun=All", TOKEN, method="POST", body=body)
        ((method, target, headers, sent, credential, upgrade),) = scene.sent
        assert (method, target) == ("POST", b"/api/v1/pods?dryRun=All")
        assert headers == [(b"Accept", b"application/json"), (b"Via", b"1.1 toono")]
        assert (sent, credential, upgrade) == (body, TOKEN, "")
        assert (found.status, found.reason, found.content) == (201, b"Fine", b"{}")

    run(scenario)


def test_no_body_is_sent_where_none_came() -> None:
    async def scenario() -> None:
        scene = Scene(answer(b"{}"))
        await scene.ask(POD)
        assert scene.sent[0][3] is None

    run(scenario)


def test_each_answer_says_whether_it_is_kept() -> None:
    async def scenario() -> None:
        scene = Scene(*[answer(one(pod("a", 1))) for _ in range(3)])
        kept = await scene.ask(POD, NODE)
        passed = await scene.ask(POD, TOKEN)
        nobody = await scene.ask(POD, Credential.ANONYMOUS)
        assert (b"Cache-Status", b"toono; fwd=miss; stored") in kept.headers
        for other in (passed, nobody):
            assert (b"Cache-Status", b"toono; fwd=bypass") in other.headers
        assert kept.headers[0] == JSON

    run(scenario)


def test_a_meter_sees_every_answer() -> None:
    async def scenario() -> None:
        scene = Scene(answer(b"{}"))

        def meter(asked, response):
            scene.metered.append(asked.verb)
            response.status = 299
            return response

        scene.forward = Forward(
            scene,
            scene.cache.recorder,
            scene.cache.documents,
            scene.cache.clock,
            meter=meter,
        )
        assert (await scene.ask(POD)).status == 299
        assert scene.metered == ["get"]

    run(scenario)


def test_an_upgrade_becomes_a_tunnel_and_nothing_is_kept() -> None:
    async def scenario() -> None:
        tunnel = object()
        headers = [(b"Upgrade", b"SPDY/3.1"), (b"Connection", b"Upgrade")]
        scene = Scene(answer(status=101, headers=headers, tunnel=tunnel))
        found = await scene.ask(
            POD + "/exec?command=sh", method="POST", upgrade="SPDY/3.1"
        )
        assert scene.sent[0][5] == "SPDY/3.1"
        assert (found.status, found.tunnel) == (101, tunnel)
        assert found.headers == [*headers, (b"Via", b"1.1 toono")]

    run(scenario)


@pytest.mark.parametrize("protocol", ["h2c", "TLS/1.0", "SPDY/3.1, h2c"])
def test_no_tunnel_goes_around_the_gate(protocol: str) -> None:
    """On h2c anything could be asked, in the name of whose connection it is."""

    async def scenario() -> None:
        scene = Scene(answer(b"{}"))
        await scene.ask(POD, upgrade=protocol)
        assert scene.sent[0][5] == ""

    run(scenario)


def test_hints_go_to_whom_the_answer_goes() -> None:
    async def scenario() -> None:
        scene = Scene(answer(b"{}"))
        asked = request(POD)
        asked.interim = lambda *_: None
        await scene.forward(call(POD), asked, NODE)
        assert scene.interim is asked.interim

    run(scenario)


def test_head_passes_on_the_length_of_a_get() -> None:
    async def scenario() -> None:
        scene = Scene(answer(headers=(JSON, (b"Content-Length", b"512"))))
        found = await scene.ask("/healthz", method="HEAD")
        assert (b"Content-Length", b"512") in found.headers

    run(scenario)


@pytest.mark.parametrize("failure", [UnreachableError("x"), UpstreamError("y")])
def test_a_failure_on_the_way_is_the_caller_s_to_judge(failure) -> None:
    async def scenario() -> None:
        with pytest.raises(type(failure)):
            await Scene(failure).ask(POD)

    run(scenario)


# -- small answers --------------------------------------------------------------------


def test_a_small_answer_is_read_whole_and_remembered() -> None:
    async def scenario() -> None:
        body = one(pod("a", 7))
        scene = Scene(answer(Pieces(body[:20], body[20:], length=len(body))))
        found = await scene.ask(POD)
        assert (found.content, found.body) == (body, None)
        kept = await scene.cache.answers.get(call(POD), lambda _: True)
        assert kept.scope.version == 7

    run(scenario)


def test_what_another_s_token_fetched_is_never_remembered() -> None:
    async def scenario() -> None:
        scene = Scene(answer(one(pod("a", 7))))
        await scene.ask(POD, TOKEN)
        assert list(scene.cache.scopes.all()) == []

    run(scenario)


def test_a_get_whose_answer_broke_is_asked_once_more() -> None:
    async def scenario() -> None:
        body = one(pod("a", 7))
        scene = Scene(answer(Cut(b"{", length=9)), answer(body))
        assert (await scene.ask(POD)).content == body
        assert len(scene.sent) == 2

    run(scenario)


def test_the_second_answer_may_be_of_another_kind() -> None:
    async def scenario() -> None:
        large = Pieces(b"x" * SMALL_BYTES, b"y", length=SMALL_BYTES + 1)
        scene = Scene(answer(Cut(b"{", length=9)), answer(large))
        found = await scene.ask(POD)
        assert found.body is not None
        assert len(await whole(found.body)) == SMALL_BYTES + 1

    run(scenario)


def test_an_answer_that_breaks_twice_is_an_error_and_no_outage() -> None:
    async def scenario() -> None:
        scene = Scene(*[answer(Cut(b"{", length=9)) for _ in range(2)])
        with pytest.raises(UpstreamError) as caught:
            await scene.ask(POD)
        assert not isinstance(caught.value, UnreachableError)

    run(scenario)


@pytest.mark.parametrize(
    ("method", "body"), [("POST", b"{}"), ("DELETE", b""), ("GET", b"body")]
)
def test_what_may_have_been_done_is_not_done_twice(method: str, body: bytes) -> None:
    """And a body that was sent once is not there to be sent again."""

    async def scenario() -> None:
        scene = Scene(answer(Cut(b"{", length=9)))
        with pytest.raises(UpstreamError, match="broke within"):
            await scene.ask(POD, method=method, body=BytesBody(body))
        assert len(scene.sent) == 1

    run(scenario)


def test_an_outage_found_on_the_second_try_is_told() -> None:
    async def scenario() -> None:
        scene = Scene(answer(Cut(b"{", length=9)), UnreachableError("down"))
        with pytest.raises(UnreachableError):
            await scene.ask(POD)

    run(scenario)


# -- large answers --------------------------------------------------------------------


def large_list(count: int = 200) -> bytes:
    pods = [pod(f"pod-{number}", number + 1, note="x" * 600) for number in range(count)]
    return pod_list(900, *pods)


@pytest.mark.parametrize("sized", [True, False])
def test_a_large_answer_streams_and_is_remembered_at_its_end(sized: bool) -> None:
    async def scenario() -> None:
        body = large_list()
        pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
        inner = Pieces(*pieces, length=len(body) if sized else None)
        scene = Scene(answer(inner))
        found = await scene.ask(PODS)
        assert found.body.length == inner.length
        first = await found.body.read()
        assert inner.given == 2
        assert await scene.cache.list(PODS) == "Unknown"
        assert first + await whole(found.body) == body
        assert len((await scene.cache.list(PODS))[1]) == 200
        assert await found.body.read() == b""
        found.body.close()
        assert inner.closed == 1

    run(scenario)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("sized", [True, False])
def test_a_large_refusal_is_whole_because_it_teaches(status: int, sized: bool) -> None:
    async def scenario() -> None:
        pieces = (b"x" * 50_000, b"y" * 50_000)
        inner = Pieces(*pieces, length=100_000 if sized else None)
        found = await Scene(answer(inner, status=status)).ask(PODS)
        assert (found.status, found.content) == (status, b"".join(pieces))
        endless = Pieces(b"x" * REFUSAL_BYTES, b"more")
        found = await Scene(answer(endless, status=status)).ask(PODS)
        assert found.content == b""
        assert await whole(found.body) == b"x" * REFUSAL_BYTES + b"more"

    run(scenario)


def test_an_answer_that_breaks_off_is_neither_whole_nor_remembered() -> None:
    async def scenario() -> None:
        body = large_list()
        scene = Scene(answer(Cut(body[:90_000], body[90_000:-9], length=len(body))))
        found = await scene.ask(PODS)
        with pytest.raises(BodyCutError):
            await whole(found.body)
        assert await scene.cache.list(PODS) == "Unknown"

    run(scenario)


def test_a_client_that_leaves_early_remembers_nothing() -> None:
    async def scenario() -> None:
        body = large_list()
        scene = Scene(answer(Pieces(body[:90_000], body[90_000:], length=len(body))))
        found = await scene.ask(PODS)
        await found.body.read()
        found.body.close()
        assert await found.body.read() == b""
        assert await scene.cache.list(PODS) == "Unknown"

    run(scenario)


def test_an_answer_too_large_to_be_kept_is_not_held_in_memory() -> None:
    async def scenario() -> None:
        piece = b"x" * (1024 * 1024)
        count = MAX_BODY_BYTES // len(piece) + 3
        scene = Scene(answer(Pieces(*[piece] * count)))
        found = await scene.ask(PODS)
        size = 0
        while got := await found.body.read():
            size += len(got)
            recording = found.body._recording
            passing = recording and recording._passing
            held = passing.left if passing else 0
            assert held <= MAX_BODY_BYTES + len(piece)
        assert recording is None
        assert size == count * len(piece)

    run(scenario)


def test_the_last_piece_of_a_list_that_removes_waits_for_the_disk() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.cache.take(PODS, pod_list(3, pod("gone", 2)))
        body = large_list()
        scene.script.append(
            answer(Pieces(body[:90_000], body[90_000:], length=len(body)))
        )
        found = await scene.ask(PODS)
        held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        recording = found.body._recording

        async def slow(answered):
            assert await recording.finish_passed(answered) is not None
            return held

        found.body._recording = SimpleNamespace(feed=recording.feed, finish_passed=slow)
        assert await found.body.read() == body[:90_000]
        last = asyncio.create_task(found.body.read())
        await settle()
        assert not last.done()
        held.set_result(None)
        assert await last == body[90_000:]
        assert scene.forward.barrier.stalls == 0

    run(scenario)


def test_a_removal_that_is_seen_by_get_waits_too() -> None:
    async def scenario() -> None:
        scene = Scene(answer(not_found("a"), status=404))
        waited: list[object] = []

        async def wait(kept) -> None:
            waited.append(kept)

        scene.forward.barrier.wait = wait
        await scene.cache.take(POD, one(pod("a", 3)))
        found = await scene.ask(POD)
        assert found.status == 404
        assert waited[0] is not None

    run(scenario)


# -- watches --------------------------------------------------------------------------


async def begun(scene: Scene, credential=NODE):
    await scene.cache.take(PODS, pod_list(5, pod("a", 2)))
    return await scene.ask(WATCH, credential)


def test_a_watch_goes_on_in_whole_frames_and_ends_cleanly() -> None:
    """However the link cuts it: its client resumes from the version it has."""

    async def scenario() -> None:
        first, second = event("MODIFIED", pod("a", 6)), event("ADDED", pod("b", 7))
        for failure in (BodyCutError("cut"), BadResponseError("bad chunk")):
            inner = Cut(first[:30], first[30:] + second[:40])
            inner.failure = failure
            scene = Scene(answer(inner))
            found = await begun(scene)
            assert found.patience == WATCH_PATIENCE
            assert (found.status, found.body.length) == (200, None)
            assert await found.body.read() == first
            assert await found.body.read() == b""
            assert await found.body.read() == b""
            assert await scene.cache.list(PODS) == (6, ["a"])

    run(scenario)


def test_a_removal_waits_for_the_disk_before_a_watcher_hears_of_it() -> None:
    async def scenario() -> None:
        gone = event("DELETED", pod("a", 6))
        scene = Scene(answer(Pieces(gone)))
        waited: list[object] = []

        async def wait(kept) -> None:
            waited.append(kept)

        found = await begun(scene)
        scene.forward.barrier.wait = wait
        assert await found.body.read() == gone
        assert waited[0] is not None

    run(scenario)


def test_a_bookmark_waits_for_nothing() -> None:
    async def scenario() -> None:
        frame = bookmark(9)
        scene = Scene(answer(Pieces(frame)))
        found = await begun(scene)
        assert await found.body.read() == frame
        assert scene.forward.barrier.stalls == 0

    run(scenario)


@pytest.mark.parametrize("why", ["token", "gzip", "form", "component"])
def test_a_watch_that_is_not_kept_passes_as_it_is(why: str) -> None:
    async def scenario() -> None:
        headers = [JSON]
        if why == "gzip":
            headers.append((b"Content-Encoding", b"gzip"))
        elif why == "form":
            headers = [(b"Content-Type", b"application/cbor-seq")]
        raw = gzip.compress(b"anything")
        inner = Pieces(raw[:3], raw[3:])
        scene = Scene(answer(inner, headers=headers))
        if why == "component":
            fields = {b"user-agent": b"curl/8", b"accept": b"application/json"}
            asked = parse("GET", WATCH.encode(), fields, CALLER)
            found = await scene.forward(asked, request(WATCH), NODE)
        else:
            found = await begun(scene, TOKEN if why == "token" else NODE)
        assert found.body is inner
        assert found.patience == WATCH_PATIENCE
        assert (b"Cache-Status", b"toono; fwd=bypass") in found.headers

    run(scenario)


def test_a_watch_that_is_refused_is_an_ordinary_answer() -> None:
    async def scenario() -> None:
        scene = Scene(answer(b"{}", status=410))
        found = await begun(scene)
        assert (found.status, found.content) == (410, b"{}")

    run(scenario)


def test_a_watcher_that_leaves_ends_the_upstream_s_watch() -> None:
    async def scenario() -> None:
        inner = Pieces(event("ADDED", pod("b", 6)))
        found = await begun(Scene(answer(inner)))
        found.body.close()
        assert inner.closed == 1
        assert await found.body.read() == b""

    run(scenario)


# -- the barrier ----------------------------------------------------------------------


def test_what_is_kept_already_passes_at_once() -> None:
    async def scenario() -> None:
        barrier = Barrier(VirtualClock())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        await barrier.wait(None)
        await barrier.wait(done)
        assert barrier.stalls == 0

    run(scenario)


def test_a_disk_that_stalls_is_waited_for_once_in_a_while() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        barrier = Barrier(clock)
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(2):
            await barrier.wait(never)
        assert barrier.stalls == 1
        resting = asyncio.create_task(barrier.wait(never))
        await settle()
        assert resting.done()
        await clock.advance(BARRIER_REST_SECONDS)
        waiting = asyncio.create_task(barrier.wait(never))
        await settle()
        assert not waiting.done()
        never.set_result(None)
        await waiting
        assert barrier.stalls == 1

    run(scenario)


def test_a_watch_that_is_kept_is_asked_for_without_gzip_and_no_other() -> None:
    async def scenario() -> None:
        plain = (b"Accept-Encoding", b"identity")
        scene = Scene(answer(Pieces()), answer(Pieces()))
        await begun(scene)
        assert plain in scene.sent[-1][2]
        await scene.ask(WATCH, TOKEN)
        assert plain not in scene.sent[-1][2]

    run(scenario)


def test_every_answer_of_the_server_is_heard_of_once_and_no_failure() -> None:
    async def scenario() -> None:
        scene = Scene(
            answer(b"{}"), answer(b"no", status=404), UnreachableError("gone")
        )
        await scene.ask(PODS)
        await scene.ask(POD)
        with pytest.raises(UnreachableError):
            await scene.ask(PODS)
        assert scene.heard == [(PODS, 200), (POD, 404)]

    run(scenario)
