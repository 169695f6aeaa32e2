# SPDX-License-Identifier: Apache-2.0
"""Certificates on both ends of real handshakes, and files that change beneath."""

import asyncio
import os
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from tests.unit.wire.kit import (
    HOST,
    OK,
    Pieces,
    answer_of,
    dialled,
    play,
    serving,
    upstream,
    whole,
)
from toono.errors import UnreachableError
from toono.testing.certificates import Authority
from toono.testing.clock import VirtualClock
from toono.wire.client import Origin
from toono.wire.messages import Response
from toono.wire.tls import ClientFiles, Contexts, ServerFiles, make_context

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server_context(authority: Authority) -> ssl.SSLContext:
    pair = authority.server("127.0.0.1")
    files = ServerFiles(
        certificate=pair.certificate, key=pair.key, client_ca=authority.file
    )
    return make_context(files)


def client_context(authority: Authority, node: str = "") -> ssl.SSLContext:
    pair = authority.node(node) if node else None
    return make_context(
        ClientFiles(
            ca=authority.file,
            certificate=pair.certificate if pair else None,
            key=pair.key if pair else None,
        )
    )


async def who(request) -> Response:
    """A handler that names its caller's certificate."""
    assert request.peer.tls
    if request.peer.certificate is None:
        return Response(status=200, content=b"nobody")
    found = x509.load_der_x509_certificate(request.peer.certificate)
    return Response(status=200, content=found.subject.rfc4514_string().encode())


# -- as a server ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "name"),
    [("", b"nobody"), ("edge-1", b"CN=system:node:edge-1,O=system:nodes")],
)
@pytest.mark.parametrize("fast", [False, True])
def test_a_client_certificate_is_verified_and_known(
    authority, server_context, node, name, fast
) -> None:
    async def scenario() -> None:
        context = client_context(authority, node)
        async with (
            serving(who, tls=server_context) as (_, address),
            dialled(address, tls=context) as (reader, writer),
        ):
            writer.write(GET)
            assert (await answer_of(reader))[2] == name
            assert writer.get_extra_info("ssl_object").version() >= "TLSv1.2"
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == (
                "http/1.1"
            )

    play(scenario, fast=fast)


def test_a_certificate_of_another_authority_is_refused(
    authority, server_context, tmp_path: Path
) -> None:
    async def scenario() -> None:
        pair = Authority(tmp_path / "evil").node("edge-1")
        context = client_context(authority)
        context.load_cert_chain(pair.certificate, pair.key)
        seen: list[bytes] = []

        async def handler(request) -> Response:
            seen.append(request.target)
            return Response(status=200)

        async with serving(handler, tls=server_context) as (server, address):
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await talk(address, context)
            assert seen == []
            assert server.connections == {}

    play(scenario)


async def talk(address, context) -> None:
    async with dialled(address, tls=context) as (reader, writer):
        writer.write(GET)
        await answer_of(reader)


def test_plain_http_on_a_tls_port_is_nothing(authority, server_context) -> None:
    async def scenario() -> None:
        async with (
            serving(who, tls=server_context) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET)
            assert b"HTTP" not in await reader.read()
            assert server.connections == {}

    play(scenario)


def test_an_idle_client_that_reads_no_end_does_not_hold_the_server_s(
    authority, server_context
) -> None:
    """A pod's pool of connections: nobody reads them until the next request."""

    async def scenario() -> None:
        context = client_context(authority)
        async with serving(who, tls=server_context, tls_end_seconds=0.05) as (
            server,
            address,
        ):

            def ask() -> ssl.SSLSocket:
                plain = socket.create_connection(address)
                link = context.wrap_socket(plain, server_hostname="127.0.0.1")
                link.sendall(GET)
                link.recv(4096)
                return link

            idle = await asyncio.to_thread(ask)
            async with asyncio.timeout(5):
                await server.drain(30.0)
            idle.close()

    play(scenario)


