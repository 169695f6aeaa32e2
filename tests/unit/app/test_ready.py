# SPDX-License-Identifier: Apache-2.0
"""What a hub looks up of itself; with workloads: tests/scenario/test_ready."""

import asyncio
import json
import time
from dataclasses import replace

from tests.rig import ask, body, get, hub_over, status_of
from tests.scenario.test_ready import page
from tests.unit.app.kit import hubs
from tests.unit.wire.kit import play, until
from toono.app import ready as ready_module
from toono.app.certificates import CLIENT, SERVING
from toono.app.ready import (
    EVERY_SECONDS,
    FIRST_SECONDS,
    PAGE,
    PREFETCH,
    Ready,
    certificates_of,
)
from toono.app.settings import HubSettings
from toono.certs.files import Root
from toono.config.certificates import CertificateSettings
from toono.testing.certificates import Authority
from toono.testing.clock import VirtualClock
from toono.wire.tls import ClientFiles, ServerFiles

SOON = time.time() + 86400.0
STATUS = {"status_listen": ("127.0.0.1", 0)}


async def found(hub) -> list:
    answer = await page(hub, PAGE, method="POST")
    return json.loads(body(answer))["findings"]


def test_a_hub_looks_soon_after_its_start_without_being_asked(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(ready_module, "FIRST_SECONDS", 0.05)

    async def scenario() -> None:
        async with hub_over([], tmp_path, **STATUS) as hub:
            task = "toono_not_ready_for_cut"
            assert task in body(await page(hub, "/metrics")).decode()
            ready = hub.board.pages[PAGE]
            await until(lambda: ready()["lookedAt"] > 0)
            assert ready()["ready"] is True

    play(scenario)


def test_a_hub_that_keeps_nothing_never_says_that_it_is_ready(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, **STATUS, keeps=False) as (_, hub):
            assert status_of(await ask(hub, get("/api/v1/pods"))) == 200
            (finding,) = await found(hub)
            assert finding["level"] == "lost"
            assert "--working-mode=cloud" in finding["what"]

    play(scenario)


def test_who_is_not_the_node_is_told_nothing_new(tmp_path) -> None:
    async def scenario() -> None:
        stranger = {"node_uids": frozenset({12345})}
        async with hub_over([], tmp_path, **STATUS, **stranger) as hub:
            for path in (PAGE, PREFETCH):
                assert status_of(await page(hub, path, method="POST")) == 403

    play(scenario)


def test_a_kubelet_whose_pods_are_known_lacks_what_else_it_asks(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, **STATUS) as (_, hub):
            target = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
            await ask(hub, get(target + "&limit=500&resourceVersion=0"))
            lacks = {
                one["what"] for one in await found(hub) if one["workload"] == "kubelet"
            }
            assert "csinodes edge-1: never seen" in lacks
            assert "services: never seen" in lacks
            assert not [one for one in lacks if one.startswith("pods")]

    play(scenario)


def test_what_the_cloud_refuses_is_a_missing_right(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, **STATUS) as (_, hub):
            target = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
            await ask(hub, get(target + "&limit=500&resourceVersion=0"))
            csinode = "/apis/storage.k8s.io/v1/csinodes/edge-1"
            refuse(hub, csinode)
            named = [one for one in await found(hub) if "csinodes" in one["what"]]
            assert [one["reason"] for one in named] == ["forbidden"]

    play(scenario)


def refuse(hub, target: str) -> None:
    """Have the hub heard that the node may not read this."""
    from toono.app.prefetch import HUB, asking
    from toono.autonomy.needs import Need

    call, _ = asking(Need(target), "kubelet")
    hub.rights.learn(HUB, call, 403, node=True)


def test_certificates_that_end_within_a_day_are_named(tmp_path) -> None:
    async def scenario() -> None:
        authority = Authority(tmp_path)
        node, server = authority.node("edge-1", days=0), authority.server("a", days=0)
        settings = {
            "tls": ClientFiles(
                ca=authority.file, certificate=node.certificate, key=node.key
            ),
            "serving": ServerFiles(certificate=server.certificate, key=server.key),
        }
        async with hub_over([], tmp_path / "cache", **STATUS, **settings) as hub:
            named = [one for one in await found(hub) if one["reason"] == "certificate"]
            assert {one["what"].partition(":")[0] for one in named} == {
                "the node's client certificate",
                "the certificate shown to pods",
            }

    play(scenario)


def test_those_of_the_kubelet_and_those_the_hub_keeps_are_named_once(tmp_path) -> None:
    authority = Authority(tmp_path)
    node, server = authority.node("edge-1", days=0), authority.server("a", days=0)
    pki, root = tmp_path / "kubelet", Root(tmp_path / "hub")
    pki.mkdir()
    root.pki.mkdir(parents=True)
    (pki / "kubelet-client-current.pem").symlink_to(node.certificate)
    (pki / "kubelet-server-current.pem").symlink_to(server.certificate)
    kept = CertificateSettings(root=root, client=True, serving=True)
    settings = HubSettings(
        servers=(),
        tls=ClientFiles(ca=authority.file, certificate=node.certificate, key=node.key),
        node_name="edge-1",
        cache_path=tmp_path,
        certificates=kept,
        kubelet_pki=pki,
    )
    assert names(settings) == {
        "the node's client certificate",  # the kubelet's: the hub calls by it
        "the kubelet's server certificate",
    }
    late = authority.server("b", days=0)
    root.current(CLIENT).write_bytes(late.certificate.read_bytes())
    root.current(SERVING).write_bytes(late.certificate.read_bytes())
    assert names(replace(settings, tls=None)) == {
        "the hub's own client certificate",
        "the certificate kept for pods",
        "the kubelet's client certificate",
        "the kubelet's server certificate",
    }
    assert names(replace(settings, tls=None, certificates=None)) == {
        "the kubelet's client certificate",
        "the kubelet's server certificate",
    }


def names(settings: HubSettings) -> set[str]:
    """Return what of a hub's certificates ends within a day."""
    return {what for what, ends in certificates_of(settings).items() if ends < SOON}


def test_the_hubs_own_troubles_are_among_them(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([], tmp_path, **STATUS) as hub:
            hub.board.notes["cache-agents"] = lambda: "may not read the ConfigMap"
            whats = [one["what"] for one in await found(hub)]
            assert "cache-agents: may not read the ConfigMap" in whats

    play(scenario)


def test_a_hub_that_starts_answers_first_and_looks_at_itself_later() -> None:
    async def scenario() -> None:
        clock, looks = VirtualClock(), []
        ready = Ready(None, None, None, None, None, clock=clock)
        assert [one["reason"] for one in ready.page()["findings"]] == ["unjudged"]

        async def look() -> None:
            looks.append(clock.monotonic())

        ready.look = look
        task = asyncio.create_task(ready.run())
        await clock.advance(FIRST_SECONDS - 0.1)
        assert looks == []
        await clock.advance(EVERY_SECONDS + 0.1)
        assert looks == [FIRST_SECONDS, FIRST_SECONDS + EVERY_SECONDS]
        task.cancel()

    play(scenario)
