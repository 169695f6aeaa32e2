# SPDX-License-Identifier: Apache-2.0
"""The CNI-like agents, as they are, where a pod's files are.

At the API server, through the hub, and cut off and started again; and the plugin as a
runtime runs it.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from cni_agent.controller import Agent, Places
from cni_agent.kinds import NETWORKS, POLICIES

from tests.interop.test_in_cluster import IN_POD
from tests.rig import until
from tests.scenario.identities import Cluster, Site, pod
from toono.multiplex.shared import DEFAULTS, Resource
from toono.testing.apiserver.rbac import Rule

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "cni-agent"
ACCOUNT = "system:serviceaccount:kube-system:cni-agent"
SHARED = (
    Resource("net.example.org", "v1", "networks"),
    Resource("", "v1", "pods"),
    Resource("", "v1", "nodes"),
    Resource("networking.k8s.io", "v1", "networkpolicies"),
)


def shipped(name: str) -> list[dict]:
    return list(yaml.safe_load_all((EXAMPLE / "deploy" / name).read_text()))


def rules_of(name: str) -> list[Rule]:
    (role,) = [one for one in shipped(name) if one["kind"] == "ClusterRole"]
    return [
        Rule(
            verbs=tuple(one["verbs"]),
            groups=tuple(one["apiGroups"]),
            resources=tuple(one["resources"]),
        )
        for one in role["rules"]
    ]


def fill(cluster: Cluster) -> None:
    """Set up what the example ships, two nodes, three pods, a policy and a network."""
    create, grant = cluster.server.create, cluster.access.rbac.grant
    (definition,) = shipped("crd.yaml")
    create("customresourcedefinitions.apiextensions.k8s.io", definition)
    for rule in rules_of("rbac.yaml"):
        grant(ACCOUNT, rule)
    for rule in rules_of("node-shares.yaml"):
        grant("system:nodes", rule)
    cluster.server.update("nodes", node("edge-1", "10.244.1.0/24", "192.0.2.1"))
    create("nodes", node("edge-2", "10.244.2.0/24", "192.0.2.2"))
    api = pod("api-0", "edge-1")
    api["metadata"] |= {
        "labels": {"app": "api"},
        "annotations": {"net.example.org/address": "10.244.1.77"},
    }
    create("pods", api, namespace="shop")
    policy = {
        "metadata": {"name": "api"},
        "spec": {"podSelector": {"matchLabels": {"app": "api"}}},
    }
    create("networkpolicies", policy, namespace="shop")


def node(name: str, pods: str, address: str) -> dict:
    return {
        "metadata": {"name": name},
        "spec": {"podCIDR": pods},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


def network(name: str, **spec) -> dict:
    return {
        "apiVersion": "net.example.org/v1",
        "kind": "Network",
        "metadata": {"name": name},
        "spec": spec,
    }


class Stage:
    """A cluster, its hub where one runs, and the files of a pod and of a node."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.cluster = Cluster(directory, algorithm="RS256")
        self.site = Site(self.cluster, directory)
        self.life = contextlib.AsyncExitStack()
        self.port = 0
        self.shared: tuple[Resource, ...] = SHARED
        fill(self.cluster)
        self.do(self._begin())
        self.mount(*self.cluster.server.address)

    async def _begin(self) -> None:
        await self.cluster.start()
        await self.cluster.server.definitions.settled()
        network_ = network("blue", mtu=1400, routes=[{"dst": "10.96.0.0/12"}])
        self.cluster.server.create("networks", network_)

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def call(self, function, *arguments, **options):
        async def called():
            return function(*arguments, **options)

        return self.do(called())

    # -- the hub and the link ----------------------------------------------------

    def start_hub(self, *, online: bool = True) -> None:
        async def start() -> None:
            where = (("127.0.0.1", self.port),)
            running = self.site.running(listen_tls=where, shared=self.shared)
            await self.life.enter_async_context(running)
            await until(lambda: self.site.hub.upstream.online == online, 20)

        self.do(start())
        self.port = self.site.hub.tls_addresses[0][1]
        self.mount("127.0.0.1", self.port)

    def stop_hub(self) -> None:
        self.do(self.life.aclose())

    def cut(self) -> None:
        async def cut() -> None:
            await self.site.hub.ahead.idle()
            await self.cluster.server.aclose()
            await until(lambda: not self.site.hub.upstream.online, 20)

        self.do(cut())

    def mend(self) -> None:
        async def mend() -> None:
            await self.cluster.start(self.cluster.server.address[1])
            await until(lambda: self.site.hub.upstream.online, 20)

        self.do(mend())

    # -- the pod and the node ------------------------------------------------------

    def mount(self, host: str, port: int) -> None:
        """Mount what the kubelet mounts into every pod."""
        now = self.cluster.clock.wall()
        token = self.cluster.keys.mint("kube-system", "cni-agent", now=now)
        (self.directory / "token").write_text(token)
        ca = self.cluster.authority.file.read_bytes()
        (self.directory / "ca.crt").write_bytes(ca)
        self.environment = {
            "HOME": str(self.directory),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(EXAMPLE),
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": str(port),
            "NODE_NAME": "edge-1",
        }

    def status(self, name: str = "blue") -> dict:
        stored = self.cluster.server.storage.collection("networks.net.example.org")
        found = stored.now[("", name)].object
        return found.get("status", {}).get("nodes", {}).get("edge-1", {})

    def aclose(self) -> None:
        self.do(self.life.aclose())
        self.do(self.cluster.server.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.aclose()


def wait_for(fact, seconds: float = 40.0) -> None:
    """Wait for what a program of its own does."""
    turn, end = threading.Event(), time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        turn.wait(0.02)


@contextlib.contextmanager
def program(stage: Stage, *words: str):
    """Run a program where a container's own files are; nothing else tells it."""
    command = ["unshare", "-m", "sh", "-c", IN_POD, "sh", str(stage.directory), *words]
    with (stage.directory / "agent.log").open("ab") as log:
        running = subprocess.Popen(
            command, env=stage.environment, stdout=log, stderr=log
        )
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(20) == 0, said(stage)


def said(stage: Stage) -> str:
    return (stage.directory / "agent.log").read_text()


class Host:
    """A node's directories, and its container runtime."""

    def __init__(self, directory: Path) -> None:
        self.conf, self.bin, self.state = (
            directory / name for name in ("net.d", "bin", "state")
        )
        self.options = [
            word
            for name in ("conf", "bin", "state")
            for word in (f"--{name}", str(getattr(self, name)))
        ]

    def networks(self) -> dict[str, dict]:
        """Return what a runtime finds: each list of plugins, by name."""
        found = [json.loads(one.read_bytes()) for one in self.conf.glob("*.conflist")]
        return {one["name"]: one for one in found}

    def cni(self, command: str, container: str, name: str, **more) -> tuple[int, dict]:
        """Run the plugin as a runtime does (CNI 1.0.0, section 2 and 4)."""
        listed = self.networks()[more.pop("network", "blue")]
        (plugin,) = listed["plugins"]
        config = {**plugin, "name": listed["name"], "cniVersion": listed["cniVersion"]}
        done = subprocess.run(
            [str(self.bin / plugin["type"])],
            input=json.dumps({**config, **more}),
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "CNI_COMMAND": command,
                "CNI_CONTAINERID": container,
                "CNI_NETNS": f"/var/run/netns/{container}",
                "CNI_IFNAME": "eth0",
                "CNI_PATH": str(self.bin),
                "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={name}",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not done.stderr
        return done.returncode, json.loads(done.stdout) if done.stdout else {}


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "host")


def needs_a_mount_namespace() -> None:
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("LOUD: this machine lets no test have a mount namespace")


def python_agent(stage: Stage, host: Host):
    return program(stage, sys.executable, "-m", "cni_agent", *host.options)


NO_SUCH_POD, TRY_AGAIN = 3, 11
"""What CNI calls an unknown container, and what may be known later (section 5)."""
TOLD = {
    "observedGeneration": 1,
    "ready": True,
    "range": "10.244.1.0/24",
    "pods": 2,
    "isolated": 1,
    "peers": 1,
    "message": "",
}


def life_of_a_container(host: Host, container: str) -> list:
    """Return what a runtime hears from ADD to DEL, for two pods, one without a wish."""
    status, added = host.cni("ADD", container, "api-0")
    checked = host.cni("CHECK", container, "api-0", prevResult=added)
    free = host.cni("ADD", container + "b", "web-0")
    gone = [host.cni("DEL", one, "api-0") for one in (container, container + "b")]
    after = host.cni("CHECK", container, "api-0", prevResult=added)
    return [status, added, checked, free, gone, after]


def by_kubectl(host: Host) -> str:
    """Ask with the kubeconfig that was left; any client can read it."""
    path = host.conf / "cni-agent.d" / "kubeconfig"
    assert path.stat().st_mode & 0o777 == 0o600
    if shutil.which("kubectl") is None:
        return "pod/api-0\n"
    done = subprocess.run(
        f"kubectl --kubeconfig={path} -n shop get pod api-0 -o name".split(),
        env={"HOME": str(host.conf), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def test_the_agent_has_the_same_results_directly_through_the_hub_and_cut_off(
    stage: Stage, host: Host
) -> None:
    needs_a_mount_namespace()
    heard = []
    for place in ("direct", "hub", "cut off"):
        if place == "hub":
            stage.start_hub()
            warm(stage)
        if place == "cut off":
            stage.cut()
            stage.stop_hub()
            stage.start_hub(online=False)
        for one in host.conf.glob("*.conflist"):
            one.unlink()
        with python_agent(stage, host):
            wait_for(host.networks)
            networks = host.networks()
            heard.append([networks, life_of_a_container(host, "c1")])
            assert by_kubectl(host) == "pod/api-0\n"
            wait_for(lambda: stage.status() == TOLD)
            if place == "hub":  # what is shared is kept: all pods, not the node's alone
                wait_for(lambda: watching(stage) >= len(SHARED))
            asked_anew = place.replace(" ", "-")  # a 404 is remembered
            assert host.cni("ADD", "c2", asked_anew)[1]["code"] == NO_SUCH_POD
    assert heard[1] == heard[0]
    assert heard[2] == heard[0]
    (blue,) = heard[0][0].values()
    assert blue["plugins"][0]["mtu"] == 1400
    status, added, checked, free, gone, after = heard[0][1]
    assert status == 0
    assert added["ips"][0]["address"] == "10.244.1.77/24", "as the pod's note asks"
    assert checked == (0, {})
    assert free[1]["ips"][0]["address"] == "10.244.1.2/24"
    assert gone == [(0, {}), (0, {})]
    assert after[1]["code"] == 101


def refused(stage: Stage) -> int:
    return said(stage).count("blue: 503")


def policies_seen(stage: Stage) -> list[str]:
    """Return what the hub shows an agent of the policies."""
    from cni_agent.kit.clock import RealClock
    from cni_agent.kit.limiter import TokenBucket
    from cni_agent.transport import Transport
    from kubernetes import client

    configuration = client.Configuration()
    configuration.host = f"https://127.0.0.1:{stage.port}"
    configuration.ssl_ca_cert = str(stage.directory / "ca.crt")
    token = (stage.directory / "token").read_text()
    configuration.api_key = {"BearerToken": f"Bearer {token}"}
    bucket = TokenBucket(rate=100, burst=10, clock=RealClock())
    api = Transport(configuration, bucket)
    found = json.loads(api.get(POLICIES, {"resourceVersion": "0"}))
    api.drop()
    return [one["metadata"]["name"] for one in found["items"]]


def test_a_status_refused_while_cut_off_is_told_after_reconnect(
    stage: Stage, host: Host
) -> None:
    needs_a_mount_namespace()
    stage.start_hub()
    with python_agent(stage, host):
        wait_for(lambda: stage.status() == TOLD)
    server = stage.cluster.server
    stage.call(server.delete, "networkpolicies", "api", namespace="shop")
    wait_for(lambda: policies_seen(stage) == [])
    stage.cut()
    with python_agent(stage, host):
        wait_for(lambda: refused(stage) >= 2)
        assert host.cni("ADD", "c1", "api-0")[0] == 0, "the node works on"
        assert stage.status() == TOLD
        stage.mend()
        wait_for(lambda: stage.status() == {**TOLD, "isolated": 0})
    told = ("PATCH", f"{NETWORKS}/blue/status")
    assert server.requests.count(told) == 2, "one for each that was told"


# -- the agent in Go ----------------------------------------------------------------


def go_program() -> str:
    """Return the built agent; loudly nothing where there is no go."""
    script = ROOT / "scripts" / "build_cni_agent_go.sh"
    done = subprocess.run(
        [str(script)], capture_output=True, text=True, timeout=1200, check=False
    )
    if done.returncode != 0:
        pytest.fail(done.stderr)
    if not done.stdout:
        pytest.skip(f"LOUD: {done.stderr}")
    return done.stdout.strip()


@pytest.mark.timeout(1500)
def test_the_agent_in_go_sees_the_same_directly_through_the_hub_and_cut_off(
    stage: Stage,
) -> None:
    needs_a_mount_namespace()
    binary, heard = go_program(), []
    for place in ("direct", "hub", "cut off"):
        if place == "hub":
            stage.start_hub()
        if place == "cut off":
            stage.cut()
            stage.stop_hub()
            stage.start_hub(online=False)
        (stage.directory / "agent.log").unlink(missing_ok=True)
        with program(stage, binary):
            wait_for(lambda: "synced" in said(stage))
            wait_for(lambda: said(stage).count("added") == 3)
            lines = said(stage).splitlines()
            heard.append(sorted(line for line in lines if "Warning: " not in line))
            if place == "cut off":
                assert "Warning: cut off since" in said(stage)
                stage.mend()
                create = stage.cluster.server.create
                stage.call(create, "networks", network("red", mtu=9000))
                wait_for(lambda: "network added  red 9000" in said(stage))
    assert heard[1] == heard[0]
    assert heard[2] == heard[0]
    assert len(heard[0]) == 4, "a network, two pods, and that it is synced"


# -- what many cost ----------------------------------------------------------------

ITS_OWN = (
    "/readyz",
    "/leases/",
    "/version",
    "/configmaps",
    "/customresourcedefinitions",
    "/apiservices",
    "metadata.name%3Dedge-1",
    "/nodes/edge-1/status",
)
"""What the hub asks for itself, with and without agents."""


def asked(stage: Stage) -> list[tuple[str, str]]:
    """Return what the cloud was asked on behalf of agents."""
    return [one for _, one in asked_by(stage)]


def asked_by(stage: Stage) -> list[tuple[str, tuple[str, str]]]:
    """Return the same with who has asked."""
    both = zip(stage.cluster.seen, stage.cluster.server.requests, strict=False)
    return [
        (who, one)
        for who, one in both
        if one[1] not in ("/api", "/apis") and not any(x in one[1] for x in ITS_OWN)
    ]


def started(stage: Stage, number: int, account: str, monkeypatch) -> Agent:
    """Start an agent of its own, in a place of its own, with its account's token."""
    from kubernetes import client, config
    from kubernetes.config import incluster_config

    place = stage.directory / f"agent-{number}"
    place.mkdir()
    now = stage.cluster.clock.wall()
    token = place / "token"
    token.write_text(stage.cluster.keys.mint("kube-system", account, now=now))
    for name, value in stage.environment.items():
        monkeypatch.setenv(name, value)
    ca = str(stage.directory / "ca.crt")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", ca)
    configuration = client.Configuration()
    config.load_incluster_config(client_configuration=configuration)
    places = Places(conf=place / "conf", bin=place / "bin", state=place / "state")
    agent = Agent(configuration, node="edge-1", places=places)
    agent.start()
    return agent


@pytest.fixture
def agents(stage: Stage):
    """Agents that a test starts; they end before their hub does."""
    started: list[Agent] = []
    yield started
    for agent in started:
        agent.stop()


def test_twenty_agents_cost_the_cloud_what_one_does(
    stage: Stage, agents: list[Agent], monkeypatch
) -> None:
    stage.start_hub()
    warm(stage)
    before = len(asked(stage))
    agents.append(started(stage, 0, "cni-agent", monkeypatch))
    wait_for(lambda: stage.status() == TOLD)
    wait_for(lambda: watching(stage) >= 4)
    stage.do(stage.site.hub.ahead.idle())
    one = asked(stage)[before:]
    for number in range(1, 20):
        agents.append(started(stage, number, "cni-agent", monkeypatch))
    wait_for(lambda: watching(stage) >= 80)
    stage.do(stage.site.hub.ahead.idle())
    twenty = asked(stage)[before:]
    assert len(twenty) <= len(one) * 1.1, twenty[len(one) :]
    create = stage.cluster.server.create
    stage.call(create, "networks", network("red", mtu=9000))
    files = [f"agent-{n}/conf/10-red.conflist" for n in range(20)]
    wait_for(lambda: all((stage.directory / name).exists() for name in files))
    print(f"1 agent: {len(one)} requests; 20 agents: {len(twenty)}")


def test_agents_of_many_accounts_share_every_list_and_watch(
    stage: Stage, agents: list[Agent], monkeypatch
) -> None:
    """What is left to each account is the question what it may."""
    stage.start_hub()
    warm(stage)
    for number in range(6):
        account = f"agent-{number}"
        for rule in rules_of("rbac.yaml"):
            name = f"system:serviceaccount:kube-system:{account}"
            stage.cluster.access.rbac.grant(name, rule)
        agents.append(started(stage, number, account, monkeypatch))
    wait_for(lambda: watching(stage) >= 24)
    stage.do(stage.site.hub.ahead.idle())
    reads = [
        one for user, one in asked_by(stage) if ":agent-" in user and one[0] == "GET"
    ]
    assert reads == []
    reviews = [one for one in asked(stage) if "selfsubjectaccess" in one[1]]
    assert len(reviews) <= 6 * 16 + 3, "an account, four resources, three verbs, or so"


def warm(stage: Stage) -> None:
    """Let the hub learn the key set of some pod's token, as any pod on the node does."""
    token = stage.cluster.token("reader")
    target = "/api/v1/namespaces/shop/pods/web-0"
    assert stage.do(stage.site.ask(target, token=token))[0] == 200
    stage.do(stage.site.hub.ahead.idle())


def watching(stage: Stage) -> int:
    """Return how many watches are shared."""
    return sum(feed.readers for feed in stage.site.hub.chain.shared.feeds.values())


@pytest.mark.parametrize("shared", [SHARED, DEFAULTS, ()], ids=len)
def test_a_pod_that_was_only_ever_watched_is_added_while_cut_off(
    stage: Stage, host: Host, shared
) -> None:
    """After a reboot a runtime adds pods that nobody has asked for by name."""
    needs_a_mount_namespace()
    stage.shared = shared
    stage.start_hub()
    with python_agent(stage, host):
        wait_for(lambda: stage.status() == TOLD)
        late = pod("late-0", "edge-1")
        late["metadata"]["annotations"] = {"net.example.org/address": "10.244.1.99"}
        stage.call(stage.cluster.server.create, "pods", late, namespace="shop")
        wait_for(lambda: stage.status()["pods"] == 3)
    stage.cut()
    stage.stop_hub()
    stage.start_hub(online=False)
    (host.conf / "10-blue.conflist").unlink()
    with python_agent(stage, host):
        wait_for(host.networks)
        status, added = host.cni("ADD", "c1", "late-0")
        nobody = host.cni("ADD", "c2", "nobody")[1]["code"]
    assert status == 0, added
    if shared is not SHARED:  # only the node's pods are known: unknown is not absent
        assert nobody == TRY_AGAIN
    assert added["ips"][0]["address"] == "10.244.1.99/24"
