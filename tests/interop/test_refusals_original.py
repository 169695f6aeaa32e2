# SPDX-License-Identifier: Apache-2.0
"""What a real kube-apiserver refuses, a hub that is cut off refuses in the same words.

Runs where KUBEBUILDER_ASSETS names its programs; what it skips it says loudly.
"""

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.rig import ask, body, get, hub_over, status_of, until
from toono.testing.real import RealServer, assets
from toono.upstream.health import HealthSettings
from toono.wire.tls import ClientFiles

ALL = "/api/v1/namespaces"
ONE = f"{ALL}/default"
JSON = "application/json"
TABLE = f"{JSON};as=Table;g=meta.k8s.io;v=v1"
MINE = frozenset({os.getuid()})
CALM = HealthSettings(interval=600.0, down_interval=600.0, up_after=1)
PLAIN = [(target, JSON) for target in (
    f"{ALL}?labelSelector=a%20in",
    f"{ALL}?labelSelector=a%3D%3D%3Db",
    f"{ALL}?labelSelector=a,,b",
    f"{ALL}?labelSelector=%2C",
    f"{ALL}?fieldSelector=metadata.name",
    f"{ALL}?limit=abc",
    f"{ALL}?timeoutSeconds=abc",
    f"{ALL}?resourceVersion=abc",
    f"{ALL}?resourceVersionMatch=Exact&resourceVersion=0",
    f"{ALL}?resourceVersionMatch=Bogus&resourceVersion=1",
    f"{ALL}?resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=abc",
    f"{ALL}?sendInitialEvents=true",
    f"{ALL}?continue=abc",
    f"{ALL}?watch=true&continue=abc&resourceVersion=0",
    f"{ALL}?watch=true&resourceVersion=abc",
    f"{ALL}?watch=true&sendInitialEvents=true&resourceVersionMatch=Exact",
    f"{ONE}?resourceVersion=abc",
    f"{ALL}/nope",
    "/api/v1/namespaces/default/pods/nope",
)]  # fmt: skip
ROUTED = (ALL, ONE, f"{ALL}?watch=true", "/api", "/api/v1", "/apis/apps/v1", "/version")
SAME_CODE = [
    *((ALL, accept) for accept in (";;;,,", "json", "text/*", "application/xml")),
    *((target, accept) for target in ROUTED for accept in ("application/*", "*")),
    (ALL, f"{JSON};as=Table"),
    (ALL, f"{JSON};as=Unknown;g=x;v=v1"),
    (ALL, f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
    (ONE, f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v2"),
    (f"{ALL}?includeObject=Bogus", TABLE),
    (f"{ONE}?resourceVersion=99999999", JSON),
]
"""Told with a list of what is on offer, or with a version: each server has its own."""
HANDLED = ("/apis", "/apis/apps", "/openapi/v2")
ANSWERED = [
    (ALL, f"{JSON};q=two"),
    (ALL, f"{JSON};as=Unknown;g=x;v=v1,{JSON}"),
    (ALL, f"{JSON};q=0"),
    (ALL, "*/*"),
    (ALL, "application/*, */*"),
    *((target, "application/*") for target in HANDLED),
    (f"{ALL}?fieldSelector=metadata.name%3Ddefault,metadata.name%3Dx", JSON),
    (f"{ALL}?limit=-1", JSON),
    (f"{ALL}/?pretty", JSON),
]
UNKNOWN = [
    "/apis/nope.example.com/v1/things",
    "/api/v2/pods",
    "/api/v1/widgets",
    f"{ALL}?fieldSelector=spec.color%3Dred",
    "/api/v1/namespaces/default/nodes",
]
"""Refused online, but nobody knows what the API server serves when it is back: 503."""
QUESTIONS = [*PLAIN, *SAME_CODE, *ANSWERED, *((target, JSON) for target in UNKNOWN)]


async def told(server: RealServer, target: str, accept: str) -> bytes:
    reader, writer = await server.connect(server.admin)
    writer.write(get(target, accept=accept))
    try:
        return await reader.read()
    finally:
        writer.close()


async def answers(directory: Path, found: Path) -> tuple[list[bytes], list[bytes]]:
    """Ask all of the API server, and of a hub that has seen little and is cut off."""
    async with RealServer(found, directory / "real") as server:
        files = ClientFiles(
            ca=server.authority.file,
            certificate=server.admin.certificate,
            key=server.admin.key,
        )
        settings = {"tls": files, "node_uids": MINE, "health": CALM, "agents": ("*",)}
        async with hub_over([server.address], directory / "hub", **settings) as hub:
            await until(lambda: hub.upstream.online, 30.0)
            seen = (ALL, "/api/v1/pods", "/api/v1/nodes", *ROUTED[3:], *HANDLED)
            for target in seen:
                assert status_of(await ask(hub, get(target), 30.0)) == 200
            online = [await told(server, *one) for one in QUESTIONS]
    nowhere = hub_over([("127.0.0.1", 1)], directory / "hub", **settings)
    async with nowhere as hub:
        offline = [await ask(hub, get(t, accept=a), 30.0) for t, a in QUESTIONS]
    return online, offline


@pytest.mark.timeout(240)
def test_it_is_refused_as_by_the_api_server(tmp_path) -> None:
    found = assets()
    if isinstance(found, str):
        pytest.skip(f"LOUD: {found}")
    online, offline = asyncio.run(answers(tmp_path, found))
    different = []
    for question, real, ours in zip(QUESTIONS, online, offline, strict=True):
        if question[0] in UNKNOWN:
            assert status_of(real) >= 400, question
            assert status_of(ours) == 503, question
            assert json.loads(body(ours))["message"].startswith("cut off: "), question
            continue
        same = status_of(real) == status_of(ours)
        if question in PLAIN:
            same = same and body(real) == body(ours)
        if not same:
            different.append((question, real[-300:], ours[-300:]))
    assert different == []