def test_nobody_writes_past_the_reader_once_the_client_has_said_its_end(
    authority, server_context
) -> None:
    async def scenario() -> None:
        outlets: list = []

        async def handler(_) -> Response:
            body = Pieces(b"event", gate=asyncio.Event())
            return Response(status=200, body=body, direct=outlets.append)

        async with (
            serving(handler, tls=server_context) as (server, address),
            dialled(address, tls=client_context(authority)) as (reader, writer),
        ):
            writer.write(GET)
            await reader.readuntil(b"event\r\n")
            (connection,) = server.connections.values()
            assert outlets[0].put is not None
            assert not connection.eof_received()
            assert outlets[0].put is None

    play(scenario)


def test_a_body_and_a_large_answer_pass_through_tls(authority, server_context) -> None:
    async def scenario() -> None:
        async def handler(request) -> Response:
            content = await whole(request.body)
            return Response(status=200, content=content * 2)

        context = client_context(authority)
        async with serving(handler, tls=server_context) as (_, (host, port)):
            origin = Origin(host, port, tls=lambda _: context)
            body = Body(b"x" * 3_000_000)
            answer = await origin.send("POST", b"/", HOST, body, credential="a")
            assert len(await whole(answer.body)) == 6_000_000
            assert origin.open == 1
            origin.close()

    play(scenario)


class Body:
    """A body of unknown length, in pieces."""

    length = None

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def read(self) -> bytes:
        piece, self.content = self.content[:70_000], self.content[70_000:]
        return piece

    def close(self) -> None:
        pass


# -- as a client ---------------------------------------------------------------------


async def ok(reader, writer) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(OK)


def test_a_server_of_the_cluster_s_authority_is_believed(
    authority, server_context
) -> None:
    async def scenario() -> None:
        context = client_context(authority, "edge-1")
        async with upstream(ok, tls=server_context, tls_of=context) as origin:
            answer = await origin.send("GET", b"/", HOST, None, credential="a")
            assert await whole(answer.body) == b"ok"

    play(scenario)


@pytest.mark.parametrize("trick", ["other authority", "other name", "expired", "plain"])
def test_any_other_server_is_unreachable(authority, tmp_path, trick: str) -> None:
    """And hears nothing: neither a token nor a certificate goes to it."""

    async def scenario() -> None:
        heard: list[bytes] = []

        async def serve(reader, writer) -> None:
            heard.append(await reader.read(65536))
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        issuer = Authority(tmp_path / "evil") if "authority" in trick else authority
        name = "10.0.0.1" if trick == "other name" else "127.0.0.1"
        pair = issuer.server(name, days=-1 if trick == "expired" else 30)
        tls = make_context(ServerFiles(certificate=pair.certificate, key=pair.key))
        context = client_context(authority)
        async with upstream(
            serve, tls=None if trick == "plain" else tls, tls_of=context
        ) as origin:
            with pytest.raises(UnreachableError, match=r"(?i)certificate|version|ssl"):
                await origin.send("GET", b"/", HOST, None, credential="a")
            assert origin.open == 0
        assert not any(b"GET" in one for one in heard)

    play(scenario)


def test_credentials_never_share_a_connection_nor_a_certificate(
    authority, server_context
) -> None:
    async def scenario() -> None:
        contexts = {
            "node": client_context(authority, "edge-1"),
            "anonymous": client_context(authority),
        }
        async with serving(who, tls=server_context) as (_, (host, port)):
            origin = Origin(host, port, tls=contexts.__getitem__)
            for _ in range(2):
                for credential, name in (
                    ("node", b"CN=system:node:edge-1,O=system:nodes"),
                    ("anonymous", b"nobody"),
                ):
                    answer = await origin.send(
                        "GET", b"/", HOST, None, credential=credential
                    )
                    assert await whole(answer.body) == name
            assert origin.open == 2
            origin.close()

    play(scenario)


# -- files that change -----------------------------------------------------------------


def node_files(authority: Authority, directory: Path, name: str) -> ClientFiles:
    """A node's certificate where a kubelet keeps it: one file, behind a link."""
    pair = authority.node(name)
    current = directory / "current.pem"
    target = directory / f"{name}.pem"
    target.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    fresh = directory / "fresh"
    fresh.symlink_to(target)
    fresh.replace(current)
    return ClientFiles(ca=authority.file, certificate=current, key=current)


