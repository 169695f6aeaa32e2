# SPDX-License-Identifier: Apache-2.0
"""The hub's requests for certificates at a real kube-apiserver, approved by kubectl.

Runs where KUBEBUILDER_ASSETS names its programs; what it skips it says loudly. There is
no controller manager beside it: the test signs what is approved, as that does.
"""

import asyncio
import base64
import json
import shutil
import ssl
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from tests.interop.test_node_original import admin, cluster
from tests.rig import ask, body, get, hub_over, status_of, until
from toono.certs.files import Root, read_held
from toono.config.certificates import CertificateSettings
from toono.filters.approval import OF_THE_DOOR
from toono.filters.base import Door
from toono.filters.inputs import Surroundings
from toono.identity.sockets import Owner
from toono.runtime.clock import SystemClock
from toono.testing.real import RealServer
from toono.wire.tls import ClientFiles, ServerFiles

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
NODES = "/api/v1/nodes"
HOST = Owner(0, frozenset({"/system.slice/kubelet.service"}))
YEAR = 365 * 86400.0


class Site:
    """A node beside a real cluster, where nobody approves anything unasked."""

    def __init__(self, server: RealServer, directory: Path) -> None:
        self.server, self.directory = server, directory
        self.root = Root(directory / "root")
        self.root.pki.mkdir(parents=True)
        self.config = directory / "admin.conf"
        pair = server.admin
        host, port = server.address
        cluster_ = {
            "server": f"https://{host}:{port}",
            "certificate-authority": str(server.authority.file),
        }
        user = {
            "client-certificate": str(pair.certificate),
            "client-key": str(pair.key),
        }
        chosen = {"cluster": "real", "user": "admin"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "real", "cluster": cluster_}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "real", "context": chosen}],
            "current-context": "real",
        }
        self.config.write_text(yaml.safe_dump(config))

    @asynccontextmanager
    async def running(self):
        authority = self.server.authority
        node = authority.node("edge-1")
        kept = self.root.current("yurthub-server")
        files = ClientFiles(
            ca=authority.file, certificate=node.certificate, key=node.key
        )
        async with hub_over(
            [self.server.address],
            self.directory / "hub",
            tls=files,
            owner=lambda *_: HOST,
            listen_tls=(("127.0.0.1", 0),),
            status_listen=("127.0.0.1", 0),
            serving=ServerFiles(certificate=kept, key=kept, client_ca=authority.file),
            certificates=CertificateSettings(
                root=self.root, serving=True, addresses=("127.0.0.1",)
            ),
            surroundings=Surroundings(door=Door("127.0.0.1", 10268)),
            filters_off=frozenset(),
            door_shut=True,
        ) as hub:
            yield hub

    async def request(self) -> dict:
        """Wait for the hub's one request; return it."""
        async with asyncio.timeout(60):
            while True:
                found = await admin(self.server, "GET", REQUESTS)
                if found["items"]:
                    (one,) = found["items"]
                    return one
                await asyncio.sleep(0.05)

    async def sign(self, name: str) -> None:
        """Do the signer's part for a request that is approved."""
        target = f"{REQUESTS}/{name}"
        one = await admin(self.server, "GET", target)
        found = x509.load_pem_x509_csr(base64.b64decode(one["spec"]["request"]))
        pem = self.server.authority.sign(
            found, usage="server auth", now=SystemClock().wall(), seconds=YEAR
        )
        one["status"]["certificate"] = base64.b64encode(pem).decode()
        await admin(self.server, "PUT", f"{target}/status", one)

    async def kubectl(self, *words: str) -> str:
        return await run("kubectl", f"--kubeconfig={self.config}", *words)


async def run(*words: str, code: int = 0) -> str:
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == code, (out, err)
    return out.decode()


async def shown(hub) -> str:
    """Return what `toono cert show` prints: a certificate is lacking, so it says 1."""
    port = hub.status_address[1]
    command = (sys.executable, "-m", "toono.cli", "cert", "show")
    return await run(*command, f"--serve-port={port}", code=1)


async def page(hub, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(*hub.status_address)
    writer.write(get(path))
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


async def until_told(hub, words: str) -> bytes:
    """Wait until the readiness page says so; it is ready all the while."""
    async with asyncio.timeout(60):
        while words.encode() not in (ready := await page(hub, "/readyz?verbose")):
            await asyncio.sleep(0.05)
    assert status_of(ready) == 200
    return ready


@pytest.fixture(autouse=True)
def kubectl_or_skip() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("LOUD: no kubectl on this machine")


@pytest.mark.timeout(300)
def test_pending_request_is_approved_by_the_command_that_is_shown(tmp_path, caplog):
    async def scenario() -> None:
        async with cluster(tmp_path) as server:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "edge-1"}}
            await admin(server, "POST", NODES, node)
            site = Site(server, tmp_path)
            async with site.running() as hub:
                one = await site.request()
                name, spec = one["metadata"]["name"], one["spec"]
                assert spec["signerName"] == "kubernetes.io/kubelet-serving"
                assert spec["username"] == "system:node:edge-1"
                command = f"kubectl certificate approve {name}"
                await until_told(hub, command)
                told = {getattr(each, "run", "") for each in caplog.records}
                assert command in told
                assert command in await shown(hub)
                # While it waits, the node and the status listener are served.
                answer = await ask(hub, get(f"{NODES}/edge-1"))
                assert status_of(answer) == 200
                assert json.loads(body(answer))["metadata"]["name"] == "edge-1"
                assert hub.tls_addresses == []
                assert hub.chain.filters.approval.off == OF_THE_DOOR

                words = command.split()[1:]
                assert "approved" in await site.kubectl(*words)
                await until_told(hub, f"the request {name} is approved and not yet")
                await site.sign(name)
                await until(lambda: hub.tls_addresses, 90)
                assert hub.chain.filters.approval.off == frozenset()
                held = read_held(site.root.current("yurthub-server"))
                wanted = {"10.96.0.1", "127.0.0.1", "kubernetes.default.svc"}
                assert wanted <= set(held.names)
                await pods_are_served(site, hub)

    asyncio.run(scenario())


async def pods_are_served(site: Site, hub) -> None:
    """The handshake as a pod makes it: its CA, and the name or address it calls."""
    context = ssl.create_default_context(cafile=str(site.server.authority.file))
    for name in ("127.0.0.1", "kubernetes.default.svc"):
        reader, writer = await asyncio.open_connection(
            *hub.tls_addresses[0], ssl=context, server_hostname=name
        )
        writer.write(get("/version"))
        async with asyncio.timeout(30):
            assert status_of(await reader.read()) == 200
        writer.close()


@pytest.mark.timeout(300)
def test_denied_request_is_named_with_its_reason_and_the_node_works_on(tmp_path):
    async def scenario() -> None:
        async with cluster(tmp_path) as server:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "edge-1"}}
            await admin(server, "POST", NODES, node)
            site = Site(server, tmp_path)
            async with site.running() as hub:
                name = (await site.request())["metadata"]["name"]
                await until_told(hub, f"kubectl certificate approve {name}")
                assert "denied" in await site.kubectl("certificate", "deny", name)
                told = f"the request {name} was denied: KubectlDeny"
                await until_told(hub, told)
                assert told in await shown(hub)
                answer = await ask(hub, get(f"{NODES}/edge-1"))
                assert status_of(answer) == 200
                assert hub.tls_addresses == []

    asyncio.run(scenario())
