# SPDX-License-Identifier: Apache-2.0
"""A real YurtHub and toono, each cut off, over a cache that the other has written.

Runs where TOONO_YURTHUB names the program; what it skips it says loudly.
"""

import asyncio
import contextlib
import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from bench.peers import YurtHub, start_yurthub, yurthub_program

from tests.rig import ask, body, get, hub_over, status_of, until
from toono.testing import APIServer
from toono.testing.certificates import Authority
from toono.wire.tls import ServerFiles, make_context

KUBELET = "kubelet/v1.28.9"
PROTOBUF = "application/vnd.kubernetes.protobuf"
START_SECONDS = 60.0
CRD = {
    "metadata": {"name": "crontabs.x.example.com"},
    "spec": {
        "group": "x.example.com",
        "scope": "Namespaced",
        "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}
LISTS = (
    ("/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1", PROTOBUF),
    ("/api/v1/nodes?fieldSelector=metadata.name%3Dedge-1", PROTOBUF),
    ("/api/v1/services", PROTOBUF),
    ("/api/v1/namespaces", "application/json"),
    ("/apis/x.example.com/v1/crontabs", "application/json"),
)
# The node is read by its list: YurtHub 1.5.1 panics at a GET of it while cut off.
GETS = (
    ("/apis/x.example.com/v1/namespaces/shop/crontabs/weekly", "application/json"),
    ("/api/v1/namespaces/default/configmaps/settings", PROTOBUF),
    ("/api/v1/namespaces/default/secrets/key", "application/json"),
    ("/api/v1/namespaces/default/pods/web-1", PROTOBUF),
)


def pod(name: str, node: str) -> dict:
    container = {"name": "c", "image": "web:1", "resources": {"limits": {"cpu": "1"}}}
    return {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [container]},
        "status": {"phase": "Running"},
    }


def fill(server: APIServer) -> None:
    """Build a small world, as a kubelet of edge-1 sees it."""
    for name in ("edge-1", "edge-2"):
        server.create("nodes", {"metadata": {"name": name}})
    for name in ("default", "shop"):
        with contextlib.suppress(Exception):
            server.create("namespaces", {"metadata": {"name": name}})
    for number, node in enumerate(("edge-2", "edge-1", "edge-1")):
        server.create("pods", pod(f"web-{number}", node), namespace="default")
    service = {
        "metadata": {"name": "web"},
        "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80, "targetPort": 8080}]},
    }
    server.create("services", service, namespace="default")
    settings = {"metadata": {"name": "settings"}, "data": {"a": "1", "b": "ü"}}
    server.create("configmaps", settings, namespace="default")
    key = {"metadata": {"name": "key"}, "data": {"k": "c2VjcmV0"}, "type": "Opaque"}
    server.create("secrets", key, namespace="default")
    server.create("customresourcedefinitions.apiextensions.k8s.io", CRD)


def bare(item: dict) -> dict:
    """Return an object without what a list's items may or may not carry."""
    return {key: item[key] for key in item if key not in ("kind", "apiVersion")}


def items_of(content: bytes) -> dict[tuple[str, str], dict]:
    found = json.loads(content)
    return {
        (item["metadata"].get("namespace", ""), item["metadata"]["name"]): bare(item)
        for item in found["items"] or ()
    }


def program() -> Path:
    found = yurthub_program()
    if isinstance(found, str):
        pytest.skip(f"LOUD: {found}")
    return found


def fetch(hub: YurtHub, target: str, accept: str = "application/json") -> bytes:
    """Ask YurtHub as a kubelet; the body of a 200, else an AssertionError."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{hub.port}{target}",
        headers={"User-Agent": KUBELET, "Accept": accept},
    )
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.read()
    except urllib.error.HTTPError as exc:
        raise AssertionError(f"{target}: {exc.code} {exc.read()!r}") from exc


async def becomes(fact, hub: YurtHub) -> None:
    """Wait until a fact that only another process can tell is one."""
    async with asyncio.timeout(START_SECONDS):
        while not await asyncio.to_thread(fact, hub):
            await asyncio.sleep(0.2)


def is_serving(hub: YurtHub) -> bool:
    assert hub.process.poll() is None, hub.log.read_text()[-3000:]
    try:
        url = f"http://127.0.0.1:{hub.status_port}/v1/healthz"
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def is_online(hub: YurtHub) -> bool:
    """Say whether YurtHub asks the server: it is slow to find that it is there."""
    try:
        return bool(items_of(fetch(hub, "/api/v1/nodes")))
    except AssertionError:
        return False


def is_quiet(cache: Path) -> bool:
    """Say whether YurtHub, which writes behind its answers, has written all."""
    states = []
    for seconds in (0.0, 0.5):
        time.sleep(seconds)
        try:
            found = [(one, one.lstat()) for one in cache.rglob("*")]
        except FileNotFoundError:  # it is moving files just now
            return False
        states.append(
            {
                (one, at.st_ino, at.st_mtime_ns)
                for one, at in found
                if "lease" not in str(one)  # the heartbeat, each second
            }
        )
    return states[0] == states[1] and len(states[0]) > len(LISTS + GETS)


@contextlib.asynccontextmanager
async def yurthub(directory: Path, server: tuple[str, int], authority: Authority):
    """Run YurtHub over the cache in `directory` until the block ends."""
    hub = start_yurthub(
        program(),
        directory,
        authority=authority,
        server=server,
        cache=directory / "cache",
        more=("--enable-resource-filter=false", "--heartbeat-interval-seconds=1"),
    )
    try:
        await becomes(is_serving, hub)
        yield hub
    finally:
        await asyncio.to_thread(hub.stop)


@contextlib.asynccontextmanager
async def serving(*, tls: Authority | None = None):
    """Run a filled API server until the block ends."""
    server = APIServer()
    context = None
    if tls is not None:
        pair = tls.server("127.0.0.1")
        files = ServerFiles(certificate=pair.certificate, key=pair.key)
        context = make_context(files)
    await server.start(tls=context)
    fill(server)
    await until(lambda: any(one[2] == "crontabs" for one in server.resources))
    for name in ("nightly", "weekly"):
        server.create(
            "crontabs",
            {"metadata": {"name": name}, "spec": {"cronSpec": "* * 1"}},
            namespace="shop",
        )
    try:
        yield server
    finally:
        await server.aclose()


async def told_by_toono(hub, targets) -> dict[str, bytes]:
    """Ask toono each question as a kubelet; bodies of answers in JSON."""
    found = {}
    for target, accept in targets:
        answer = await ask(hub, get(target, agent=KUBELET, accept=accept))
        assert status_of(answer) == 200, answer[:300]
        found[target] = body(await ask(hub, get(target, agent=KUBELET)))
    return found


@pytest.mark.timeout(180)
def test_a_real_yurthub_starts_from_a_tree_of_toono(tmp_path: Path) -> None:
    program()

    async def scenario() -> None:
        cache = tmp_path / "cache"
        uids = frozenset({os.getuid()})
        async with serving() as server:
            settings = {"agents": ("*",), "node_uids": uids}
            async with hub_over([server.address], cache, **settings) as hub:
                await until(lambda: hub.upstream.online)
                told = await told_by_toono(hub, LISTS + GETS)
        authority = Authority(tmp_path / "pki")
        async with yurthub(tmp_path, ("127.0.0.1", 1), authority) as peer:
            for target, accept in LISTS:
                content = await asyncio.to_thread(fetch, peer, target)
                assert items_of(content) == items_of(told[target]), target
                assert items_of(content), target
                await asyncio.to_thread(fetch, peer, target, accept)
            for target, accept in GETS:
                content = await asyncio.to_thread(fetch, peer, target)
                assert json.loads(content) == json.loads(told[target]), target
                await asyncio.to_thread(fetch, peer, target, accept)

    asyncio.run(scenario())


@pytest.mark.timeout(180)
def test_toono_starts_from_a_tree_of_a_real_yurthub(tmp_path: Path) -> None:
    program()

    async def scenario() -> None:
        authority = Authority(tmp_path / "pki")
        async with (
            serving(tls=authority) as server,
            yurthub(tmp_path, server.address, authority) as peer,
        ):
            await becomes(is_online, peer)
            for target, accept in LISTS + GETS:
                await asyncio.to_thread(fetch, peer, target, accept)
            await becomes(lambda _: is_quiet(tmp_path / "cache"), peer)
        told: dict[str, bytes] = {}
        async with yurthub(tmp_path, ("127.0.0.1", 1), authority) as peer:
            for target, _ in LISTS + GETS:
                told[target] = await asyncio.to_thread(fetch, peer, target)
        settings = {"agents": ("*",), "node_uids": frozenset({os.getuid()})}
        async with hub_over([("127.0.0.1", 1)], tmp_path / "cache", **settings) as hub:
            for target, _ in LISTS:
                answer = await ask(hub, get(target, agent=KUBELET))
                assert status_of(answer) == 200, answer[:400]
                assert items_of(body(answer)) == items_of(told[target]), target
            for target, _ in GETS:
                answer = await ask(hub, get(target, agent=KUBELET))
                assert status_of(answer) == 200, answer[:400]
                assert json.loads(body(answer)) == json.loads(told[target]), target

    asyncio.run(scenario())