def test_a_rotated_certificate_is_shown_on_new_connections_only(
    authority, server_context, tmp_path
) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        contexts = Contexts(node_files(authority, tmp_path, "one"), clock=clock)
        async with serving(who, tls=server_context) as (_, (host, port)):
            origin = Origin(host, port, tls=lambda _: contexts.current())

            async def name() -> bytes:
                answer = await origin.send("GET", b"/", HOST, None, credential="a")
                return await whole(answer.body)

            assert b"node:one," in await name()
            node_files(authority, tmp_path, "two")
            assert b"node:one," in await name()
            origin.close_idle()
            assert b"node:one," in await name()
            await clock.advance(1.0)
            origin.close_idle()
            assert b"node:two," in await name()
            assert contexts.changes == 1
            origin.close()

    play(scenario)


@pytest.mark.parametrize("damage", ["half", "gone", "garbage", "another's key"])
def test_a_rotation_that_went_wrong_keeps_the_old_and_is_told_once(
    authority, tmp_path, caplog, damage: str
) -> None:
    clock = VirtualClock()
    files = node_files(authority, tmp_path, "one")
    assert files.certificate is not None
    contexts = Contexts(files, clock=clock)
    first = contexts.current()
    target = tmp_path / "one.pem"
    whole_text = target.read_bytes()
    if damage == "half":
        target.write_bytes(whole_text[: len(whole_text) // 2])
    elif damage == "gone":
        files.certificate.unlink()
    elif damage == "garbage":
        target.write_bytes(b"garbage")
    else:
        other = authority.node("other").key.read_bytes()
        target.write_bytes(authority.node("one").certificate.read_bytes() + other)
    for _ in range(5):
        asyncio.run(clock.advance(1.0))
        assert contexts.current() is first
    assert [one.message for one in caplog.records] == [
        "a changed certificate cannot be used; the old one stays"
    ]
    assert "PRIVATE" not in caplog.text
    node_files(authority, tmp_path, "two")
    asyncio.run(clock.advance(1.0))
    assert contexts.current() is not first
    assert contexts.changes == 1


def test_files_are_looked_at_once_a_second(authority, tmp_path, monkeypatch) -> None:
    clock = VirtualClock()
    contexts = Contexts(node_files(authority, tmp_path, "one"), clock=clock)
    looks: list[Path] = []
    real = os.stat
    monkeypatch.setattr(
        os, "stat", lambda path, **options: looks.append(path) or real(path, **options)
    )
    for _ in range(50):
        contexts.current()
    assert looks == []
    asyncio.run(clock.advance(1.0))
    contexts.current()
    contexts.current()
    assert len(looks) == 3


def test_a_start_without_usable_files_is_an_error(authority, tmp_path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Contexts(ClientFiles(ca=tmp_path / "none"), clock=VirtualClock())
    (tmp_path / "bad").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        Contexts(ClientFiles(ca=tmp_path / "bad"), clock=VirtualClock())


def test_no_environment_and_no_system_root_is_believed(
    authority, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots"))
    context = client_context(authority)
    assert context.keylog_filename is None
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_awaited_certificate_is_shown_once_it_is_there(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pem = tmp_path / "current.pem"
    files = ClientFiles(ca=authority.file, certificate=pem, key=pem, awaited=True)
    contexts = Contexts(files, clock=VirtualClock())
    first = contexts.current()
    pem.write_text("junk")
    contexts.look_again()
    assert contexts.current() is not first
    node = authority.node("edge-1")
    pem.write_bytes(node.certificate.read_bytes() + node.key.read_bytes())
    contexts.look_again()
    assert contexts.current() is not first
    assert contexts.changes == 2
    strict = ClientFiles(ca=authority.file, certificate=tmp_path / "x", key=pem)
    with pytest.raises(OSError, match="No such file"):
        make_context(strict)
