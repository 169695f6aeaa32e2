# SPDX-License-Identifier: Apache-2.0
"""Fourteen secrets go through a hub that logs all it can; nobody finds them afterwards.

The hub is a process of its own with --log-level=debug. Looked through are its log, its
metrics and pages, every refusal that a caller heard, what `toono` prints, and its disk
(where Secrets belong, and tokens never). It is ended by a fault, and leaves no core.
"""

import asyncio
import base64
import json
import os
import resource
import signal
import ssl
import sys
from pathlib import Path

import pytest

from tests.rig import body, status_of
from tests.scenario.identities import RESOURCES, Cluster
from toono.testing.real import free_port
from toono.wire.messages import Request, Response

SECRET = RESOURCES["secret of a pod here"]
OBJECT = "canary-of-an-object"
BROKEN = "canary-of-a-broken-object"
FRAME = "canary-of-a-broken-frame"
QUERY = "canary-of-a-query"
BASIC = "canary-of-basic"
OPAQUE = "canary.ofanopaquetoken"
WEBSOCKET = "canary-of-a-websocket"
BROKEN_SECRET = "/api/v1/namespaces/shop/secrets/broken"
BROKEN_WATCH = "/api/v1/namespaces/shop/secrets?watch=true&resourceVersion=1"
TOKEN_REQUEST = "/api/v1/namespaces/shop/serviceaccounts/web/token"
JOIN = "canary.0123456789joining"
PAGES = (
    *("/", "/metrics", "/statusz", "/readyz?verbose", "/v1/agents", "/livez"),
    *("/v1/ready", "/v1/drill", "/v1/certificates", "/v1/token", "/nowhere"),
    *("/debug", "/debug/pprof/", "/debug/pprof/goroutine?debug=2", "/v1/spool"),
)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Hub:
    """A hub in its own process, and all that it and its callers said."""

    def __init__(self, directory: Path, form: str) -> None:
        self.directory, self.form = directory, form
        self.cluster = Cluster(directory)
        self.status_port = free_port()
        self.said = ""
        self.refusals: list[bytes] = []
        self.canaries: dict[str, str] = {}
        self.doors: dict[bool, tuple[str, int]] = {}
        self.served = 0

    async def start(self) -> None:
        await self.cluster.start()
        authority = self.cluster.authority
        node, serving = authority.node("edge-1"), authority.server("127.0.0.1")
        self.canaries["the node's key"] = node.key.read_text().splitlines()[1]
        self.child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "toono.cli", "run"),
            f"--server-addr={self.cluster.server.url}",
            f"--ca-file={authority.file}",
            f"--client-cert-file={node.certificate}",
            f"--client-key-file={node.key}",
            f"--serving-cert-file={serving.certificate}",
            f"--serving-key-file={serving.key}",
            "--node-name=edge-1",
            f"--disk-cache-path={self.directory / 'cache'}",
            *("--proxy-port=0", "--proxy-secure-port=0", "--cache-agents=*"),
            *("--heartbeat-interval-seconds=1", "--heartbeat-healthy-threshold=1"),
            "--enable-dummy-if=false",
            *(f"--serve-port={self.status_port}", f"--node-uids={os.getuid()}"),
            *("--log-level=debug", f"--log-format={self.form}", "--yurthub-metrics"),
            cwd=self.directory,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=_allow_cores,
        )
        self.reading = asyncio.ensure_future(self._read())
        async with asyncio.timeout(20):
            while len(self.doors) < 2:
                assert not self.reading.done(), self.said
                await asyncio.sleep(0.01)
            while "went online" not in self.said:
                await asyncio.sleep(0.01)

    async def _read(self) -> None:
        assert self.child.stdout is not None
        async for raw in self.child.stdout:
            line = raw.decode()
            self.said += line
            if line.startswith("serving "):
                self.doors["https" in line] = (
                    "127.0.0.1",
                    int(line.rsplit(":", 1)[1]),
                )

    async def send(self, raw: bytes, *, tls: bool) -> bytes:
        context = None
        if tls:
            context = ssl.create_default_context(cafile=self.cluster.authority.file)
        link = await asyncio.open_connection(*self.doors[tls], ssl=context)
        reader, writer = link
        try:
            writer.write(raw)
            async with asyncio.timeout(20):
                answer = await reader.read()
        finally:
            writer.transport.abort()
        if not answer or status_of(answer) >= 400:
            self.refusals.append(answer)
        self.served += bool(answer) and status_of(answer) < 400
        return answer

    async def ask(self, target: str, *lines: str, content: str = "") -> bytes:
        method = "POST" if content else "GET"
        head = [
            f"{method} {target} HTTP/1.1",
            *("Host: hub", "User-Agent: reader/1", "Connection: close"),
            *lines,
        ]
        if content:
            head += [
                "Content-Type: application/json",
                f"Content-Length: {len(content)}",
            ]
        raw = "\r\n".join([*head, "", content]).encode()
        return await self.send(raw, tls=bool(lines))

    async def page(
        self, path: str, form: str = "application/json", content: str = ""
    ) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.status_port)
        lines = [
            f"{'POST' if content else 'GET'} {path} HTTP/1.1",
            *("Host: a", f"Accept: {form}", "Connection: close"),
            *([f"Content-Length: {len(content)}"] if content else []),
        ]
        writer.write("\r\n".join([*lines, "", content]).encode())
        async with asyncio.timeout(60):
            answer = await reader.read()
        writer.close()
        return answer.decode()

    async def toono(self, *words: str, typed: str = "") -> str:
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "toono.cli", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await done.communicate(typed.encode())
        return said.decode()

    async def told(self) -> dict[str, str]:
        """Return all pages, and what each command prints."""
        pages = {one: await self.page(one) for one in PAGES}
        pages["the status page"] = await self.page("/", "text/html")
        assert "<html" in pages["the status page"]
        tokens = json.dumps({"jointoken": JOIN})
        pages["a join token"] = await self.page("/v1/token", content=tokens)
        path = f"--disk-cache-path={self.directory / 'cache'}"
        for words in (["cache", "ls"], ["cache", "verify"]):
            pages[" ".join(words)] = await self.toono(*words, path)
        port = f"--serve-port={self.status_port}"
        for words in (["cache", "agents"], ["cert", "show"], ["ready"]):
            pages[" ".join(words)] = await self.toono(*words, port)
        for name, canary in self.canaries.items():
            if "token" not in name:
                continue
            for form in ("text", "json"):
                said = await self.toono("who", "-", "-o", form, path, typed=canary)
                pages[f"who has {name}, as {form}"] = said
            pages[f"who has {name}, typed"] = await self.toono("who", canary, path)
        assert "shop:reader" in pages["who has a token, as text"]
        return pages

    def on_disk(self) -> bytes:
        files = (self.directory / "cache").rglob("*")
        return b"".join(one.read_bytes() for one in files if one.is_file())


