# SPDX-License-Identifier: Apache-2.0
"""Times, clocks, the operator's list and borrowed names: a whole hub over a cluster."""

import asyncio
import gzip
import random

import pytest

from tests.rig import until
from tests.scenario.identities import RESOURCES, Cluster, Site
from toono.identity.rights import RightsSettings
from toono.runtime.clock import SystemClock
from toono.testing.apiserver.rbac import Rule
from toono.wire.messages import Request, Response
from toono.wire.streams import Incoming

SECRET = RESOURCES["secret of a pod here"]
SERVICE = RESOURCES["service"]
WEB = "system:serviceaccount:shop:web"
DAY = 86400.0


class Skewed(SystemClock):
    """A clock that stands somewhere else on the calendar."""

    def __init__(self) -> None:
        self.by = 0.0

    def wall(self) -> float:
        return super().wall() + self.by


class Scene:
    """A hub whose cluster goes away, and a clock that can be set."""

    def __init__(self, directory) -> None:
        self.cluster = Cluster(directory)
        self.site = Site(self.cluster, directory)
        self.clock = Skewed()

    async def code(self, target: str, token: str = "", **more) -> int:
        return (await self.site.ask(target, token=token, **more))[0]

    async def cut(self) -> None:
        await self.site.hub.ahead.idle()
        await self.cluster.server.aclose()
        await until(lambda: not self.site.hub.upstream.online)


def play(directory, scenario, **settings) -> None:
    async def run() -> None:
        scene = Scene(directory)
        await scene.cluster.start()
        async with scene.site.running(clock=scene.clock, **settings):
            await until(lambda: scene.site.hub.upstream.online)
            await scenario(scene)
        await scene.cluster.server.aclose()

    asyncio.run(run())


def test_a_pod_s_right_lapses_a_day_later_and_the_node_s_never(tmp_path) -> None:
    async def scenario(scene: Scene) -> None:
        token = scene.cluster.token("reader", seconds=10 * DAY)
        assert await scene.code(SECRET, token) == 200
        assert await scene.code(SECRET, agent="kubelet") == 200
        await scene.cut()
        for by, expected in ((DAY - 60, 200), (DAY + 60, 503), (0, 200)):
            scene.clock.by = by
            assert await scene.code(SECRET, token) == expected
            assert await scene.code(SECRET, agent="kubelet") == 200

    play(tmp_path, scenario)


def test_an_ended_token_is_taken_for_the_leeway_and_no_longer(tmp_path) -> None:
    async def scenario(scene: Scene) -> None:
        token = scene.cluster.token("reader", seconds=600)
        assert await scene.code(SECRET, token) == 200
        await scene.cut()
        for by, expected in ((655, 200), (665, 401)):
            scene.clock.by = by
            assert await scene.code(SECRET, token) == expected

    play(tmp_path, scenario, rights=RightsSettings(leeway=60.0))


def test_in_1970_no_token_is_served_and_the_node_is(tmp_path) -> None:
    async def scenario(scene: Scene) -> None:
        token = scene.cluster.token("reader")
        assert await scene.code(SECRET, token) == 200
        assert await scene.code(SECRET, agent="kubelet") == 200
        await scene.cut()
        scene.clock.by = -scene.clock.wall() + 60
        code, content = await scene.site.ask(SECRET, token=token)
        assert code == 503
        assert b"clock is before toono was made: set it" in content
        assert await scene.code(SECRET, agent="kubelet") == 200

    play(tmp_path, scenario)


def test_the_operator_s_list_lets_one_owner_read_one_resource(tmp_path) -> None:
    """DNS in a pod that was never online must come up after a cold boot."""

    async def scenario(scene: Scene) -> None:
        for target in (SERVICE, SECRET):
            reader = scene.cluster.token("reader")
            assert await scene.code(target, reader) == 200
        await scene.cut()
        web = scene.cluster.token("web")
        assert await scene.code(SERVICE, web) == 200
        assert await scene.code(SECRET, web) == 503
        other = scene.cluster.token("other")
        assert await scene.code(SERVICE, other) == 503
        now = scene.cluster.clock.wall()
        ended = scene.cluster.token("web", now=now - 9000)
        assert await scene.code(SERVICE, ended) == 401
        strange = scene.cluster.others.mint("shop", "web", now=now)
        assert await scene.code(SERVICE, strange) == 503

    allowed = frozenset({(WEB, "services")})
    play(tmp_path, scenario, rights=RightsSettings(allowed=allowed))


def test_no_name_of_a_front_proxy_reaches_the_api_server(tmp_path) -> None:
    names = ("X-Remote-User", "X_Remote_User", "X-REMOTE-GROUP", "x-remote-extra-a%2fb")

    async def scenario(scene: Scene) -> None:
        heard: list[bytes] = []

        async def listen(request: Request) -> None:
            heard.extend(name.lower() for name, _ in request.headers)

        scene.cluster.server.fault = listen
        lines = tuple(f"{name}: system:masters" for name in names)
        token = scene.cluster.token("web")
        node = scene.cluster.authority.node("edge-1")
        vault = RESOURCES["secret elsewhere"]
        assert await scene.code(vault, more=lines) == 403
        assert await scene.code(vault, token, more=lines) == 403
        assert await scene.code(vault, pair=node, more=lines) == 403
        assert b"user-agent" in heard
        assert not [one for one in heard if b"remote" in one.replace(b"_", b"-")]

    play(tmp_path, scenario)


