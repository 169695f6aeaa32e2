# SPDX-License-Identifier: Apache-2.0
"""The stage: who is filtered by what, and what a change of that does to open watches."""

import asyncio
import gzip
import json
from collections.abc import Callable, Coroutine

import pytest

from toono.codec.registry import for_media_type
from toono.errors import RequestError
from toono.filters.addresses import PodKey
from toono.filters.approval import Approval
from toono.filters.base import Door
from toono.filters.inputs import Inputs, Surroundings
from toono.filters.learning import PodAddresses
from toono.filters.sieve import SiftedWatch
from toono.filters.stage import NOT_KNOWN, STEP_SECONDS, Chosen, Stage, readable, whole
from toono.kube.request import Call, Caller, parse
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock, settle
from toono.wire.messages import BytesBody, Peer, Request, Response

from .cloud import Cloud, Stream, answer, compact, found
from .kit import JSON

SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
KUBELET, PROXY = "kubelet/v1.34", "kube-proxy/v1.34"


def call(agent: str, target: str, remote: str = "127.0.0.1") -> Call:
    who = Caller(connection=1, local=("", 0), remote=(remote, 5))
    return parse("GET", target.encode(), {b"user-agent": agent.encode()}, who)


def service(name: str, **annotations: str) -> dict[str, object]:
    meta = {"name": name, "namespace": "default", "resourceVersion": "5"}
    return {
        "metadata": meta | ({"annotations": annotations} if annotations else {}),
        "spec": {"clusterIP": "10.0.0.1", "type": "LoadBalancer"},
    }


NEAR = {"openyurt.io/topologyKeys": "kubernetes.io/hostname"}
CLOUD = service("cloud", **{"svc.openyurt.io/discard": "true"})


class Scene:
    def __init__(
        self, *, anew: bool = False, off: frozenset[str] = frozenset()
    ) -> None:
        self.cloud = Cloud()
        around = Surroundings(
            node_name="edge-1", door=Door("169.254.2.1", 10268), pool="hangzhou"
        )
        self.inputs = Inputs(
            around, self.cloud, clock=VirtualClock(), kept=lambda *_: True
        )
        self.stage = Stage(Approval(off), self.inputs, anew=anew)
        self.inputs.changed = self.stage.inputs_changed

    async def choose(self, one: Call) -> Chosen:
        chosen = await self.stage.choose(one)
        assert chosen is not None
        return chosen

    async def answer(self, one: Call, response: Response) -> Response:
        return await self.stage.apply(await self.choose(one), one, response)

    async def list(self, one: Call) -> Response:
        return await self.answer(one, found("EndpointSlice", "9"))

    async def watch(self, one: Call) -> tuple[Response, Stream]:
        stream = Stream()
        return await self.answer(one, stream.response()), stream

    def rules(self, *services: dict[str, object]) -> None:
        self.cloud.add(SERVICES, found("Service", "9", *services))


def play(story: Callable[[Scene], Coroutine[None, None, None]], **how: bool) -> None:
    async def run() -> None:
        scene = Scene(**how)
        tasks = [spawn(duty(), name="input") for duty in scene.inputs.duties]
        try:
            await story(scene)
        finally:
            await cancel_and_wait(*tasks)

    asyncio.run(run())


def names(response: Response) -> list[str]:
    assert isinstance(response.content, bytes)
    items = json.loads(response.content)["items"]
    return [item["metadata"]["name"] for item in items]


async def text(response: Response) -> bytes:
    assert response.body is not None
    return await response.body.read()


def test_a_call_without_filters_takes_no_path_of_ours() -> None:
    async def story(scene: Scene) -> None:
        for agent, target in ((KUBELET, "/version"), ("agent/1", SERVICES)):
            assert await scene.stage.choose(call(agent, target)) is None
        assert scene.cloud.asked == []

    play(story)


