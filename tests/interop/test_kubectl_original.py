# SPDX-License-Identifier: Apache-2.0
"""What kubectl shows of a real kube-apiserver, it shows of a hub that is cut off.

Runs where KUBEBUILDER_ASSETS names its programs; what it skips it says loudly.
"""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.interop.test_clients import needs_kubectl
from tests.interop.test_kubectl_offline import said
from tests.rig import hub_over, until
from toono.testing.real import RealServer, assets
from toono.upstream.health import HealthSettings
from toono.wire.tls import ClientFiles

CALM = HealthSettings(interval=600.0, down_interval=600.0, up_after=1)
ALIKE = [
    ("get", "flowschemas"),
    ("get", "flowschemas", "--chunk-size=3"),
    ("get", "prioritylevelconfigurations"),
    ("get", "namespaces", "--sort-by=.metadata.uid"),
    ("get", "clusterroles", "--sort-by=.metadata.resourceVersion"),
    ("get", "secrets", "-A", "--sort-by=.metadata.name"),
]
STATUSES = ("get", "componentstatuses")


async def kubectl(hub, home: Path, *arguments: str) -> tuple[int, str, str]:
    host, port = hub.addresses[0]
    done = await asyncio.to_thread(
        subprocess.run,
        [
            *("kubectl", f"--server=http://{host}:{port}", "--kubeconfig=/dev/null"),
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        check=False,
    )
    return said(done)


@pytest.mark.timeout(240)
def test_a_cut_off_hub_shows_what_the_api_server_showed(tmp_path) -> None:
    needs_kubectl()
    found = assets()
    if isinstance(found, str):
        pytest.skip(f"LOUD: {found}")

    async def scenario() -> None:
        settings = {"node_uids": frozenset({os.getuid()}), "agents": ("*",)}
        settings["health"] = CALM
        async with RealServer(found, tmp_path / "real") as server:
            settings["tls"] = ClientFiles(
                ca=server.authority.file,
                certificate=server.admin.certificate,
                key=server.admin.key,
            )
            async with hub_over([server.address], tmp_path / "hub", **settings) as hub:
                await until(lambda: hub.upstream.online)
                online = {one: await kubectl(hub, tmp_path, *one) for one in ALIKE}
                assert (await kubectl(hub, tmp_path, *STATUSES))[0] == 0
        nowhere = hub_over([("127.0.0.1", 1)], tmp_path / "hub", **settings)
        async with nowhere as hub:
            offline = {one: await kubectl(hub, tmp_path, *one) for one in ALIKE}
            statuses = await kubectl(hub, tmp_path, *STATUSES)
        assert [code for code, _, _ in online.values()] == [0] * len(ALIKE)
        assert offline == online
        assert "answers of this kind tell of a moment" in statuses[2]

    asyncio.run(scenario())