def test_another_s_name_is_borrowed_with_one_s_own_token_alone(tmp_path) -> None:
    borrow = ("Impersonate-User: system:serviceaccount:shop:reader",)

    async def scenario(scene: Scene) -> None:
        web = scene.cluster.token("web")
        node = scene.cluster.authority.node("edge-1")
        assert await scene.code(SECRET, web, more=borrow) == 403
        rule = Rule(verbs=("impersonate",), resources=("users",))
        scene.cluster.access.rbac.grant(WEB, rule)
        scene.cluster.access.rbac.grant("system:nodes", rule)
        assert await scene.code(SECRET, web, more=borrow) == 200
        for nobody_s in ({}, {"pair": node}):
            assert await scene.code(SECRET, more=borrow, **nobody_s) == 400
        await scene.cut()
        code, content = await scene.site.ask(SECRET, token=web, more=borrow)
        assert code == 503
        assert b"only the API server can judge an impersonation" in content
        # What was told to a borrowed name was neither learned nor kept.
        assert await scene.code(SECRET, web) == 503
        reader = scene.cluster.token("reader")
        assert await scene.code(SECRET, reader) == 503

    play(tmp_path, scenario)


def test_the_node_s_certificate_is_the_node_over_tls_and_no_other_is(tmp_path) -> None:
    """A pod's own copy of the CA's other certificates opens nothing."""

    async def scenario(scene: Scene) -> None:
        authority = scene.cluster.authority
        own, other = authority.node("edge-1"), authority.node("edge-2")
        imposter = authority.user("system:node:edge-1", "not-a-node")
        masters = authority.user("admin", "system:masters")
        seen = scene.cluster.access.seen
        for pair, code, name in (
            (own, 200, "system:node:edge-1"),
            (other, 403, "system:anonymous"),
            (imposter, 403, "system:anonymous"),
            (masters, 403, "system:anonymous"),
        ):
            before = len(seen)
            assert await scene.code(SECRET, pair=pair, agent="kubelet") == code
            # The hub's own questions may come between.
            assert name in {user.name for user in seen[before:]}
        await scene.cut()
        for pair, code in ((own, 200), (other, 503), (imposter, 503), (masters, 503)):
            assert await scene.code(SECRET, pair=pair, agent="kubelet") == code

    play(tmp_path, scenario)


def test_what_the_node_may_is_asked_with_its_selector(tmp_path) -> None:
    """The Node authorizer looks at selectors (KEP-4601): its own pods, and not all."""
    pods = "/api/v1/pods"
    own = f"{pods}?fieldSelector=spec.nodeName%3Dedge-1"

    async def scenario(scene: Scene) -> None:
        reader = scene.cluster.token("reader")
        assert await scene.code(pods, reader, agent="tool") == 200
        assert await scene.code(own, agent="kubelet") == 200
        assert await scene.code(own, agent="tool") == 200
        assert await scene.code(pods, agent="tool") == 403
        await scene.cut()
        assert await scene.code(pods, reader, agent="tool") == 200
        # A tool's refusal of all is no refusal of the kubelet's own.
        assert await scene.code(own, agent="kubelet") == 200
        assert await scene.code(own, agent="tool") == 200
        # The kubelet's right to its own is no right to what another owner was told.
        assert await scene.code(pods, agent="tool") == 403
        # A right to all is one to any part, asked ahead with no selector.
        part = f"{pods}?labelSelector=app%3Dweb"
        assert await scene.code(part, reader, agent="tool") == 200

    play(tmp_path, scenario)


REFUSAL = b'{"kind":"Status","apiVersion":"v1","code":403,"message":"%b"}'
MANY = 300_000


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("size", [1, MANY])
def test_refusal_ends_a_right_however_it_comes(tmp_path, chunked, packed, size) -> None:
    # Random, so that it stays large when it is packed.
    message = random.Random(1).randbytes(size).hex().encode()
    content = REFUSAL % message
    headers = [(b"Content-Type", b"application/json")]
    if packed:
        content = gzip.compress(content)
        headers.append((b"Content-Encoding", b"gzip"))

    async def refuse(request: Request) -> Response | None:
        if request.target.decode() != SECRET:
            return None
        if not chunked:
            return Response(status=403, headers=headers, content=content)
        body = Incoming(None, pause=lambda _: None)
        for at in range(0, len(content), 30_000):
            body.feed(content[at : at + 30_000])
        body.finish()
        return Response(status=403, headers=headers, body=body)

    async def scenario(scene: Scene) -> None:
        token = scene.cluster.token("reader")
        assert await scene.code(SECRET, token) == 200
        scene.cluster.server.fault = refuse
        assert await scene.code(SECRET, token) == 403
        await scene.cut()
        assert await scene.code(SECRET, token) == 403

    play(tmp_path, scenario)
