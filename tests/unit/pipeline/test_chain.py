# SPDX-License-Identifier: Apache-2.0
import asyncio
import gzip
import json

import pytest

from toono.autonomy.writes import WriteTable
from toono.errors import RequestError, UnreachableError, UpstreamError, WireTimeoutError
from toono.filters.approval import Approval
from toono.identity.rights import ALLOWED, Judgement, Verdict
from toono.kube import status
from toono.kube.request import Caller
from toono.pipeline.begun import REFUSAL_BYTES
from toono.pipeline.chain import Chain, Counted, caller_of, refusal
from toono.pipeline.limits import InFlight
from toono.testing.clock import VirtualClock
from toono.upstream.pool import Credential
from toono.wire.messages import BytesBody, Peer, Request, Response

UNKNOWN = Judgement(Verdict.UNKNOWN, why="this identity cannot be checked")
PEER = Peer(connection=7, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))


def request(target: str = "/api/v1/pods", method: str = "GET", **fields) -> Request:
    named = {k.replace("_", "-").encode(): v.encode() for k, v in fields.items()}
    return Request(
        method=method,
        target=target.encode(),
        headers=[],
        fields=named,
        body=BytesBody(),
        peer=PEER,
    )


class AloneScene:
    """What answers writes alone; reads the body of events, as the real one does."""

    table = WriteTable()

    def __init__(self, asked: list[tuple]) -> None:
        self._asked = asked
        self.noted: list[bytes | None] = []

    async def before(self, call, request) -> bytes | None:
        return await request.body.read() if "events" in call.path else None

    def after(self, call, sent, response) -> None:
        self.noted.append(sent)

    async def __call__(self, call, request) -> Response:
        self._asked.append(("alone", call.verb, await request.body.read()))
        return Response(status=201, content=b"kept")


class Scene:
    """A chain whose two ends are the test's: what they are asked is remembered."""

    def __init__(self, *, online=True, node=True, forward=None, local=None) -> None:
        self.asked: list[tuple] = []
        self.observed: list[tuple] = []
        self.learned: list[tuple] = []
        self.judgement: Judgement | None = None
        self.lately = False
        self.online, self.node = online, node
        self._forward, self._local = forward, local
        self.in_flight = InFlight()
        self.approval = Approval()
        self.alone = AloneScene(self.asked)
        self.chain = Chain(
            upstream=self,
            rights=self,
            forward=self.forward,
            local=self.local,
            alone=self.alone,
            in_flight=self.in_flight,
            observe=lambda call, route, code, _: self.observed.append((route, code)),
            clock=VirtualClock(),
            node_name="edge-1",
            filters=self,
        )

    async def choose(self, call) -> None:
        return None

    def choose_local(self, chosen, call) -> None:
        return chosen

    def knows_node(self, caller: Caller) -> bool | None:
        return None

    async def is_node(self, caller: Caller) -> bool:
        return self.node

    def heard_lately(self, caller: Caller, call, seconds: float) -> bool:
        return self.lately

    def judge_node(self, call) -> Judgement:
        return self.judgement or ALLOWED

    async def judge(self, caller: Caller, call) -> Judgement:
        return self.judgement or (ALLOWED if self.node else UNKNOWN)

    def learn(self, caller: Caller, call, code: int, *, node: bool) -> None:
        self.learned.append((code, node))

    async def forward(self, call, request, credential) -> Response:
        self.asked.append(("forward", call.verb, credential))
        if isinstance(self._forward, Exception):
            raise self._forward
        return self._forward or Response(status=200, content=b"cloud")

    async def local(self, call) -> Response:
        self.asked.append(("local", call.verb))
        if isinstance(self._local, Exception):
            raise self._local
        return self._local or Response(status=200, content=b"cache")

    def serve(self, one: Request | None = None) -> Response:
        return asyncio.run(self.chain.serve(one or request()))