def test_a_list_is_filtered_in_pieces_or_whole() -> None:
    async def story(scene: Scene) -> None:
        one = call(PROXY, SERVICES)
        streamed = found("Service", "9", service("web"), CLOUD)
        response = await scene.answer(one, streamed)
        assert names(response) == ["web"]
        assert response.body is None
        whole = found("Service", "9", service("web"), CLOUD)
        assert whole.body is not None
        content = await whole.body.read()
        local = Response(
            status=200,
            headers=whole.headers,
            content=[content[:50], content[50:]],
        )
        assert names(await scene.answer(one, local)) == ["web"]

    play(story)


def test_what_nothing_touches_keeps_its_bytes_and_its_coding() -> None:
    async def story(scene: Scene) -> None:
        one = call(PROXY, SERVICES)
        plain = found("Service", "9", service("web"))
        assert plain.body is not None
        content = await plain.body.read()
        packed = gzip.compress(content)
        headers = [*plain.headers, (b"Content-Encoding", b"gzip")]
        given = Response(status=200, headers=headers, body=BytesBody(packed))
        response = await scene.answer(one, given)
        assert (response.content, response.headers) == (packed, headers)

    play(story)


def test_a_coding_is_undone_where_something_changes() -> None:
    async def story(scene: Scene) -> None:
        plain = found("Service", "9", service("web"), CLOUD)
        assert plain.body is not None
        packed = gzip.compress(await plain.body.read())
        headers = [*plain.headers, (b"Content-Encoding", b"gzip"), (b"Etag", b"a")]
        given = Response(status=200, headers=headers, body=BytesBody(packed))
        response = await scene.answer(call(PROXY, SERVICES), given)
        assert names(response) == ["web"]
        assert response.headers == plain.headers

    play(story)


def test_no_frame_goes_around_the_sieve() -> None:
    async def story(scene: Scene) -> None:
        stream = Stream()
        response = stream.response()
        response.direct = lambda _: None
        watch = call(PROXY, f"{SERVICES}?watch=true&resourceVersion=9")
        assert (await scene.answer(watch, response)).direct is None
        assert response.body is not None
        response.body.close()

    play(story)


def test_a_large_list_is_filtered_off_the_loop() -> None:
    async def story(scene: Scene) -> None:
        many = [service(f"web-{n}", note="x" * 500) for n in range(200)]
        response = await scene.answer(
            call(PROXY, SERVICES), found("Service", "9", CLOUD, *many)
        )
        body = response.body
        assert body is not None
        content = await body.read()
        assert body.length == len(content)
        assert content.count(b'"name":"web-') == 200
        assert b"cloud" not in content
        assert scene.stage.room.held > len(content)
        body.close()
        assert scene.stage.room.held == 0

    play(story)


def test_refusals_and_heads_pass() -> None:
    async def story(scene: Scene) -> None:
        one = call(PROXY, SERVICES)
        refused = answer(403, b"no")
        assert await scene.answer(one, refused) is refused
        head = answer(200, b"")
        assert (await scene.answer(one, head)).content == b""

    play(story)


@pytest.mark.parametrize("media_type", ["application/cbor", "text/plain", ""])
def test_a_form_that_cannot_be_read_is_not_given(media_type: str) -> None:
    async def story(scene: Scene) -> None:
        given = answer(200, b"cloud", media_type)
        with pytest.raises(RequestError) as caught:
            await scene.answer(call(PROXY, SERVICES), given)
        assert caught.value.code == 406

    play(story)


def test_a_body_that_cannot_be_read_is_no_empty_list() -> None:
    async def story(scene: Scene) -> None:
        given = answer(200, b'svc.openyurt.io/discard {"items":')
        with pytest.raises(RequestError) as caught:
            await scene.answer(call(PROXY, SERVICES), given)
        assert caught.value.code == 502

    play(story)


def test_a_single_object_is_filtered() -> None:
    async def story(scene: Scene) -> None:
        entry = {"name": "KUBERNETES_SERVICE_HOST", "value": "10.0.0.1"}
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}
        spec = {"spec": {"containers": [{"name": "c", "env": [entry]}]}}
        one = call(KUBELET, "/api/v1/namespaces/default/pods/a")
        response = await scene.answer(one, answer(200, compact(pod | spec) + b"\n"))
        assert isinstance(response.content, bytes)
        assert b'"value":"169.254.2.1"' in response.content
        assert response.content.endswith(b"}\n")

    play(story)


