# SPDX-License-Identifier: Apache-2.0
"""The embedded server's door, asked over its real handler."""

import asyncio
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from toono.testing import APIServer
from toono.testing.apiserver.access import Access
from toono.testing.apiserver.rbac import Rule
from toono.testing.apiserver.tokens import Bound, TokenKeys
from toono.testing.certificates import Authority
from toono.testing.clock import VirtualClock
from toono.wire.messages import BytesBody, Peer, Request

WEB = "system:serviceaccount:shop:web"
SSAR = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SAR = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
GET_PODS = Rule(verbs=("get", "list", "watch"), resources=("pods",))


class World:
    def __init__(self, **settings) -> None:
        self.clock = VirtualClock()
        self.server = APIServer(clock=self.clock)
        self.keys = TokenKeys(algorithm="ES256")
        self.access = Access(
            self.server.storage, self.keys, clock=self.clock, **settings
        )
        self.server.authorizer = self.access
        account = {"metadata": {"name": "web"}}
        self.account = self.server.create("serviceaccounts", account, namespace="shop")

    def ask(self, target, *, method="GET", body=None, certificate=None, **fields):
        content = b"" if body is None else json.dumps(body).encode()
        named = {k.replace("_", "-").encode(): v.encode() for k, v in fields.items()}
        peer = Peer(connection=1, local=("", 0), remote=("", 0))
        peer.certificate = certificate
        request = Request(
            method=method,
            target=target.encode(),
            headers=[],
            fields=named,
            body=BytesBody(content),
            peer=peer,
        )
        response = asyncio.run(self.server.handle(request))
        return response.status, response.content

    def web(self, **claims) -> str:
        now = self.clock.wall()
        return "Bearer " + self.keys.mint("shop", "web", now=now, **claims)


@pytest.fixture
def world() -> World:
    return World()


def test_nobody_gets_health_and_no_more(world: World) -> None:
    assert world.ask("/readyz")[0] == 200
    code, content = world.ask("/api/v1/namespaces/shop/pods/a")
    assert code == 403
    assert json.loads(content)["message"] == (
        'pods "a" is forbidden: User "system:anonymous" cannot get resource "pods" in '
        'API group "" in the namespace "shop"'
    )
    code, content = world.ask("/apis")
    assert json.loads(content)["message"] == (
        'forbidden: User "system:anonymous" cannot get path "/apis"'
    )
    assert World(anonymous=False).ask("/readyz")[0] == 401


def test_a_token_brings_its_owner_s_rights_and_a_bad_one_401(world: World) -> None:
    assert world.ask("/api/v1/pods", authorization=world.web())[0] == 403
    world.access.rbac.grant(WEB, GET_PODS)
    assert world.ask("/api/v1/pods", authorization=world.web())[0] == 200
    assert world.ask("/readyz", authorization="Bearer x.y.z")[0] == 401
    assert [user.name for user in world.access.seen] == [WEB, WEB]


def test_a_token_dies_with_its_pod(world: World) -> None:
    pod = {"metadata": {"name": "web-0"}, "spec": {"containers": []}}
    made = world.server.create("pods", pod, namespace="shop")
    bound = Bound(kind="Pod", name="web-0", uid=made["metadata"]["uid"])
    token = world.web(bound=bound)
    assert world.ask("/apis", authorization=token)[0] == 200
    world.server.delete("pods", "web-0", namespace="shop")
    assert world.ask("/apis", authorization=token)[0] == 401


def test_a_certificate_says_name_and_groups(world: World, tmp_path) -> None:
    pair = Authority(tmp_path).node("edge-1")
    found = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    der = found.public_bytes(Encoding.DER)
    assert world.ask("/api/v1/services", certificate=der)[0] == 200
    assert world.ask("/api/v1/secrets", certificate=der)[0] == 403