def test_online_the_cloud_answers_with_the_node_s_credential() -> None:
    scene = Scene()
    assert scene.serve().content == b"cloud"
    assert scene.asked == [("forward", "list", Credential.NODE)]
    assert scene.observed == [("forward", 200)]


def test_whoever_is_not_the_node_is_nobody_and_a_token_is_its_owner_s() -> None:
    scene = Scene(node=False)
    scene.serve()
    scene.serve(request(authorization="Bearer abc"))
    assert scene.asked[0][2] == Credential.ANONYMOUS
    assert scene.asked[1][2] == Credential.of_token(b"abc")


def test_a_read_caught_in_the_failure_is_answered_from_the_cache() -> None:
    scene = Scene(forward=UnreachableError("down"))
    assert scene.serve().content == b"cache"


@pytest.mark.parametrize(
    ("code", "told"), [(404, b"toono; hit"), (503, b"toono; detail=unknown")]
)
def test_cut_off_a_refusal_says_whether_the_cache_knew(code: int, told: bytes) -> None:
    scene = Scene(online=False, local=RequestError(code, "X", "why"))
    response = scene.serve()
    assert dict(response.headers)[b"Cache-Status"] == told
    assert scene.observed == [("local", code)]


def test_a_write_caught_in_the_failure_is_told_so() -> None:
    scene = Scene(forward=UnreachableError("down"))
    response = scene.serve(request(method="POST"))
    assert response.status == 503
    assert ("local", "create") not in scene.asked


def event(content: bytes = b"event") -> Request:
    one = request("/api/v1/namespaces/a/events", method="POST")
    one.body = BytesBody(content)
    return one


def test_an_event_is_answered_alone_while_cut_off() -> None:
    scene = Scene(online=False)
    assert scene.serve(event()).status == 201
    assert scene.asked == [("alone", "create", b"event")]
    assert scene.observed == [("alone", 201)]


def test_an_event_caught_in_the_failure_is_not_lost() -> None:
    scene = Scene(forward=UnreachableError("down"))
    assert scene.serve(event()).status == 201
    assert scene.asked[-1] == ("alone", "create", b"event")


def test_a_review_whose_body_is_gone_is_told_that_it_failed() -> None:
    scene = Scene(forward=UnreachableError("down"))
    target = "/apis/authentication.k8s.io/v1/tokenreviews"
    assert scene.serve(request(target, method="POST")).status == 503


def test_only_what_the_node_was_told_is_noted() -> None:
    scene = Scene()
    scene.serve(event())
    assert scene.alone.noted == [b"event"]
    scene = Scene(node=False)
    scene.serve(event())
    assert scene.alone.noted == []


def test_a_server_that_breaks_off_is_no_reason_for_the_cache() -> None:
    scene = Scene(forward=UpstreamError("it broke"))
    assert scene.serve().status == 502
    assert [one[0] for one in scene.asked] == ["forward"]


def test_cut_off_nobody_unknown_is_answered() -> None:
    scene = Scene(online=False, node=False)
    response = scene.serve()
    assert response.status == 503
    assert b"this identity cannot be checked" in response.content
    assert scene.asked == []


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (RequestError(429, "TooManyRequests", "x"), 429),
        (WireTimeoutError("slow"), 504),
        (ZeroDivisionError("a bug"), 500),
    ],
)
def test_whatever_goes_wrong_is_a_status(failure: Exception, code: int) -> None:
    response = Scene(forward=failure).serve()
    content = json.loads(response.content)
    assert (response.status, content["kind"], content["code"]) == (code, "Status", code)


def test_a_bug_s_words_are_not_told_to_the_client() -> None:
    response = Scene(forward=ZeroDivisionError("secret")).serve()
    assert b"secret" not in response.content