def test_what_was_never_known_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toono.filters.stage.READY_SECONDS", 0.01)

    async def story(scene: Scene) -> None:
        with pytest.raises(RequestError) as caught:
            await scene.stage.choose(call(PROXY, SLICES))
        assert (caught.value.code, NOT_KNOWN in str(caught.value)) == (503, True)
        assert await scene.stage.choose(call(PROXY, SERVICES)) is not None

    play(story)


def test_cut_off_nobody_waits_for_what_was_never_known() -> None:
    async def story(scene: Scene) -> None:
        scene.inputs.online = lambda: False
        with pytest.raises(RequestError):
            async with asyncio.timeout(STEP_SECONDS * 20):
                await scene.stage.choose(call(PROXY, SLICES))

    play(story)


def gone(content: bytes) -> bool:
    codec = for_media_type(JSON)
    assert codec is not None
    return b'"type":"ERROR"' in content and b'"code":410' in content


RESUME = f"{SLICES}?watch=true&resourceVersion=9"


def test_a_change_ends_the_watches_that_it_touches_and_no_other() -> None:
    async def story(scene: Scene) -> None:
        scene.rules(service("web", **NEAR))
        await scene.list(call(PROXY, SLICES))
        response, stream = await scene.watch(call(PROXY, RESUME))
        other, _ = await scene.watch(call(PROXY, f"{SERVICES}?watch=true"))
        assert scene.stage.watches == 2
        reading = asyncio.ensure_future(text(response))
        await settle()
        services = scene.cloud.streams[SERVICES]
        services.say("MODIFIED", "Service", service("api"))
        await settle()
        assert not reading.done()  # it wishes nothing
        services.say("MODIFIED", "Service", service("web"))
        assert gone(await reading)
        assert await text(response) == b""
        assert stream.closed
        assert scene.stage.ended == 1
        assert isinstance(response.body, SiftedWatch)
        response.body.close()
        assert scene.stage.watches == 1
        assert other.body is not None
        other.body.close()

    play(story)


def test_a_watch_goes_on_only_from_a_list_of_the_same_filters() -> None:
    async def story(scene: Scene) -> None:
        scene.rules(service("web", **NEAR))
        await scene.list(call(PROXY, SLICES))
        scene.cloud.streams[SERVICES].say("MODIFIED", "Service", service("web"))
        await settle()
        response, stream = await scene.watch(call(PROXY, RESUME))
        assert gone(await text(response))
        assert await text(response) == b""
        assert stream.closed
        await scene.list(call(PROXY, SLICES))
        response, _ = await scene.watch(call(PROXY, RESUME))
        assert isinstance(response.body, SiftedWatch)
        response, _ = await scene.watch(call(PROXY, RESUME, remote="10.9.9.9"))
        assert gone(await text(response))  # another client's list is not its own

    play(story)


def test_a_burst_is_a_list_of_its_own() -> None:
    async def story(scene: Scene) -> None:
        scene.rules(service("web", **NEAR))
        burst = call(PROXY, f"{SLICES}?watch=true&resourceVersion=0")
        response, _ = await scene.watch(burst)
        assert isinstance(response.body, SiftedWatch)
        again, _ = await scene.watch(call(PROXY, RESUME))
        assert isinstance(again.body, SiftedWatch)

    play(story, anew=True)


def test_after_a_start_with_other_filters_nobody_goes_on_from_before() -> None:
    async def story(scene: Scene) -> None:
        scene.rules()
        response, _ = await scene.watch(call(PROXY, RESUME))
        assert gone(await text(response))

    play(story, anew=True)

    async def same(scene: Scene) -> None:
        scene.rules()
        response, _ = await scene.watch(call(PROXY, RESUME))
        assert isinstance(response.body, SiftedWatch)

    play(same, anew=False)