def _allow_cores() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


async def broken(request: Request) -> Response | None:
    """Answer some questions with what cannot be read, secrets in it."""
    path = request.target.decode()
    headers = [(b"Content-Type", b"application/json")]
    if path == BROKEN_SECRET:
        text = f'{{"kind":"Secret","data":{{"a":"{encoded(BROKEN)}"}},"x":{BROKEN}'
        return Response(status=200, headers=headers, content=text.encode())
    if path == BROKEN_WATCH:
        text = f'{{"type":"ADDED","object":{{"data":"{FRAME}"}}}}\n{{"type":{FRAME}\n'
        return Response(status=200, headers=headers, content=text.encode())
    return None


async def everything_is_asked(hub: Hub) -> None:
    """Send each secret wherever it could be said again."""
    bearers = [name for name in hub.canaries if "token" in name]
    for name in bearers:
        line = f"Authorization: Bearer {hub.canaries[name]}"
        await hub.ask(SECRET, line)
        await hub.ask(BROKEN_SECRET, line)
        await hub.ask(f"/api/v1/namespaces/shop/pods/web-0/proxy/?token={QUERY}", line)
        await hub.ask(SECRET, line, line)
        await hub.ask(SECRET, line, f"Impersonate-User: {QUERY}")
    await hub.ask(SECRET)
    await hub.ask(BROKEN_SECRET)
    await hub.ask(BROKEN_WATCH)
    await hub.ask(f"{SECRET}?token={QUERY}&limit={QUERY}")
    await hub.ask(SECRET, f"Authorization: Basic {encoded(BASIC)}")
    await hub.ask(
        "/api/v1/namespaces/shop/pods/web-0/exec?command=a",
        *("Connection: Upgrade", "Upgrade: websocket"),
        "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io."
        + encoded(WEBSOCKET).rstrip("="),
    )
    await hub.send(f"GET /{QUERY}\x00 HTTP/1.1\r\n{QUERY}\r\n\r\n".encode(), tls=False)


