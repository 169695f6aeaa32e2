# SPDX-License-Identifier: Apache-2.0
"""What is noted of writes online, and what they hear offline."""

import asyncio

import pytest

from tests.unit.pipeline.alone_kit import (
    EVENT,
    EVENTS,
    JSON,
    MERGE,
    POD,
    Scene,
    answered,
    values_of,
)
from toono.autonomy.spooled import Target
from toono.codec.sent import PROTOBUF, read_sent, write_sent
from toono.pipeline.alone import MAX_BODY_BYTES
from toono.wire.messages import BytesBody, Response

TOKEN = "/api/v1/namespaces/shop/serviceaccounts/web/token"
REVIEW = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
STATUS = POD + "/status"
ASKED = {
    "kind": "TokenRequest",
    "apiVersion": "authentication.k8s.io/v1",
    "spec": {"audiences": ["api"], "expirationSeconds": 3607},
}
ACCESS = {
    "kind": "SubjectAccessReview",
    "apiVersion": "authorization.k8s.io/v1",
    "spec": {"user": "prometheus"},
}


def play(scenario) -> None:
    asyncio.run(scenario())


def given(scene: Scene) -> dict:
    """An answer to a TokenRequest."""
    status = {"token": scene.token(), "expirationTimestamp": "2026-11-21T02:00:00Z"}
    return {**ASKED, "status": status}


def test_a_token_that_was_seen_is_given_again_to_the_node() -> None:
    async def scenario() -> None:
        scene = Scene()
        told = given(scene)
        await scene.pass_by("POST", TOKEN, ASKED, answered(told))
        again = await scene.ask("POST", TOKEN, ASKED)
        assert again.status == 201
        assert values_of(again)["status"]["token"] == told["status"]["token"]
        content = write_sent(ASKED, PROTOBUF)
        packed = await scene.ask("POST", TOKEN, content, PROTOBUF, PROTOBUF)
        assert (
            read_sent(packed.content, PROTOBUF)["status"]["token"]
            == (told["status"]["token"])
        )
        other = {**ASKED, "spec": {"audiences": ["other"]}}
        assert (await scene.refused("POST", TOKEN, other)).code == 503

    play(scenario)


def test_a_verdict_that_was_heard_is_given_again_to_the_node() -> None:
    async def scenario() -> None:
        scene = Scene()
        told = {**ACCESS, "status": {"allowed": True}}
        await scene.pass_by("POST", REVIEW, ACCESS, answered(told))
        again = await scene.ask("POST", REVIEW, ACCESS)
        assert (again.status, values_of(again)) == (201, told)
        other = {**ACCESS, "spec": {"user": "other"}}
        assert (await scene.refused("POST", REVIEW, other)).code == 503
        assert (await scene.refused("POST", REVIEW, b"no")).code == 400

    play(scenario)


def test_nobody_but_the_node_is_given_either() -> None:
    async def scenario() -> None:
        scene = Scene(node=False)
        told = given(scene)
        await scene.pass_by("POST", TOKEN, ASKED, answered(told))
        assert (await scene.refused("POST", TOKEN, ASKED)).code == 503
        mine = scene.token()
        assert (await scene.refused("POST", TOKEN, ASKED, token=mine)).code == 503
        assert (await scene.refused("POST", REVIEW, ACCESS, token=mine)).code == 503

    play(scenario)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: answered(told, 200),
        lambda told: answered(told, 403),
        lambda told: answered(told, content_encoding="gzip"),
        lambda told: answered({**told, "kind": "Status"}),
        lambda _: Response(status=201, content=b"<html>"),
        lambda _: Response(status=201, content=[b"{}"]),
        lambda _: Response(status=201, body=BytesBody(b"{}")),
    ],
)
def test_what_is_no_answer_of_the_api_server_is_not_noted(spoil) -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.pass_by("POST", TOKEN, ASKED, spoil(given(scene)))
        await scene.pass_by("POST", REVIEW, ACCESS, spoil(ACCESS))
        assert len(scene.alone.tokens) == 0
        assert len(scene.alone.reviews) == 0

    play(scenario)


def test_a_write_goes_on_as_it_came() -> None:
    async def scenario() -> None:
        scene = Scene()
        for method, target, kind, read in [
            ("POST", EVENTS, JSON, True),
            ("POST", TOKEN, JSON, True),
            ("PATCH", STATUS, MERGE, False),
            ("POST", "/api/v1/namespaces/shop/pods", JSON, False),
            ("GET", POD, JSON, False),
        ]:
            sent, went = await scene.pass_by(
                method, target, b"body", answered(EVENT), kind
            )
            assert went == b"body"
            assert (sent == b"body") is read

    play(scenario)


def test_what_is_large_or_of_unknown_length_is_not_read_on_its_way() -> None:
    async def scenario() -> None:
        scene = Scene()
        call, request = scene.pair("POST", EVENTS, b"x" * (MAX_BODY_BYTES + 1))
        assert await scene.alone.before(call, request) is None
        assert (await scene.refused("POST", EVENTS, b"x" * (MAX_BODY_BYTES + 1))).code
        call, request = scene.pair("POST", EVENTS, b"x")
        request.body.length = None
        assert await scene.alone.before(call, request) is None
        assert await request.body.read() == b"x"
        assert len(scene.spool) == 0

    play(scenario)


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("target", [POD, STATUS])
def test_any_write_that_passes_takes_an_older_status_away(
    method: str, target: str
) -> None:
    async def scenario() -> None:
        scene = Scene(statuses="spool")
        await scene.see_pod()
        await scene.ask("PATCH", STATUS, {"status": {}}, MERGE)
        await scene.pass_by("GET", POD, b"", answered(EVENT))
        other = POD.replace("pods/a", "pods/b")
        await scene.pass_by(method, other, b"", answered(EVENT))
        assert len(scene.spool.of(Target("", "pods", "default", "a"))) == 1
        await scene.pass_by(method, target, b"{}", answered(EVENT), MERGE)
        assert len(scene.spool) == 0
        assert scene.spool.counts["overtaken"] == 1

    play(scenario)


def test_who_is_nobody_takes_no_status_of_the_kubelet_s_away() -> None:
    async def scenario() -> None:
        scene = Scene(statuses="spool")
        await scene.see_pod()
        await scene.ask("PATCH", STATUS, {"status": {}}, MERGE)
        ended, good = scene.token(seconds=-9000.0), scene.token()
        for token in (ended, good[:-4] + "AAAA"):
            call, request = scene.pair("PATCH", STATUS, b"{}", MERGE, token=token)
            await scene.alone.before(call, request)
        nobody = Scene(statuses="spool", node=False)
        nobody.alone.spooling._spool = scene.spool
        call, request = nobody.pair("PATCH", STATUS, b"{}", MERGE)
        await nobody.alone.before(call, request)
        assert len(scene.spool) == 1
        call, request = scene.pair("PATCH", STATUS, b"{}", MERGE, token=good)
        await scene.alone.before(call, request)
        assert len(scene.spool) == 0

    play(scenario)


def test_who_listens_is_told_what_the_node_was_answered() -> None:
    async def scenario() -> None:
        scene = Scene()
        heard: list = []
        scene.alone.heard.append(heard.append)
        await scene.pass_by("PATCH", STATUS, {}, answered(EVENT, 200), MERGE)
        assert [call.path for call in heard] == [STATUS]

    play(scenario)
