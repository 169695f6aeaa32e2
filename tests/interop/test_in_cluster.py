# SPDX-License-Identifier: Apache-2.0
"""Real clients in a pod's place: its environment, its token, its CA, over TLS.

Nothing in them knows of the hub: KUBERNETES_SERVICE_HOST and _PORT name its TLS
listener, as the Service filter does for pods.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.rig import until
from tests.scenario.identities import Cluster, Site


class Pod:
    """A cluster and its hub on a thread's loop, and one pod's files and environment."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.cluster = Cluster(directory, algorithm="RS256")
        self.site = Site(self.cluster, directory)
        self.stop = asyncio.Event()
        started = threading.Event()
        self.life = asyncio.run_coroutine_threadsafe(self._live(started), self.loop)
        assert started.wait(20)
        self.mount("reader")

    async def _live(self, started: threading.Event) -> None:
        await self.cluster.start()
        async with self.site.running():
            await until(lambda: self.site.hub.upstream.online)
            started.set()
            await self.stop.wait()
        await self.cluster.server.aclose()

    def mount(self, account: str) -> None:
        """Mount what the kubelet mounts into every pod."""
        self.token_file = self.directory / "token"
        self.token_file.write_text(self.cluster.token(account))
        self.ca_file = self.directory / "ca.crt"
        self.ca_file.write_bytes(self.cluster.authority.file.read_bytes())
        host, port = self.site.hub.tls_addresses[0]
        self.environment = {
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": str(port),
        }

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def cut(self) -> None:
        async def cut() -> None:
            await self.site.hub.ahead.idle()
            await self.cluster.server.aclose()
            await until(lambda: not self.site.hub.upstream.online)

        self.do(cut())

    def aclose(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.life.result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def pod(tmp_path):
    pod = Pod(tmp_path)
    yield pod
    pod.aclose()


def configured(pod: Pod, monkeypatch):
    """Call the official client's own loader, whose two paths are mounted elsewhere."""
    from kubernetes import client, config
    from kubernetes.config import incluster_config

    for name, value in pod.environment.items():
        monkeypatch.setenv(name, value)
    token, ca = str(pod.token_file), str(pod.ca_file)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", token)
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", ca)
    configuration = client.Configuration()
    config.load_incluster_config(client_configuration=configuration)
    assert configuration.host.startswith("https://127.0.0.1:")
    assert configuration.verify_ssl
    return client.ApiClient(configuration)


def test_load_incluster_config_works_unchanged_online_and_cut_off(
    pod: Pod, monkeypatch
) -> None:
    from kubernetes import client, watch
    from kubernetes.client.exceptions import ApiException

    with configured(pod, monkeypatch) as api:
        core = client.CoreV1Api(api)
        online = core.list_namespaced_pod("shop")
        assert [one.metadata.name for one in online.items] == ["web-0"]
        assert core.read_namespaced_secret("db", "shop").data == {
            "password": "Y2FuYXJ5LWRi"
        }
        pod.cut()
        offline = core.list_namespaced_pod("shop")
        assert offline.to_dict() == online.to_dict()
        # Never listed by name online: asked ahead with the pod's own token.
        assert core.read_namespaced_pod("web-0", "shop").spec.node_name == "edge-1"
        stream = watch.Watch().stream(
            core.list_namespaced_pod, "shop", timeout_seconds=1
        )
        assert [event["object"].metadata.name for event in stream] == ["web-0"]
        with pytest.raises(ApiException) as refused:
            core.list_namespaced_secret("bank")
        assert refused.value.status == 503


def test_a_pod_without_the_right_is_refused_in_the_same_words(
    pod: Pod, monkeypatch
) -> None:
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException

    pod.mount("web")
    with configured(pod, monkeypatch) as api:
        core = client.CoreV1Api(api)
        heard = []
        for cut in (False, True):
            if cut:
                pod.cut()
            with pytest.raises(ApiException) as refused:
                core.read_namespaced_secret("db", "shop")
            assert refused.value.status == 403
            heard.append(refused.value.body)
        online, offline = heard
        for one in heard:
            assert 'secrets \\"db\\" is forbidden' in one
        assert '"system:serviceaccount:shop:web\\"' in online
        assert "system:serviceaccount:shop:web" in offline


def test_a_rotated_token_of_the_same_owner_reads_on(pod: Pod, monkeypatch) -> None:
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException

    with configured(pod, monkeypatch) as api:
        core = client.CoreV1Api(api)
        core.list_namespaced_pod("shop")
        pod.cut()
        pod.mount("reader")
    with configured(pod, monkeypatch) as api:
        core = client.CoreV1Api(api)
        assert len(core.list_namespaced_pod("shop").items) == 1
    uid = "7c9f0b1e-0000-4000-8000-000000000000"
    pod.token_file.write_text(pod.cluster.token("reader", uid=uid))
    with configured(pod, monkeypatch) as api:
        core = client.CoreV1Api(api)
        with pytest.raises(ApiException) as unknown:
            core.list_namespaced_pod("shop")
        assert unknown.value.status == 503


def test_kr8s_works_online_and_cut_off(pod: Pod, monkeypatch) -> None:
    import kr8s
    from kr8s._config import KubeConfigSet  # noqa: F401 - fails loudly if kr8s moves

    host = pod.environment["KUBERNETES_SERVICE_HOST"]
    port = pod.environment["KUBERNETES_SERVICE_PORT"]
    kubeconfig = pod.directory / "kubeconfig"
    kubeconfig.write_text(_kubeconfig(pod, f"https://{host}:{port}"))

    def names() -> list[str]:
        api = kr8s.api(kubeconfig=str(kubeconfig))
        return [one.name for one in api.get("pods", namespace="shop")]

    assert names() == ["web-0"]
    pod.cut()
    assert names() == ["web-0"]


def _kubeconfig(pod: Pod, server: str) -> str:
    return f"""
apiVersion: v1
kind: Config
current-context: c
clusters: [{{name: c, cluster: {{server: "{server}",
  certificate-authority: "{pod.ca_file}"}}}}]
users: [{{name: u, user: {{token: "{pod.token_file.read_text()}"}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
"""


def test_kubectl_works_in_a_pod_online_and_cut_off(pod: Pod) -> None:
    if shutil.which("kubectl") is None:
        if os.environ.get("TOONO_CI"):
            pytest.fail("kubectl is not installed: scripts/install_kubectl.sh")
        pytest.skip("LOUD: kubectl is not installed: scripts/install_kubectl.sh")

    def kubectl(*arguments: str) -> subprocess.CompletedProcess:
        host, port = pod.environment.values()
        return subprocess.run(
            [
                *("kubectl", f"--server=https://{host}:{port}", "-n", "shop"),
                f"--certificate-authority={pod.ca_file}",
                f"--token={pod.token_file.read_text()}",
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            env={"HOME": str(pod.directory), "PATH": os.environ["PATH"]},
            check=False,
        )

    online = kubectl("get", "pods", "-o", "name")
    assert online.stdout == "pod/web-0\n", online.stderr
    pod.cut()
    shutil.rmtree(pod.directory / ".kube", ignore_errors=True)
    offline = kubectl("get", "pods", "-o", "name")
    assert offline.stdout == "pod/web-0\n", offline.stderr
    assert "cut off since" in offline.stderr


IN_POD = """
set -e
mount -t tmpfs none /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cp "$1"/token "$1"/ca.crt /run/secrets/kubernetes.io/serviceaccount/
printf shop > /run/secrets/kubernetes.io/serviceaccount/namespace
shift
exec "$@"
"""
OFFICIAL = """
from kubernetes import client, config
config.load_incluster_config()
core = client.CoreV1Api()
for one in core.list_namespaced_pod("shop").items:
    print("pod/" + one.metadata.name)
"""
KR8S = """
import kr8s
for one in kr8s.get("pods", namespace="shop"):
    print("pod/" + one.name)
"""


def in_pod(pod: Pod, *words: str) -> subprocess.CompletedProcess:
    """Run a program where a container's own files are; nothing else tells it."""
    environment = {
        "HOME": str(pod.directory),
        "PATH": os.environ["PATH"],
        **pod.environment,
    }
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", IN_POD, "sh", str(pod.directory), *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )


@pytest.mark.parametrize(
    "words",
    [
        (sys.executable, "-c", OFFICIAL),
        (sys.executable, "-c", KR8S),
        ("kubectl", "get", "pods", "-o", "name"),
    ],
    ids=["official", "kr8s", "kubectl"],
)
def test_programs_that_know_of_nothing_work_in_a_pod_s_files(pod: Pod, words) -> None:
    """Their own code finds the token, the CA and the namespace; no option is given."""
    if in_pod(pod, "true").returncode != 0:
        pytest.skip("LOUD: this machine lets no test have a mount namespace")
    if shutil.which(words[0]) is None:
        pytest.skip(f"LOUD: there is no {words[0]} here")
    for cut in (False, True):
        if cut:
            pod.cut()
        done = in_pod(pod, *words)
        assert done.stdout == "pod/web-0\n", done.stderr