def test_a_change_while_the_cloud_is_asked_ends_the_watch_too() -> None:
    async def story(scene: Scene) -> None:
        scene.rules(service("web", **NEAR))
        await scene.list(call(PROXY, SLICES))
        one = call(PROXY, RESUME)
        chosen = await scene.choose(one)
        scene.cloud.streams[SERVICES].say("MODIFIED", "Service", service("web"))
        await settle()
        stream = Stream()
        response = await scene.stage.apply(chosen, one, stream.response())
        assert gone(await text(response))

    play(story)


def test_filter_that_is_switched_off_ends_what_it_filtered_and_on_again_counts() -> (
    None
):
    async def story(scene: Scene) -> None:
        one = call("kube-proxy/1", SERVICES)
        off = Approval(frozenset({"discardcloudservice"}))
        response = await scene.answer(one, found("Service", "9", CLOUD))
        assert names(response) == []
        scene.stage.approve(off)
        response = await scene.answer(one, found("Service", "9", CLOUD))
        assert names(response) != []
        scene.stage.approve(Approval())
        response = await scene.answer(one, found("Service", "9", CLOUD))
        assert names(response) == []
        late = call(
            "kube-proxy/1", f"{SERVICES}?watch=true&resourceVersion=9", "10.0.0.9"
        )
        response, _ = await scene.watch(late)
        assert gone(await text(response))

    play(story)


def test_other_rules_count_from_the_next_question_on() -> None:
    async def story(scene: Scene) -> None:
        one = call("agent/1", SERVICES)
        assert await scene.stage.choose(one) is None
        added = {"discardcloudservice": frozenset({"agent"})}
        scene.stage.approve(Approval(added=added))
        response = await scene.answer(one, found("Service", "9", CLOUD))
        assert names(response) == []
        # It listed before it was filtered, and does not know.
        late = call("agent/1", f"{SERVICES}?watch=true&resourceVersion=9", "10.0.0.9")
        response, _ = await scene.watch(late)
        assert gone(await text(response))

    play(story)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (b"application/cbor, application/json;q=0.9", b"application/json;q=0.9"),
        (b"application/cbor", b""),
        (b"application/json", b"application/json"),
        (b"application/vnd.kubernetes.protobuf, */*", None),
    ],
)
def test_nothing_is_asked_for_that_cannot_be_filtered(
    given: bytes, wanted: bytes | None
) -> None:
    request = Request(
        method="GET",
        target=b"/",
        headers=[(b"Host", b"cbor"), (b"Accept", given)],
        fields={},
        body=BytesBody(),
        peer=Peer(connection=1, local=("", 0), remote=("", 0)),
    )
    shared = request.headers
    readable(request, watch=False)
    assert request.headers[1][1] == (given if wanted is None else wanted)
    assert shared[1][1] == given, "a head that came before is the same list"


@pytest.mark.parametrize(("watch", "coding"), [(True, b"identity"), (False, b"gzip")])
def test_a_watch_that_is_filtered_comes_as_it_is(watch: bool, coding: bytes) -> None:
    """Frames cannot be cut out of gzip; a list is unpacked whole."""
    request = Request(
        method="GET",
        target=b"/",
        headers=[(b"Accept-Encoding", b"gzip")],
        fields={},
        body=BytesBody(),
        peer=Peer(connection=1, local=("", 0), remote=("", 0)),
    )
    readable(request, watch=watch)
    assert request.headers == [(b"Accept-Encoding", coding)]


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def taking(accept: str) -> Call:
    who = Caller(connection=1, local=("", 0), remote=("127.0.0.1", 5))
    return parse("GET", SERVICES.encode(), {b"accept": accept.encode()}, who)