def test_a_body_that_is_too_large_goes_nowhere() -> None:
    scene = Scene()
    one = request(method="POST")
    one.body = BytesBody(bytes(3 * 1024 * 1024 + 1))
    response = scene.serve(one)
    content = json.loads(response.content)
    assert (response.status, content["reason"]) == (413, "RequestEntityTooLarge")
    assert scene.asked == []
    assert scene.in_flight.writing == 0


def test_a_query_is_not_told_to_the_log(caplog) -> None:
    Scene(forward=ZeroDivisionError("a bug")).serve(request("/api/v1/x?token=secret"))
    assert [record.path for record in caplog.records] == ["/api/v1/x"]
    assert "secret" not in caplog.text


def test_what_entered_leaves_also_where_it_failed() -> None:
    scene = Scene(forward=UpstreamError("x"))
    scene.serve()
    assert scene.in_flight.reading == 0


def test_a_stream_leaves_at_its_end_once() -> None:
    scene = Scene(forward=Response(status=200, body=BytesBody(b"x")))
    response = scene.serve()
    assert scene.in_flight.reading == 1
    assert isinstance(response.body, Counted)
    assert asyncio.run(response.body.read()) == b"x"
    response.body.close()
    response.body.close()
    assert scene.in_flight.reading == 0


def test_a_503_never_names_a_time_to_retry() -> None:
    failure = status.failure(503, "ServiceUnavailable", "x", {"retryAfterSeconds": 5})
    names = [name for name, _ in refusal(None, failure).headers]
    assert b"Retry-After" not in names
    told = refusal(None, status.too_large_resource_version(9, 5))
    assert (b"Retry-After", b"1") in told.headers


def test_options_that_nobody_can_answer_are_refused_cut_off() -> None:
    scene = Scene(online=False)
    bad = scene.serve(request("/api/v1/pods?labelSelector=%3D%3D%3D"))
    assert bad.status == 400
    odd = scene.serve(request("/api/v1/pods?shardSelector=1"))
    assert odd.status == 503


def test_the_caller_is_read_from_the_connection_and_its_token() -> None:
    found = caller_of(request(authorization="bearer  abc"))
    assert (found.connection, found.token) == (7, b"abc")
    assert found.remote == ("127.0.0.1", 2)


@pytest.mark.parametrize("node", [True, False])
def test_only_the_node_s_own_agents_say_what_renews_its_lease(node: bool) -> None:
    class Lease:
        heard = 0
        agents = frozenset({"kubelet/v1.34"})

        def hear(self, _) -> None:
            self.heard += 1

        def concerns(self, _) -> bool:
            return False

    scene, lease = Scene(node=node), Lease()
    scene.chain.lease = lease
    assert scene.serve(request(user_agent="k3s/v1.34")).status == 200
    assert lease.heard == node
    scene.serve(request(user_agent="kubelet/v1.34"))  # was looked at before
    assert lease.heard == node


def test_what_the_cloud_says_of_a_credential_is_learned() -> None:
    scene = Scene()
    scene.serve()
    assert scene.learned == [(200, True)]
    refused = said(403, "application/json", STATUS)
    scene = Scene(node=False, forward=refused)
    scene.serve(request(authorization="Bearer abc"))
    assert scene.learned == [(403, False)]


STATUS = b'{"kind":"Status","apiVersion":"v1","code":403}'


def said(status: int, media_type: str, content: bytes, coding: str = "") -> Response:
    headers = [(b"Content-Type", media_type.encode())]
    if coding:
        headers.append((b"CONTENT-encoding", coding.encode()))
    return Response(status=status, headers=headers, content=content)


def packed(size: int) -> bytes:
    """Return a Status of many bytes, in few."""
    return gzip.compress(STATUS[:-1] + b',"message":"%b"}' % (b"x" * size))


