# SPDX-License-Identifier: Apache-2.0
"""X-36: real clients start against discovery that is served without a cluster.

A mapper learns a cluster, the cluster goes, the mapper is started anew from its file,
and answers for discovery as a proxy does that is cut off.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import kubernetes
import pytest

from toono.restmapper import MapperSettings, RESTMapper
from toono.restmapper.transports.httpx import HttpxTransport
from toono.testing import APIServer
from toono.wire.messages import Response

X = "x.example.com"
GO = Path(__file__).parent / "restmapper_go"
CRD = {
    "metadata": {"name": f"drivers.{X}"},
    "spec": {
        "group": X,
        "scope": "Cluster",
        "names": {"plural": "drivers", "kind": "Driver", "shortNames": ["dr"]},
        "versions": [{"name": "v1", "served": True}, {"name": "v2", "served": True}],
    },
}


async def learned(file, *, aggregated):
    """Keep what a cluster serves in a file; returns the names of its resources."""
    cluster = APIServer()
    cluster.discovery.aggregated = aggregated
    await cluster.start()
    cluster.create("customresourcedefinitions", CRD)
    await cluster.definitions.settled()
    async with httpx.AsyncClient(base_url=cluster.url, trust_env=False) as client:
        mapper = RESTMapper(
            HttpxTransport(client), settings=MapperSettings(file=file, watch=False)
        )
        async with mapper:
            await mapper.load()
            while not mapper.observe.version_document:
                await asyncio.sleep(0.01)
    names = {each.qualified for each in cluster.definitions.all_shown()}
    await cluster.aclose()
    return names


@contextlib.asynccontextmanager
async def cut_off(file):
    """A server whose discovery is a mapper's that has a file and no cluster."""
    async with httpx.AsyncClient(base_url="http://127.0.0.1:1", trust_env=False) as no:
        mapper = RESTMapper(HttpxTransport(no), settings=MapperSettings(file=file))

        async def discovery(request):
            fields = {
                name: request.fields.get(name.encode(), b"").decode()
                for name in ("accept", "if-none-match")
            }
            told = mapper.serve(
                request.target.decode(),
                accept=fields["accept"],
                if_none_match=fields["if-none-match"],
            )
            if told is None:
                return Response(status=503)
            return Response(
                status=told.status,
                headers=[(k.encode(), v.encode()) for k, v in told.headers.items()],
                content=told.body,
            )

        server = APIServer()
        server.fault = discovery
        await server.start()
        try:
            yield server
        finally:
            await server.aclose()
            await mapper.aclose()


def with_both_forms(story):
    @pytest.mark.parametrize("aggregated", [True, False], ids=["aggregated", "legacy"])
    def test(aggregated, tmp_path):
        async def main():
            file = tmp_path / "discovery"
            names = await learned(file, aggregated=aggregated)
            async with cut_off(file) as server:
                await asyncio.to_thread(story, server, names, tmp_path)

        asyncio.run(main())

    test.__name__ = story.__name__
    return test


def kubectl(server, home, *arguments):
    if shutil.which("kubectl") is None:
        pytest.skip("LOUD: kubectl is not installed: scripts/install_kubectl.sh")
    return subprocess.run(
        ["kubectl", f"--server={server.url}", "--kubeconfig=/dev/null", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"HOME": str(home)},
        check=True,
    ).stdout.split()


@with_both_forms
def test_x_36_kubectl_lists_all_that_is_kept(server, names, home):
    assert set(kubectl(server, home, "api-resources", "-o", "name")) == names
    versions = kubectl(server, home, "api-versions")
    assert {"v1", "apps/v1", f"{X}/v1", f"{X}/v2"} <= set(versions)
    assert "v1.34.0" in kubectl(server, home, "version", "-o", "json").__str__()


@with_both_forms
def test_x_36_the_official_client_finds_all_that_is_kept(server, names, home):
    api = kubernetes.client.ApiClient(kubernetes.client.Configuration(host=server.url))
    with api:
        client = kubernetes.dynamic.DynamicClient(api, cache_file=home / "cache")
        driver = client.resources.get(api_version=f"{X}/v2", kind="Driver")
        assert (driver.name, driver.namespaced) == ("drivers", False)
        assert client.resources.get(api_version="v1", kind="Pod").name == "pods"


@with_both_forms
def test_x_36_conditional_requests_and_heads(server, names, home):
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        for path in ("/api", "/apis"):
            first = client.get(path, headers={"accept": accept})
            assert first.json()["kind"] == "APIGroupDiscoveryList"
            etag = {"accept": accept, "if-none-match": first.headers["etag"]}
            again = client.get(path, headers=etag)
            assert (again.status_code, again.content) == (304, b"")
            head = client.head(path, headers={"accept": accept})
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == str(len(first.content))
            protobuf = "application/vnd.kubernetes.protobuf"
            told = client.get(path, headers={"accept": protobuf})
            assert told.headers["content-type"] == protobuf
            assert told.content.startswith(b"k8s\x00")


@pytest.fixture(scope="module")
def controller_runtime(tmp_path_factory):
    """A program around controller-runtime's mapper, built from modules at hand."""
    binary = tmp_path_factory.mktemp("go") / "restmapper"
    environment = dict(os.environ)
    if "TOONO_PROVE" not in os.environ:
        environment |= {"GOPROXY": "off", "GOFLAGS": "-mod=readonly"}
    if shutil.which("go") is None:
        pytest.skip("LOUD: there is no go")
    command = ["go", "build", "-o", binary, "."]
    done = subprocess.run(
        command, cwd=GO, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"LOUD: controller-runtime is not at hand: {done.stderr[-200:]}")
    return binary


@pytest.mark.timeout(600)
@pytest.mark.parametrize("aggregated", [True, False], ids=["aggregated", "legacy"])
def test_x_36_controller_runtime_starts(aggregated, tmp_path, controller_runtime):
    async def main():
        file = tmp_path / "discovery"
        await learned(file, aggregated=aggregated)
        async with cut_off(file) as server:
            done = await asyncio.to_thread(
                subprocess.run,
                [controller_runtime, server.url],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            "v2 drivers root",
            "v1 drivers root",
            "v2 drivers root",
            "v1 Pod",
            "no match: true",
        ]

    asyncio.run(main())
