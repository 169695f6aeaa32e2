# SPDX-License-Identifier: Apache-2.0
"""Certificates of a running hub: asked for, approved, rotated under load, expired."""

import asyncio
import json
import logging
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.rig import ask, body, get, status_of, until
from tests.scenario.identities import QUICK, Cluster
from toono.app import Hub, HubSettings
from toono.certs.files import Bootstrap, Root, put_current, read_held, write_bootstrap
from toono.config.certificates import CertificateSettings
from toono.filters.approval import OF_THE_DOOR
from toono.filters.base import Door
from toono.filters.inputs import Surroundings
from toono.identity.sockets import Owner
from toono.runtime.clock import SystemClock
from toono.testing.apiserver.rbac import Rule, User
from toono.testing.apiserver.signing import CLIENT, RESOURCE, SERVING, Signing
from toono.wire.tls import ClientFiles, ServerFiles

TOKEN = "abcdef.0123456789abcdef"
HOST = Owner(0, frozenset({"/system.slice/kubelet.service"}))
NODE = "/api/v1/nodes/edge-1"


class Site:
    """A node whose hub keeps both certificates; a cluster that signs."""

    def __init__(self, tmp_path: Path, *, auto=(CLIENT, SERVING), joined=False) -> None:
        self.cluster = Cluster(tmp_path)
        self.root = Root(tmp_path / "root")
        self.cache = tmp_path / "cache"
        server = self.cluster.server
        self.signing = Signing(server.storage, self.cluster.authority, auto=auto)
        spec = {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}
        service = {"metadata": {"name": "kubernetes"}, "spec": spec}
        server.create("services", service, namespace="default")
        access = self.cluster.access
        access.static_tokens[TOKEN] = User("system:bootstrap:abcdef", ("bootstrap",))
        rule = Rule(
            verbs=("create", "get", "list", "watch"),
            groups=("certificates.k8s.io",),
            resources=("certificatesigningrequests",),
        )
        access.rbac.grant("bootstrap", rule)
        self.root.pki.mkdir(parents=True)
        self.root.ca.write_bytes(self.cluster.authority.file.read_bytes())
        if joined:
            self.put(self.cluster.authority.node("edge-1"), "yurthub")

    def put(self, pair, stem: str) -> None:
        content = pair.certificate.read_bytes() + pair.key.read_bytes()
        put_current(self.root, stem, content, now=SystemClock().wall())

    @asynccontextmanager
    async def running(self, **changes):
        await self.cluster.start(self.cluster.server.address[1])
        url = self.cluster.server.url
        ca = self.root.ca.read_bytes()
        told = Bootstrap(server=url, ca=ca, token=TOKEN)
        write_bootstrap(self.root.bootstrap, told)
        try:
            async with Hub(self.settings(**changes), owner=lambda *_: HOST) as hub:
                yield hub
        finally:
            await self.cluster.aclose()

    def settings(self, **changes) -> HubSettings:
        client = self.root.current("yurthub")
        serving = self.root.current("yurthub-server")
        return HubSettings(
            servers=(self.cluster.server.address,),
            tls=ClientFiles(
                ca=self.root.ca, certificate=client, key=client, awaited=True
            ),
            node_name="edge-1",
            cache_path=self.cache,
            listen=(("127.0.0.1", 0),),
            listen_tls=(("127.0.0.1", 0),),
            serving=ServerFiles(
                certificate=serving, key=serving, client_ca=self.root.ca
            ),
            certificates=CertificateSettings(
                root=self.root, client=True, serving=True, addresses=("127.0.0.1",)
            ),
            status_listen=("127.0.0.1", 0),
            **{"health": QUICK, **changes},
        )

    @property
    def requests(self) -> list[str]:
        now = self.cluster.server.storage.collection(RESOURCE).now
        return sorted(name for _, name in now)


async def asked(address, raw: bytes, *, tls=None) -> bytes:
    reader, writer = await asyncio.open_connection(*address, ssl=tls)
    try:
        writer.write(raw)
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


async def page(hub: Hub, path: str) -> bytes:
    return await asked(hub.status_address, get(path))


def test_node_joins_with_a_token_and_pods_reach_it(tmp_path):
    async def go():
        site = Site(tmp_path)
        async with site.running() as hub:
            await until(lambda: hub.tls_addresses, 20)
            assert len(site.requests) == 2
            seen = {user.name for user in site.cluster.access.seen}
            assert "system:bootstrap:abcdef" in seen
            answer = await ask(hub, get(NODE))
            assert status_of(answer) == 200
            assert site.cluster.access.seen[-1].name == "system:node:edge-1"
            ca = ssl.create_default_context(cafile=str(site.root.ca))
            answer = await asked(hub.tls_addresses[0], get(NODE), tls=ca)
            assert status_of(answer) in (200, 403)  # nobody's token, nobody's rights
            held = read_held(site.root.current("yurthub-server"))
            assert {"10.96.0.1", "127.0.0.1", "kubernetes.default.svc"} <= set(
                held.names
            )
            shown = json.loads(body(await page(hub, "/v1/certificates")))
            assert shown["yurthub"]["state"] == "good"
            assert "10.96.0.1" in shown["yurthub-server"]["names"]
            assert b"[!]certificates" not in await page(hub, "/readyz?verbose")

    asyncio.run(go())


