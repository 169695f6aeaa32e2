# SPDX-License-Identifier: Apache-2.0
"""A real API server: found, started, told off when it does not come up.

The programs here are stand-ins; tests/conformance runs the real ones where they are.
"""

import asyncio
import ssl
import sys
from pathlib import Path

import pytest

from toono.testing.certificates import Authority
from toono.testing.real import NotStartedError, RealServer, assets, free_port

READY = """
import http.server, ssl, sys
options = dict(each.removeprefix("--").split("=", 1) for each in sys.argv[1:])
print(" ".join(sys.argv[1:]), flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.connection.getpeercert()["subject"][-1][0][1]
        self.send_response(200, name)
        self.end_headers()
    def log_message(self, *_):
        pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(options["tls-cert-file"], options["tls-private-key-file"])
context.load_verify_locations(options["client-ca-file"])
context.verify_mode = ssl.CERT_REQUIRED
address = (options["bind-address"], int(options["secure-port"]))
server = http.server.HTTPServer(address, Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
WAITS = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"
FAILS = "import sys\nsys.exit('no such option: ' + sys.argv[1][:14])\n"


def program(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    program(directory, "etcd", WAITS)
    program(directory, "kube-apiserver", READY)
    return directory


def test_programs_are_found_or_it_is_said_why_not(programs: Path) -> None:
    assert assets({"KUBEBUILDER_ASSETS": str(programs)}) == programs
    assert assets({}) == (
        "KUBEBUILDER_ASSETS names no directory with etcd and kube-apiserver"
    )
    (programs / "etcd").unlink()
    told = assets({"KUBEBUILDER_ASSETS": str(programs)})
    assert told == f"KUBEBUILDER_ASSETS={programs} holds no program etcd"


def test_a_server_that_is_ready_is_used_and_stopped(
    programs: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with RealServer(programs, tmp_path / "run") as server:
            reader, writer = await server.connect(server.admin)
            writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
            assert (await reader.readline()).strip().endswith(b" 200 admin")
            writer.close()
            await server.restart()
            reader, writer = await server.connect(server.authority.node("n"))
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await reader.readline()).strip().endswith(b" 200 system:node:n")
            writer.close()
        with pytest.raises(OSError, match="."):
            await server.connect(server.admin)
        assert server._running == {}

    asyncio.run(scenario())
    told = (tmp_path / "run" / "kube-apiserver.log").read_text()
    assert "--authorization-mode=Node,RBAC" in told
    assert told.count("--etcd-servers=http://127.0.0.1:") == 2


def test_a_server_that_ends_is_told_with_its_last_words(
    programs: Path, tmp_path: Path
) -> None:
    program(programs, "kube-apiserver", FAILS)

    async def scenario() -> RealServer:
        server = RealServer(programs, tmp_path / "run")
        with pytest.raises(NotStartedError, match="no such option: --etcd-servers"):
            await server.__aenter__()
        return server

    assert asyncio.run(scenario())._running == {}


def test_a_server_that_never_gets_ready_is_given_up(
    programs: Path, tmp_path: Path
) -> None:
    program(programs, "kube-apiserver", WAITS)

    async def scenario() -> None:
        server = RealServer(programs, tmp_path / "run", start_seconds=0)
        with pytest.raises(NotStartedError, match="kube-apiserver did not start"):
            await server.__aenter__()

    asyncio.run(scenario())


def test_a_client_without_a_certificate_shows_none(tmp_path: Path) -> None:
    server = RealServer(tmp_path, tmp_path / "run")
    assert isinstance(server.authority, Authority)
    context = server.tls(None)
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_free_ports_are_free() -> None:
    first, second = free_port(), free_port()
    assert first != second
    assert 1024 < first < 65536
