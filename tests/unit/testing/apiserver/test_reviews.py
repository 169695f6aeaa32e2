# SPDX-License-Identifier: Apache-2.0
"""Reviews are answered as a kube-apiserver writes them, in the form asked for."""

import asyncio
import json

import pytest

from toono.codec.protobuf import ProtobufCodec
from toono.codec.transcode import to_protobuf
from toono.testing import APIServer
from toono.testing.apiserver.access import Access
from toono.testing.apiserver.bodies import object_of
from toono.testing.apiserver.query import Refusal, place_of
from toono.testing.apiserver.rbac import Rule, User
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.reviews import Reviews
from toono.testing.apiserver.tokens import TokenKeys
from toono.testing.clock import VirtualClock
from toono.wire.messages import BytesBody, Peer, Request

PROTOBUF = b"application/vnd.kubernetes.protobuf"
TOKEN = "/api/v1/namespaces/shop/serviceaccounts/web/token"
ACCESS = "/apis/authorization.k8s.io/v1/"
TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
JANE = User("jane", ("devs",), "u-1", credential="X509SHA256=00")
KEYS = TokenKeys(algorithm="ES256")


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        server = APIServer(clock=self.clock)
        account = {"metadata": {"name": "web"}}
        made = server.create("serviceaccounts", account, namespace="shop")
        self.uid = made["metadata"]["uid"]
        self.door = Access(server.storage, KEYS, clock=self.clock)
        self.reviews = Reviews(self.door, KEYS, server.storage, self.clock)

    def ask(self, path: str, body=b"{}", *, method="POST", accept=b"application/json"):
        place = place_of(path)
        assert place is not None
        request = Request(
            method=method,
            target=path.encode(),
            headers=[],
            fields={b"accept": accept},
            body=BytesBody(
                body if isinstance(body, bytes) else json.dumps(body).encode()
            ),
            peer=Peer(connection=1, local=("", 0), remote=("", 0)),
        )
        return asyncio.run(self.reviews.answer(request, JANE, place))

    def told(self, path: str, body) -> dict:
        response = self.ask(path, body)
        assert response is not None
        assert response.status == 201
        return json.loads(response.content)


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_no_review_is_left_to_others(world: World) -> None:
    assert world.ask("/api/v1/namespaces/shop/pods") is None
    assert world.ask("/api/v1/namespaces/shop/serviceaccounts/web") is None
    assert world.ask(TOKENS, method="GET") is None


def test_a_review_comes_back_in_the_server_s_order(world: World) -> None:
    asked = {"resource": "pods", "verb": "list", "namespace": "shop"}
    spec = {"user": "jane", "resourceAttributes": asked}
    body = {"spec": spec, "kind": "SubjectAccessReview"}
    response = world.ask(ACCESS + "subjectaccessreviews", body)
    assert response.content == (
        b'{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1",'
        b'"metadata":{},"spec":{"resourceAttributes":{"namespace":"shop",'
        b'"verb":"list","resource":"pods"},"user":"jane"},'
        b'"status":{"allowed":false}}\n'
    )


@pytest.mark.parametrize(
    ("plural", "user", "allowed"),
    [
        ("selfsubjectaccessreviews", "nobody", True),
        ("subjectaccessreviews", "jane", True),
        ("subjectaccessreviews", "nobody", False),
    ],
)
def test_a_review_asks_of_oneself_or_of_whom_it_names(
    world: World, plural: str, user: str, allowed: bool
) -> None:
    world.door.rbac.grant("jane", Rule(verbs=("get",), paths=("/metrics",)))
    path = {"path": "/metrics", "verb": "get"}
    spec = {"nonResourceAttributes": path}
    spec |= {} if plural.startswith("self") else {"user": user}
    told = world.told(ACCESS + plural, {"spec": spec})
    assert told["status"] == {"allowed": allowed}


def test_a_group_s_right_counts_for_who_is_said_to_be_in_it(world: World) -> None:
    world.door.rbac.grant("devs", Rule(verbs=("get",), resources=("pods/log",)))
    asked = {"verb": "get", "resource": "pods", "subresource": "log", "name": "a"}
    spec = {"groups": ["devs"], "resourceAttributes": asked}
    told = world.told(ACCESS + "subjectaccessreviews", {"spec": spec})
    assert told["status"] == {"allowed": True}


def test_one_is_told_who_one_is(world: World) -> None:
    told = world.told(SELF, {})
    assert told["metadata"].keys() == {"creationTimestamp"}
    extra = {"authentication.kubernetes.io/credential-id": ["X509SHA256=00"]}
    user = {"username": "jane", "uid": "u-1", "groups": ["devs"], "extra": extra}
    assert told["status"] == {"userInfo": user}


def test_a_token_is_reviewed(world: World) -> None:
    token = KEYS.mint("shop", "web", now=world.clock.wall(), uid=world.uid)
    told = world.told(TOKENS, {"spec": {"token": token}})["status"]
    assert told["authenticated"] is True
    assert told["user"]["uid"] == world.uid
    assert told["audiences"] == [KEYS.issuer]
    told = world.told(TOKENS, {"spec": {"token": "x"}})["status"]
    assert told["error"] == "[invalid bearer token, token lookup failed]"
    assert "authenticated" not in told


def test_a_token_is_for_as_long_as_asked_and_ten_minutes_at_least(
    world: World,
) -> None:
    told = world.told(TOKEN, {"spec": {"expirationSeconds": 1}})
    assert told["metadata"]["uid"] == world.uid
    spec = {"audiences": [KEYS.issuer], "expirationSeconds": 600}
    assert told["spec"] == spec | {"boundObjectRef": None}
    now = world.clock.wall()
    assert KEYS.claims_of(told["status"]["token"], now=now + 599) is not None
    assert KEYS.claims_of(told["status"]["token"], now=now + 600) is None
    bound = {"kind": "Pod", "name": "web-0", "uid": "u"}
    told = world.told(TOKEN, {"spec": {"boundObjectRef": bound}})
    claims = KEYS.claims_of(told["status"]["token"], now=now)
    assert claims["kubernetes.io"]["pod"] == {"name": "web-0", "uid": "u"}
    assert told["spec"]["expirationSeconds"] == 3600


def test_a_kubelet_asks_in_protobuf(world: World) -> None:
    kind = {"kind": "TokenRequest", "api_version": "authentication.k8s.io/v1"}
    data = to_protobuf(b'{"spec":{"audiences":["a"]}}', **kind)
    codec = ProtobufCodec()
    body = codec.write_single(**kind, style="typed", data=data)
    response = world.ask(TOKEN, body, accept=PROTOBUF + b",application/json")
    assert dict(response.headers)[b"Content-Type"] == PROTOBUF
    # Read as `bodies` reads what a client sends: it has no resourceVersion.
    asked = Resource(
        group="authentication.k8s.io", version="v1", plural="", kind="TokenRequest"
    )
    told = object_of(asked, response.content)
    assert told["spec"]["audiences"] == ["a"]
    assert told["status"]["token"].count(".") == 2


def test_a_field_that_a_review_has_not_is_refused(world: World) -> None:
    with pytest.raises(Refusal) as told:
        world.ask(SELF, {"spec": {}})
    assert (told.value.code, told.value.reason) == (400, "BadRequest")


def test_a_token_of_nobody_is_not_found(world: World) -> None:
    with pytest.raises(Refusal) as told:
        world.ask(TOKEN.replace("/web/", "/nobody/"))
    assert told.value.code == 404
    assert told.value.details == {"name": "nobody", "kind": "serviceaccounts"}