def test_a_token_request_is_answered_with_a_real_token(world: World) -> None:
    world.access.rbac.grant(
        WEB, Rule(verbs=("create",), resources=("serviceaccounts/token",))
    )
    path = "/api/v1/namespaces/shop/serviceaccounts/{}/token"
    spec = {"audiences": ["https://a"], "expirationSeconds": 700}
    spec["boundObjectRef"] = {"kind": "Pod", "name": "web-0", "uid": "u"}
    body = {"kind": "TokenRequest", "spec": spec}
    token = world.web()
    code, content = world.ask(
        path.format("web"), method="POST", body=body, authorization=token
    )
    assert code == 201
    status = json.loads(content)["status"]
    assert status["expirationTimestamp"].endswith("Z")
    claims = world.keys.claims_of(status["token"], now=world.clock.wall())
    assert claims is None  # it is for another audience
    world.keys.audiences = ("https://a",)
    claims = world.keys.claims_of(status["token"], now=world.clock.wall() + 699)
    assert (
        claims["kubernetes.io"]["serviceaccount"]["uid"]
        == (world.account["metadata"]["uid"])
    )
    assert claims["kubernetes.io"]["pod"] == {"name": "web-0", "uid": "u"}
    world.keys.audiences = (world.keys.issuer,)
    code, _ = world.ask(
        path.format("nobody"), method="POST", body=body, authorization=token
    )
    assert code == 404


def test_reviews_tell_what_the_server_would_do(world: World) -> None:
    world.access.rbac.grant(WEB, GET_PODS, namespace="shop")

    def review(target: str, authorization: str, **spec) -> dict:
        code, content = world.ask(
            target, method="POST", body={"spec": spec}, authorization=authorization
        )
        assert code == 201
        return json.loads(content)["status"]

    shop = {"verb": "list", "resource": "pods", "namespace": "shop"}
    bank = {"verb": "list", "resource": "pods", "namespace": "bank"}
    assert review(SSAR, world.web(), resourceAttributes=shop)["allowed"]
    assert not review(SSAR, world.web(), resourceAttributes=bank)["allowed"]
    path = {"verb": "get", "path": "/apis"}
    assert review(SSAR, world.web(), nonResourceAttributes=path)["allowed"]
    assert world.ask(SAR, method="POST", authorization=world.web())[0] == 403


def test_a_node_may_have_tokens_reviewed(world: World, tmp_path) -> None:
    pair = Authority(tmp_path).node("edge-1")
    found = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    der = found.public_bytes(Encoding.DER)
    target = "/apis/authentication.k8s.io/v1/tokenreviews"

    def review(token: str) -> dict:
        body = {"spec": {"token": token}}
        code, content = world.ask(target, method="POST", body=body, certificate=der)
        assert code == 201
        return json.loads(content)["status"]

    told = review(world.web().split()[1])
    assert told["user"]["username"] == WEB
    assert "error" in review("a.b.c")
    spec = {"user": WEB, "groups": [], "resourceAttributes": {"verb": "get"}}
    _, content = world.ask(SAR, method="POST", body={"spec": spec}, certificate=der)
    assert json.loads(content)["status"]["allowed"] is False


def test_the_key_set_is_for_service_accounts(world: World) -> None:
    assert world.ask("/openid/v1/jwks")[0] == 403
    code, content = world.ask("/openid/v1/jwks", authorization=world.web())
    assert (code, content) == (200, world.keys.jwks())
    path = "/.well-known/openid-configuration"
    code, content = world.ask(path, authorization=world.web())
    assert json.loads(content)["issuer"] == world.keys.issuer


def test_impersonation_needs_the_right_to_it(world: World) -> None:
    token = world.web()
    fields = {"impersonate_user": "jane", "impersonate_group": "devs"}
    assert world.ask("/apis", authorization=token, **fields)[0] == 403
    world.access.rbac.grant(WEB, Rule(verbs=("impersonate",), resources=("users",)))
    world.access.rbac.grant("devs", GET_PODS)
    assert world.ask("/api/v1/pods", authorization=token, **fields)[0] == 200


def test_static_tokens_are_opaque(world: World) -> None:
    from toono.testing.apiserver.rbac import User

    world.access.static_tokens["opaque"] = User("jane")
    world.access.rbac.grant("jane", GET_PODS)
    assert world.ask("/api/v1/pods/", authorization="Bearer opaque")[0] == 200
    asked = "/api/v1/pods?fieldSelector=metadata.name%3Dx"
    assert world.ask(asked, authorization="Bearer opaque")[0] == 200
    assert (
        world.ask("/api/v1/pods", method="DELETE", authorization="Bearer opaque")[0]
        == 403
    )
