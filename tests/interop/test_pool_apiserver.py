# SPDX-License-Identifier: Apache-2.0
"""A real kube-apiserver over the pool's etcd: kubectl reads there what hubs wrote.

The cloud is a real one, too, so that every value is what an API server serves. Runs
where KUBEBUILDER_ASSETS names a directory with etcd and kube-apiserver; without it the
keys and values are compared with recorded ones (tests/contract/test_etcd_recordings).
"""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.etcd import RAISED, running_etcd
from tests.pool import KUBELET
from tests.rig import ask, get, hub_over, status_of, until
from toono.config.pool import DEFAULT_RESOURCES, PoolSettings
from toono.testing.real import RealServer, assets
from toono.wire.tls import ClientFiles

PROGRAMS = assets()
KUBECTL = shutil.which("kubectl")
X = "x.example.com"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"drivers.{X}"},
    "spec": {
        "group": X,
        "scope": "Namespaced",
        "names": {"plural": "drivers", "singular": "driver", "kind": "Driver"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
OBJECTS = [
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"ports": [{"port": 80, "name": "http"}], "selector": {"app": "web"}},
    },
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "web-x",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    },
    {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "edge-1", "labels": {"zone": "far"}},
    },
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0"},
        "spec": {
            "nodeName": "edge-1",
            "containers": [{"name": "web", "image": "registry.invalid/web:1"}],
        },
    },
]
DRIVER = {
    "apiVersion": f"{X}/v1",
    "kind": "Driver",
    "metadata": {"name": "ann"},
    "spec": {"licences": ["B", "C"]},
}
READ = (
    ("services", "web"),
    ("endpointslices", "web-x"),
    ("nodes", "edge-1"),
    ("pods", "web-0"),
    (f"drivers.{X}", "ann"),
)


async def kubectl(server: RealServer, *arguments: str, given: object = None) -> str:
    host, port = server.address
    command = [
        str(KUBECTL),
        f"--server=https://{host}:{port}",
        f"--certificate-authority={server.authority.file}",
        f"--client-certificate={server.admin.certificate}",
        f"--client-key={server.admin.key}",
        "--request-timeout=20s",
        f"--cache-dir={server.authority.file.parent / 'kubectl'}",
        *arguments,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=-1, stdout=-1, stderr=-1, env=os.environ | {"KUBECONFIG": ""}
    )
    content = json.dumps(given).encode() if given is not None else b""
    out, problems = await process.communicate(content)
    assert process.returncode == 0, problems.decode()
    return out.decode()


async def fill(cloud: RealServer) -> None:
    """Put everything into the cloud, as a user would."""
    for one in (CRD, *OBJECTS):
        await kubectl(cloud, "create", "--validate=false", "-f", "-", given=one)
    await kubectl(
        cloud,
        "wait",
        "--for=condition=Established",
        f"crd/drivers.{X}",
        "--timeout=20s",
    )
    await kubectl(cloud, "create", "--validate=false", "-f", "-", given=DRIVER)


async def shown(server: RealServer, resource: str, name: str) -> dict:
    """Return an object as kubectl gets it, without the server's own version.

    And without a Node's conditions: the hub itself writes one, after it has shared
    the Node that it read.
    """
    found = json.loads(await kubectl(server, "get", resource, name, "-o", "json"))
    del found["metadata"]["resourceVersion"]
    if found["kind"] == "Node":
        found["status"].pop("conditions", None)
    return found


@pytest.mark.timeout(300)
@pytest.mark.skipif(isinstance(PROGRAMS, str), reason=f"LOUD: {PROGRAMS}")
@pytest.mark.skipif(KUBECTL is None, reason="LOUD: no kubectl")
def test_kubectl_reads_through_a_real_server_what_hubs_wrote(tmp_path: Path) -> None:
    async def scenario() -> None:
        with running_etcd(tmp_path / "etcd", *RAISED) as cluster:
            host, port = cluster.endpoints[0]
            async with RealServer(Path(PROGRAMS), tmp_path / "cloud") as cloud:
                await fill(cloud)
                await lend(cloud, cluster)
                wanted = {one: await shown(cloud, *one) for one in READ}
                async with RealServer(
                    Path(PROGRAMS), tmp_path / "pool", etcd=f"http://{host}:{port}"
                ) as over:
                    for one in READ:
                        assert await shown(over, *one) == wanted[one]
                    table = await kubectl(over, "get", "endpointslices", "-l",
                                          "kubernetes.io/service-name=web")  # fmt: skip
                    assert "10.1.2.3" in table

    async def lend(cloud: RealServer, cluster) -> None:
        files = ClientFiles(
            ca=cloud.authority.file,
            certificate=cloud.admin.certificate,
            key=cloud.admin.key,
        )
        pool = PoolSettings(
            endpoints=tuple(cluster.endpoints),
            tls=None,
            resources=(
                *DEFAULT_RESOURCES,
                ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
                (X, "v1", "drivers"),
            ),
        )
        async with hub_over(
            [cloud.address], tmp_path / "hub", tls=files, pool=pool
        ) as hub:
            await until(lambda: hub.upstream.online, 20)
            for target in (
                "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1",
                "/api/v1/nodes?fieldSelector=metadata.name%3Dedge-1",
            ):
                accept = "application/vnd.kubernetes.protobuf"
                answer = await ask(hub, get(target, agent=KUBELET, accept=accept))
                assert status_of(answer) == 200

            def all_told() -> bool:
                page = hub.pooling.member.page()
                return all(one["published"] for one in page["collections"]) and all(
                    page["uploaded"].values()
                )

            await until(all_told, 30)

    asyncio.run(scenario())
