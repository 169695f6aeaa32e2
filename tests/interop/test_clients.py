# SPDX-License-Identifier: Apache-2.0
"""Real clients through a real hub process: kubectl and the official Python client."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from toono.testing import APIServer
from toono.testing.certificates import Authority
from toono.wire.tls import ServerFiles, make_context

POD = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"nodeName": "edge-1", "containers": [{"name": "c", "image": "web:1"}]},
    "status": {"phase": "Running"},
}


def pod(name: str) -> dict:
    return {**POD, "metadata": {**POD["metadata"], "name": name}}


class Stage:
    """An API server on a thread's loop and `toono run` in a process of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority(directory / "pki")
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.do(self._make())
        self.do(self._start(0))
        self.hub = self._run_hub()

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def _make(self) -> APIServer:
        return APIServer()

    async def _start(self, port: int) -> None:
        pair = self.authority.server("127.0.0.1")
        files = ServerFiles(certificate=pair.certificate, key=pair.key)
        await self.server.start(port=port, tls=make_context(files))

    def cut(self) -> None:
        self.do(self.server.aclose())

    def mend(self) -> None:
        self.do(self._start(self.server.address[1]))

    def create(self, name: str) -> None:
        async def create() -> None:
            self.server.create("pods", pod(name), namespace="default")

        self.do(create())

    def delete(self, name: str) -> None:
        async def delete() -> None:
            self.server.delete("pods", name, namespace="default")

        self.do(delete())

    def _run_hub(self) -> subprocess.Popen:
        node = self.authority.node("edge-1")
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "toono.cli", "run"),
                f"--server-addr={self.server.url}",
                f"--ca-file={self.authority.file}",
                f"--client-cert-file={node.certificate}",
                f"--client-key-file={node.key}",
                f"--disk-cache-path={self.directory / 'cache'}",
                "--proxy-port=0",
                "--serve-port=0",
                "--enable-dummy-if=false",
                f"--node-uids={os.getuid()}",
                "--cache-agents=*",
                "--log-level=error",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "serving on" in line:
                self.url = line.split()[-1]
                break
        else:
            raise AssertionError("the hub did not start")
        return process

    def aclose(self) -> None:
        self.hub.terminate()
        assert self.hub.wait(10) == 0
        assert self.hub.stderr is not None
        self.hub.stderr.close()
        self.do(self.server.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.aclose()


def kubectl(stage: Stage, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["kubectl", f"--server={stage.url}", "--kubeconfig=/dev/null", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={"HOME": str(stage.directory), "PATH": os.environ["PATH"]},
        check=False,
    )


def needs_kubectl() -> None:
    if shutil.which("kubectl") is None:
        if os.environ.get("TOONO_CI"):
            pytest.fail("kubectl is not installed: scripts/install_kubectl.sh")
        pytest.skip("LOUD: kubectl is not installed: scripts/install_kubectl.sh")


def test_kubectl_reads_the_same_online_and_cut_off(stage: Stage) -> None:
    needs_kubectl()
    for name in ("web-0", "web-1"):
        stage.create(name)
    wait_until_online(stage)
    online = kubectl(stage, "get", "pods", "-o", "json")
    assert online.returncode == 0, online.stderr
    names = [item["metadata"]["name"] for item in json.loads(online.stdout)["items"]]
    assert names == ["web-0", "web-1"]
    one = kubectl(stage, "get", "pod", "web-1", "-o", "yaml")
    assert "name: web-1" in one.stdout
    stage.cut()
    offline = kubectl(stage, "get", "pods", "-o", "json")
    assert offline.returncode == 0, offline.stderr
    assert json.loads(offline.stdout) == json.loads(online.stdout)
    assert "cut off since" in offline.stderr
    again = kubectl(stage, "get", "pod", "web-1", "-o", "yaml")
    assert again.stdout == one.stdout
    refused = kubectl(stage, "delete", "pod", "web-1", "--wait=false")
    assert refused.returncode != 0
    assert "cut off" in refused.stderr
    unknown = kubectl(stage, "get", "configmaps", "-o", "json")
    assert "no answer to this question was kept" in unknown.stderr


def wait_until_online(stage: Stage) -> None:
    for _ in range(200):
        if kubectl(stage, "get", "--raw", "/version").returncode == 0:
            return
    raise AssertionError("the hub did not go online")


def test_the_python_client_lists_and_watches_across_the_cut(stage: Stage) -> None:
    from kubernetes import client, watch

    stage.create("web-0")
    configuration = client.Configuration()
    configuration.host = stage.url
    with client.ApiClient(configuration) as api:
        api.user_agent = "informer/1.0"
        core = client.CoreV1Api(api)
        online = listed(core)
        assert [one.metadata.name for one in online.items] == ["web-0"]
        version = online.metadata.resource_version
        stage.create("web-1")
        stream = watch.Watch()
        heard = []
        for event in stream.stream(
            core.list_namespaced_pod, "default", resource_version=version
        ):
            heard.append((event["type"], event["object"].metadata.name))
            stream.stop()
        assert heard == [("ADDED", "web-1")]


def listed(core):
    from kubernetes.client.exceptions import ApiException

    for _ in range(200):
        try:
            return core.list_namespaced_pod("default")
        except ApiException as exc:
            if exc.status != 503:
                raise
    raise AssertionError("the hub did not go online")


def test_the_python_client_reads_the_same_cut_off(stage: Stage) -> None:
    from kubernetes import client, watch

    stage.create("web-0")
    configuration = client.Configuration()
    configuration.host = stage.url
    with client.ApiClient(configuration) as api:
        api.user_agent = "informer/1.0"
        core = client.CoreV1Api(api)
        online = listed(core)
        stage.cut()
        offline = core.list_namespaced_pod("default")
        assert offline.to_dict() == online.to_dict()
        stream = watch.Watch()
        names = [
            event["object"].metadata.name
            for event in stream.stream(
                core.list_namespaced_pod, "default", timeout_seconds=1
            )
        ]
        assert names == ["web-0"]
        stage.mend()
        stage.create("web-1")
        later = watch.Watch()  # begins again where a held watch ends, as informers do
        for event in later.stream(
            core.list_namespaced_pod,
            "default",
            resource_version=online.metadata.resource_version,
        ):
            assert event["object"].metadata.name == "web-1"
            later.stop()
