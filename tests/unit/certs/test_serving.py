# SPDX-License-Identifier: Apache-2.0
"""Certificates of a listener, followed over real handshakes."""

import asyncio
import os
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from toono.certs.serving import check_serving, serving_context
from toono.errors import OptionError
from toono.runtime.clock import SystemClock
from toono.testing.certificates import Authority
from toono.testing.clock import VirtualClock
from toono.wire.tls import ServerFiles


def files_of(pair, **more) -> ServerFiles:
    return ServerFiles(certificate=pair.certificate, key=pair.key, **more)


def der(pair) -> bytes:
    found = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    return found.public_bytes(Encoding.DER)


async def shown(address, authority: Authority, name: str | None = None) -> bytes:
    """Return the certificate that a client meets; without a name it sends no SNI."""
    context = ssl.create_default_context(cafile=str(authority.file))
    context.check_hostname = name is not None
    _, writer = await asyncio.open_connection(
        *address, ssl=context, server_hostname=name or ""
    )
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return found


def test_each_handshake_gets_the_newest_certificate_and_old_links_stay(
    tmp_path,
) -> None:
    async def scenario() -> None:
        authority, clock = Authority(tmp_path), VirtualClock()
        first = authority.server("127.0.0.1", "kubernetes.default.svc")
        old = der(first)
        context = serving_context(files_of(first), clock=clock)

        async def echo(reader, writer) -> None:
            while line := await reader.readline():
                writer.write(line)
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
        address = server.sockets[0].getsockname()
        trusts = ssl.create_default_context(cafile=str(authority.file))
        reader, writer = await asyncio.open_connection(*address, ssl=trusts)
        for name in (None, "127.0.0.1", "kubernetes.default.svc"):
            assert await shown(address, authority, name) == old
        new = der(authority.server("127.0.0.1"))
        assert await shown(address, authority) == old
        await clock.advance(1.0)
        assert await shown(address, authority) == new
        first.key.write_text("half a key")
        await clock.advance(1.0)
        assert await shown(address, authority) == new
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        writer.close()
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


def test_files_that_cannot_be_used_are_named(tmp_path) -> None:
    authority = Authority(tmp_path)
    pair, other = authority.server("127.0.0.1"), authority.node("edge-1")
    for bad in (
        ServerFiles(certificate=pair.certificate, key=other.key),
        ServerFiles(certificate=tmp_path / "none.crt", key=pair.key),
        files_of(pair, client_ca=tmp_path / "none.crt"),
    ):
        with pytest.raises(OptionError, match="--serving-cert-file.*cannot be used"):
            serving_context(bad, clock=VirtualClock())


def test_what_pods_would_find_wrong_is_said_before_they_do(tmp_path) -> None:
    authority, foreign = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    now = SystemClock().wall()
    pair = authority.server("127.0.0.1", "10.96.0.1")

    def told(certificate, **how) -> list[str]:
        given = {"address": "10.96.0.1", "now": now} | how
        files = ServerFiles(
            certificate=certificate, key=pair.key, client_ca=authority.file
        )
        return check_serving(files, **given)

    assert told(pair.certificate) == []
    [problem] = told(pair.certificate, address="169.254.2.1")
    assert problem.endswith("is not for 169.254.2.1")
    [problem] = told(pair.certificate, now=now + 40 * 86400)
    assert " ended at " in problem
    [problem] = told(pair.certificate, now=now - 40 * 86400)
    assert " begins at " in problem
    [problem] = told(foreign.server("10.96.0.1").certificate)
    assert "no pod will believe it" in problem
    [problem] = told(authority.node("edge-1").certificate)
    assert problem.endswith("is not for 10.96.0.1")
    assert check_serving(files_of(pair), address="", now=now) == []
    [problem] = told(tmp_path / "none.crt")
    assert "cannot be read" in problem
    os.truncate(pair.certificate, 20)
    assert "cannot be read" in told(pair.certificate)[0]