def test_while_nobody_approves_the_hub_serves_and_names_the_command(tmp_path, caplog):
    async def go():
        site = Site(tmp_path, auto=(), joined=True)
        around = Surroundings(door=Door("127.0.0.1", 10268))
        chosen = {"surroundings": around, "filters_off": frozenset()}
        async with site.running(**chosen, door_shut=True) as hub:
            await until(lambda: site.requests, 20)
            (name,) = site.requests
            assert hub.chain.filters.approval.off == OF_THE_DOOR
            command = f"kubectl certificate approve {name}"
            await until(lambda: command in caplog.text or _extra(caplog, command))
            assert status_of(await ask(hub, get(NODE))) == 200
            ready = await page(hub, "/readyz?verbose")
            assert status_of(ready) == 200
            assert command.encode() in ready
            shown = json.loads(body(await page(hub, "/v1/certificates")))
            assert command in shown["yurthub-server"]["note"]
            assert hub.tls_addresses == []
            site.signing.decide(name, "Approved")
            await until(lambda: hub.tls_addresses, 20)
            assert hub.chain.filters.approval.off == frozenset()

    asyncio.run(go())


def _extra(caplog, command: str) -> bool:
    return any(getattr(one, "run", "") == command for one in caplog.records)


def test_denied_request_is_named_and_the_node_works_on(tmp_path):
    async def go():
        site = Site(tmp_path, auto=(), joined=True)
        async with site.running() as hub:
            await until(lambda: site.requests, 20)
            site.signing.decide(site.requests[0], "Denied", "not here")
            async with asyncio.timeout(20):
                while b"was denied" not in await page(hub, "/readyz?verbose"):
                    await asyncio.sleep(0.02)
            assert status_of(await ask(hub, get(NODE))) == 200

    asyncio.run(go())


async def keep_asking(hub: Hub, codes: list[int], stop: asyncio.Event, tls) -> None:
    """One connection after the other, and many requests on each."""
    address = hub.tls_addresses[0] if tls else hub.addresses[0]
    line = get(NODE).replace(b"Connection: close\r\n", b"")
    while not stop.is_set():
        reader, writer = await asyncio.open_connection(*address, ssl=tls)
        for _ in range(20):
            writer.write(line)
            head = await reader.readuntil(b"\r\n\r\n")
            codes.append(status_of(head))
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()


def test_rotation_under_load_fails_no_request(tmp_path):
    async def go():
        site = Site(tmp_path, joined=True)
        async with site.running() as hub:
            await until(lambda: hub.tls_addresses, 20)
            plain, secure, stop = [], [], asyncio.Event()
            context = ssl.create_default_context(cafile=str(site.root.ca))
            pair = site.cluster.authority.node("edge-1")
            context.load_cert_chain(pair.certificate, pair.key)
            tasks = [
                asyncio.ensure_future(keep_asking(hub, plain, stop, None)),
                asyncio.ensure_future(keep_asking(hub, secure, stop, context)),
            ]
            before = _serials(site)
            signed = len(site.signing.signed)
            answer = await asked(
                hub.status_address,
                b"POST /v1/certificates/renew HTTP/1.1\r\nHost: h\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n",
            )
            assert status_of(answer) == 202
            await until(lambda: len(site.signing.signed) >= signed + 2, 30)
            await until(lambda: not set(before) & set(_serials(site)), 30)
            counts = len(plain) + 100, len(secure) + 100
            await until(lambda: len(plain) > counts[0], 30)
            await until(lambda: len(secure) > counts[1], 30)
            stop.set()
            await asyncio.gather(*tasks)
            assert set(plain) == {200}
            assert set(secure) == {200}
            # New handshakes show the new certificate.
            der = await _shown(hub, context)
            assert int(der) == read_held(site.root.current("yurthub-server")).serial

    asyncio.run(go())


def _serials(site: Site) -> list[int]:
    stems = ("yurthub", "yurthub-server")
    return [read_held(site.root.current(stem)).serial for stem in stems]


async def _shown(hub: Hub, context) -> int:
    await asyncio.sleep(1.1)  # files are looked at once a second
    _, writer = await asyncio.open_connection(*hub.tls_addresses[0], ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert()
    writer.close()
    return int(found["serialNumber"], 16)


def test_expired_certificates_while_cut_off_leave_the_node_its_answers(tmp_path):
    async def go():
        site = Site(tmp_path, joined=True)
        async with site.running(agents=("*",)) as hub:
            assert status_of(await ask(hub, get(NODE))) in (200, 503)
            await until(lambda: hub.upstream.online)
            assert status_of(await ask(hub, get(NODE))) == 200
            await until(lambda: hub.tls_addresses, 20)
        authority = site.cluster.authority
        site.put(authority.node("edge-1", days=-1), "yurthub")
        expired = authority.server("127.0.0.1", "10.96.0.1", days=-1)
        site.put(expired, "yurthub-server")
        async with Hub(site.settings(), owner=lambda *_: HOST) as hub:
            answer = await ask(hub, get(NODE))
            assert status_of(answer) == 200
            ready = await page(hub, "/readyz?verbose")
            assert status_of(ready) == 200
            assert b"expired" in ready

    asyncio.run(go())


@pytest.mark.parametrize("content", [b"", b"junk"])
def test_certificate_that_is_none_is_replaced_by_the_token(tmp_path, content, caplog):
    async def go():
        caplog.set_level(logging.INFO)
        site = Site(tmp_path)
        site.root.current("yurthub").write_bytes(content)
        async with site.running() as hub:
            await until(lambda: hub.tls_addresses, 20)
            assert status_of(await ask(hub, get(NODE))) == 200

    asyncio.run(go())