async def play(directory: Path, form: str) -> tuple[Hub, dict[str, str], int]:
    hub = Hub(directory, form)
    cluster = hub.cluster
    secret = {"metadata": {"name": "db"}, "data": {"password": encoded(OBJECT)}}
    cluster.server.update("secrets", secret, namespace="shop")
    cluster.server.fault = broken
    now = cluster.clock.wall()
    hub.canaries |= {
        "a token": cluster.token("reader"),
        "a token without rights": cluster.token("web"),
        "an ended token": cluster.token("reader", now=now - 9000),
        "another cluster's token": cluster.others.mint("shop", "reader", now=now),
        "an opaque token": OPAQUE,
    }
    await hub.start()
    minted = await hub.ask(TOKEN_REQUEST, content='{"spec":{}}')
    hub.canaries["a minted token"] = json.loads(body(minted))["status"]["token"]
    await everything_is_asked(hub)
    assert (
        OBJECT
        in base64.b64decode(
            json.loads(body(await hub.ask(SECRET)))["data"]["password"]
        ).decode()
    )
    await cluster.server.aclose()
    async with asyncio.timeout(20):
        while "went offline" not in hub.said:
            await hub.ask("/version")
            await asyncio.sleep(0.05)
    await everything_is_asked(hub)
    pages = await hub.told()
    hub.child.send_signal(signal.SIGABRT)
    code = await hub.child.wait()
    await hub.reading
    return hub, pages, code


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_found_anywhere(tmp_path, form: str) -> None:
    hub, pages, code = asyncio.run(play(tmp_path, form))
    secrets = dict(hub.canaries)
    for one in (OBJECT, BROKEN, FRAME, BASIC, WEBSOCKET, JOIN):
        secrets[one] = one
        secrets[f"{one}, encoded"] = encoded(one).rstrip("=")[:-1]
    for name, token in hub.canaries.items():
        secrets[f"{name}'s end"] = token.rpartition(".")[2]
    places = {"its log": hub.said, **pages}
    places["refusals"] = b"\n".join(hub.refusals).decode("latin-1")
    found = [
        (name, place)
        for place, text in places.items()
        for name, secret in {**secrets, "a query": QUERY}.items()
        if secret in text and (name, place) != ("a query", "refusals")
    ]
    assert found == []
    assert hub.served > 5, "nothing was served: the run proves nothing"
    assert len(hub.refusals) > 20
    assert "answer not kept" in hub.said, "it did not log all it can"
    disk = hub.on_disk()
    assert encoded(OBJECT).encode() in disk
    tokens = {name: one for name, one in secrets.items() if "token" in name}
    assert [name for name, one in tokens.items() if one.encode() in disk] == []
    assert code == -signal.SIGABRT
    assert not [one for one in tmp_path.iterdir() if one.name.startswith("core")]