def test_whole_objects_are_asked_where_rows_of_a_table_could_not_be_judged() -> None:
    request = Request(
        method="GET",
        target=b"/",
        headers=[(b"Accept", f"{TABLE}, application/json".encode())],
        fields={},
        body=BytesBody(),
        peer=Peer(connection=1, local=("", 0), remote=("", 0)),
    )
    readable(request, watch=False)
    assert request.headers == [(b"Accept", b"application/json")]
    (form,) = whole(taking(f"{TABLE},application/json")).accept
    assert (form.media_type, form.as_kind) == (JSON, "")
    plain = taking("application/json")
    assert whole(plain) is plain
    assert whole(taking("")).accept == ()
    with pytest.raises(RequestError) as raised:
        whole(taking(TABLE))
    assert raised.value.code == 406


POD = PodKey("default", "web-0", "a9e6b466")


async def learned(*addresses: str) -> PodAddresses:
    known = PodAddresses(MemoryStore(), clock=VirtualClock())
    for address in addresses:
        await say(known, address)
    return known


async def say(known: PodAddresses, address: str) -> None:
    write = {"metadata": {"uid": POD.uid}, "status": {"podIP": address}}
    one = parse(
        "PATCH",
        f"/api/v1/namespaces/{POD.namespace}/pods/{POD.name}/status".encode(),
        {},
        Caller(connection=1, local=("", 0), remote=("", 0)),
    )
    content = BytesBody(compact(write))
    peer = Peer(connection=1, local=("", 0), remote=("", 0))
    await known.hear(
        one,
        Request(
            method="PATCH", target=b"/", headers=[], fields={}, body=content, peer=peer
        ),
    )


def stage_with(known: PodAddresses) -> Stage:
    inputs = Inputs(
        Surroundings(node_name="edge-1"),
        Cloud(),
        clock=VirtualClock(),
        kept=lambda *_: True,
    )
    return Stage(Approval(), inputs, anew=False, addresses=known)


def test_only_answers_of_the_hub_s_own_are_corrected() -> None:
    async def story() -> None:
        stage = stage_with(await learned("10.1.0.9"))
        one = call("agent/1", SLICES)
        assert await stage.choose(one) is None
        chosen = stage.choose_local(None, one)
        assert chosen is not None
        target = {
            "kind": "Pod",
            **dict(zip(("namespace", "name", "uid"), POD, strict=True)),
        }
        endpoint = {
            "addresses": ["10.1.0.1"],
            "nodeName": "edge-1",
            "targetRef": target,
        }
        meta = {"name": "web", "namespace": "default", "resourceVersion": "5"}
        given = {"metadata": meta, "addressType": "IPv4", "endpoints": [endpoint]}
        answered = await stage.apply(chosen, one, found("EndpointSlice", "9", given))
        assert isinstance(answered.content, bytes)
        assert b'"addresses":["10.1.0.9"]' in answered.content
        for other in ("/api/v1/pods", f"{SLICES}/x/status", "/version"):
            assert stage.choose_local(None, call("agent/1", other)) is None
        await stage.hear(one, request_of(b"x"))

    asyncio.run(story())


def request_of(content: bytes) -> Request:
    peer = Peer(connection=1, local=("", 0), remote=("", 0))
    return Request(
        method="PATCH",
        target=b"/",
        headers=[],
        fields={},
        body=BytesBody(content),
        peer=peer,
    )


def test_without_a_learner_nothing_is_corrected() -> None:
    async def story(scene: Scene) -> None:
        assert scene.stage.choose_local(None, call("agent/1", SLICES)) is None
        await scene.stage.hear(call(KUBELET, "/api/v1/pods"), request_of(b"x"))

    play(story)


def test_nobody_lists_again_at_a_cut_until_an_address_has_changed() -> None:
    resume = call("agent/1", RESUME)

    async def resumed(stage: Stage) -> Response:
        chosen = stage.choose_local(None, resume)
        assert chosen is not None
        return await stage.apply(chosen, resume, Stream().response())

    async def story() -> None:
        known = await learned()
        stage = stage_with(known)
        response = await resumed(stage)
        assert isinstance(response.body, SiftedWatch)
        await say(known, "10.1.0.9")
        stage.inputs_changed()
        assert gone(await text(response))
        assert gone(await text(await resumed(stage)))
        # What was known at the start counts from the start.
        assert gone(await text(await resumed(stage_with(known))))

    asyncio.run(story())