@pytest.mark.parametrize(
    ("answer", "learned"),
    [
        (said(403, "text/html; charset=utf-8", b"<html>pay for the wifi"), False),
        (said(401, "text/html", b"<h1>Status: 401</h1>"), False),
        (said(403, "text/plain", b"Status 403"), False),
        (said(403, "application/json", b'{"error":"Status"}'), False),
        (said(200, "text/html", b"<html>pay for the wifi"), False),
        (said(403, "application/json", STATUS), True),
        (said(403, "application/cbor", b"\xd9\xd9\xf7\xa1DkindFStatus"), True),
        (said(403, "application/cbor", b"\xd9\xd9\xf7\xa0"), False),
        (said(403, "application/json", packed(100_000), "gzip"), True),
        (said(403, "application/json", packed(REFUSAL_BYTES), "gzip"), False),
        (said(403, "application/json", packed(9)[:-9], "gzip"), False),
        (said(403, "application/json", STATUS, "br"), False),
        (said(403, "application/cbor", gzip.compress(b"Status"), "gzip"), True),
        (Response(status=304), True),
        (said(200, "application/json", b"{}"), True),
    ],
)
def test_only_the_api_server_s_own_word_tells_of_rights(answer, learned) -> None:
    for node, fields in ((True, {}), (False, {"authorization": "Bearer abc"})):
        scene = Scene(node=node, forward=answer)
        assert scene.serve(request(**fields)).status == answer.status
        assert bool(scene.learned) is learned


class SharedScene:
    """What is shared, where it takes everything."""

    def __init__(self, answer: Response | None) -> None:
        self._answer = answer

    def takes(self, call) -> bool:
        return True

    async def answer(self, call) -> Response | None:
        return self._answer


def test_a_shared_answer_to_the_node_tells_of_its_right_as_the_cloud_would() -> None:
    for answer, learned in ((Response(status=200), (200, True)), (None, (200, True))):
        scene = Scene()
        scene.chain.shared = SharedScene(answer)
        scene.serve()
        assert scene.learned == [learned]
        assert [one[0] for one in scene.asked] == ([] if answer else ["forward"])


def test_a_shared_answer_to_a_token_tells_nothing_of_rights() -> None:
    for lately, route in ((True, "shared"), (False, "forward")):
        scene = Scene(node=False)
        scene.lately = lately
        scene.chain.shared = SharedScene(Response(status=200))
        scene.serve(request(authorization="Bearer abc"))
        assert [one for one, _ in scene.observed] == [route]
        assert scene.learned == ([] if lately else [(200, False)])


def test_what_did_not_change_is_kept_only_for_whom_it_is_known_to_be() -> None:
    scene = Scene()
    scene.chain.unchanged = lambda _: True
    own = "/api/v1/nodes/edge-1?resourceVersion=0"
    assert scene.serve(request(own)).content == b"cache"
    scene.judgement = UNKNOWN
    assert scene.serve(request(own)).content == b"cloud"


def test_what_did_not_change_and_cannot_be_read_is_asked_of_the_cloud() -> None:
    scene = Scene(local=RequestError(503, "ServiceUnavailable", "damaged"))
    scene.chain.unchanged = lambda _: True
    assert scene.serve(request("/api/v1/nodes/edge-1")).content == b"cloud"
    assert scene.asked[0] == ("local", "get")
    assert scene.learned == [(200, True)]


@pytest.mark.parametrize(
    ("verdict", "code", "message"),
    [
        (Verdict.UNAUTHENTICATED, 401, "Unauthorized: why"),
        (
            Verdict.FORBIDDEN,
            403,
            'pods is forbidden: User "jane" cannot list resource "pods" in API group'
            ' "" at the cluster scope',
        ),
        (Verdict.UNKNOWN, 503, "why"),
    ],
)
def test_cut_off_the_refusal_is_the_one_of_the_api_server(
    verdict, code, message
) -> None:
    scene = Scene(online=False)
    scene.judgement = Judgement(verdict, "jane", "why")
    response = scene.serve()
    assert response.status == code
    told = json.loads(response.content)
    assert (told["code"], told["message"]) == (code, message)
    assert scene.asked == []
