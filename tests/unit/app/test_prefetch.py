# SPDX-License-Identifier: Apache-2.0
"""What a hub asks by itself; the whole story is in tests/scenario/test_full_node."""

import asyncio
import json

from tests.rig import ask, get, hub_over, status_of, until
from tests.unit.wire.kit import play
from toono.app import prefetch as module
from toono.app.prefetch import _pod, asking
from toono.autonomy import prefetch
from toono.autonomy.needs import Need, of_node
from toono.identity.rights import Verdict
from toono.testing import APIServer

MERGE = "application/strategic-merge-patch+json"


def test_a_hub_asks_ahead_once_the_kubelet_has_written_its_node(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(prefetch, "FIRST_SECONDS", 0.0)

    async def scenario() -> None:
        server = APIServer()
        await server.start()
        server.create("nodes", {"metadata": {"name": "edge-1"}})
        server.create("csinodes", {"metadata": {"name": "edge-1"}})
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            content = json.dumps({"status": {}}).encode()
            head = (
                "PATCH /api/v1/nodes/edge-1/status HTTP/1.1\r\nHost: a\r\n"
                f"User-Agent: kubelet/v1\r\nContent-Type: {MERGE}\r\n"
                f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
            )
            assert status_of(await ask(hub, head.encode() + content)) == 200
            csinode = "/apis/storage.k8s.io/v1/csinodes/edge-1"
            await until(lambda: ("GET", csinode) in server.requests)
        await server.aclose()

    play(scenario)


def test_what_only_another_was_told_is_asked_with_the_node_s_right(
    tmp_path, monkeypatch
) -> None:
    """It would be kept, and the node could not have it: nobody told it so."""
    monkeypatch.setattr(prefetch, "FIRST_SECONDS", 0.0)

    async def scenario() -> None:
        server = APIServer()
        await server.start()
        server.create("nodes", {"metadata": {"name": "edge-1"}})
        (need,) = (one for one in of_node("edge-1") if "services" in one.target)
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            pod = get("/api/v1/services", agent="coredns/1")[:-2]
            await ask(hub, pod + b"Authorization: Bearer abc\r\n\r\n")
            call, _ = asking(need, "kubelet/v1")
            assert hub.rights.judge_node(call).verdict is Verdict.UNKNOWN
            duty = dict(hub.board.duties)["prefetch"].__self__
            duty._agent = "kubelet/v1"
            await duty.once()
            assert hub.rights.judge_node(call).verdict is Verdict.ALLOWED
        await server.aclose()

    play(scenario)


def test_a_question_is_the_kubelets_own() -> None:
    call, request = asking(Need("/api/v1/pods?limit=500"), "kubelet/v1.34 (linux)")
    assert (call.verb, call.component, request.method) == ("list", "kubelet", "GET")
    token = "/api/v1/namespaces/a/serviceaccounts/b/token"
    call, request = asking(Need(token, b"{}"), "kubelet/v1.34")
    assert (call.verb, call.content_type) == ("create", "application/json")
    assert asyncio.run(request.body.read()) == b"{}"


def test_a_pod_that_cannot_be_read_needs_nothing() -> None:
    assert _pod(b"\xff", packed=False) == {}
    assert _pod(b"\xff", packed=True) == {}
    assert _pod(b'{"spec":{}}', packed=False) == {"spec": {}}
    assert module.ASK_SECONDS > 1
