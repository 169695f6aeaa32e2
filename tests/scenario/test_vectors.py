# SPDX-License-Identifier: Apache-2.0
"""Every head and chunk that must be refused, again at a whole hub's own doors.

TLS, the node's plain listener and those on the interface's address are served by one
wire; that none of them opens another way in is shown here, with a token whose owner
could read what is asked.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.rig import until
from tests.scenario.identities import RESOURCES, Cluster, Site
from tests.unit.wire.test_gate import CHUNKS, VECTORS, head
from toono.wire.dummy import DummyLink
from toono.wire.messages import Request, Response

DUMMY = "127.0.0.2"
"""Stands for the interface's address: a second one, which the kernel has anyway."""
DOORS = ("plain", "TLS", "plain on the interface", "TLS on the interface")
CHUNKED = head(b"POST /api/v1/pods HTTP/1.1", b"Transfer-Encoding: chunked")
AT_ONCE = 20
Exchange = Callable[[bytes], Awaitable[bytes]]


class Door:
    """One listener of a hub."""

    def __init__(self, site: Site, name: str) -> None:
        self._context: ssl.SSLContext | None = None
        secure, number = name.startswith("TLS"), int(name.endswith("interface"))
        places = site.hub.addresses
        if secure:
            authority = site.cluster.authority
            self._context = ssl.create_default_context(cafile=str(authority.file))
            places = site.hub.tls_addresses
        self._address = places[number]
        assert self._address[0] == (DUMMY if number else "127.0.0.1")
        self._room = asyncio.Semaphore(AT_ONCE)

    async def exchange(self, raw: bytes) -> bytes:
        """Send bytes; return the first that comes, b"" where it is only the end."""
        async with self._room, asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(
                *self._address,
                ssl=self._context,
                server_hostname="kubernetes.default.svc" if self._context else None,
            )
            try:
                writer.write(raw)
                return await reader.read(4096)
            except ConnectionResetError:
                return b""
            finally:
                writer.transport.abort()


def with_token(raw: bytes, token: bytes) -> bytes:
    """End a head with a good token, unless it is about having none, or another."""
    if b"uthorization" in raw or b"mpersonate" in raw:
        return raw + b"\r\n\r\n"
    return raw + b"\r\nAuthorization: Bearer " + token + b"\r\n\r\n"


async def play(
    directory: Path, door: str
) -> tuple[dict[str, bytes], list[bytes], list]:
    cluster = Cluster(directory)
    await cluster.start()
    site = Site(cluster, directory)
    token = cluster.token("reader").encode()
    handed: list[str] = []
    async with site.running(dummy=DummyLink("lo", DUMMY)):
        await until(lambda: site.hub.upstream.online)
        serve = site.hub.server.handler

        async def noted(request: Request) -> Response:
            handed.append(request.method)
            return await serve(request)

        site.hub.server.handler = noted
        entrance = Door(site, door)
        heads = await asyncio.gather(
            *(entrance.exchange(with_token(raw, token)) for _, raw in VECTORS)
        )
        assert handed == []
        whole = with_token(CHUNKED, token)
        chunks = await asyncio.gather(
            *(entrance.exchange(whole + chunk + b"0\r\n\r\n") for chunk in CHUNKS)
        )
    await cluster.server.aclose()
    names = [name for name, _ in VECTORS]
    return dict(zip(names, heads, strict=True)), chunks, cluster.server.requests


@pytest.mark.parametrize("door", DOORS)
def test_what_must_be_refused_is_refused_at_every_door(tmp_path, door: str) -> None:
    heads, chunks, requests = asyncio.run(play(tmp_path, door))
    passed = [
        name
        for name, heard in heads.items()
        if heard and not heard.startswith(b"HTTP/1.1 4")
    ]
    assert passed == []
    assert [one for one in chunks if not one.startswith(b"HTTP/1.1 4")] == []
    assert len(heads) + len(chunks) > 80
    assert not [target for _, target in requests if "evil" in target]
    # Not even of the one whose head is good and whose body breaks.
    assert not [target for method, target in requests if method == "POST"]


async def fall_back(directory: Path) -> dict[str, bytes]:
    """Ask for a remembered Secret with a body that breaks, while the link is up."""
    cluster = Cluster(directory)
    await cluster.start()
    site, heard = Site(cluster, directory), {}
    async with site.running():
        await until(lambda: site.hub.upstream.online)
        secret = RESOURCES["secret of a pod here"]
        assert (await site.ask(secret, token=cluster.token("reader")))[0] == 200
        entrance = Door(site, "TLS")
        lines = (b"User-Agent: reader/v1", b"Transfer-Encoding: chunked")
        asked = head(f"GET {secret} HTTP/1.1".encode(), *lines)
        now = cluster.clock.wall()
        for name, token in {
            "an ended token": cluster.token("reader", now=now - 9000),
            "another's token": cluster.token("web"),
            "rubbish": "abc",
        }.items():
            for number, chunk in enumerate(
                (b"zz\r\n", b"1\r\naXX", b"5\r\nhello\r\ng\r\n")
            ):
                raw = with_token(asked, token.encode()) + chunk
                heard[f"{name}, {number}"] = await entrance.exchange(raw)
        assert site.hub.upstream.online
    await cluster.server.aclose()
    return heard


def test_nobody_makes_the_hub_fall_back_to_what_is_remembered(tmp_path) -> None:
    heard = asyncio.run(fall_back(tmp_path))
    assert len(heard) == 9
    assert [name for name, one in heard.items() if one[:10] != b"HTTP/1.1 4"] == []
