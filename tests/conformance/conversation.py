# SPDX-License-Identifier: Apache-2.0
"""Has the recorded conversation again, with another API server.

The exchanges belong together: what one created another updates, by the version and uid
it was told. So they are made in their order, and a `Book` translates what the recorded
server told into what this one told.
"""

import asyncio
import json
import re
from typing import Protocol

from tests.conformance.exchanges import Answer, Exchange, answer_of, read
from tests.conformance.rules import TOKEN, UID, VERSION, without_bookmarks
from tests.conformance.world import Object


class Server(Protocol):
    """An API server that holds the recorded world."""

    async def connect(
        self, exchange: Exchange | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection as who had the exchange; None is the administrator."""
        ...

    def as_sent(self, plural: str, content: Object) -> Object:
        """Return an object as it must be sent for this server to store it as told."""
        ...

    async def let_time_pass(self) -> None:
        """Called while an answer is awaited; for clocks that a test owns."""
        ...

    async def before(self, name: str) -> None:
        """Do what must be done to this server alone before an exchange."""
        ...


class Book:
    """Recorded uids, versions and tokens → this server's."""

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}

    def learn_now(self, exchange: Exchange, version: str) -> None:
        """Take a watch's version that no answer told for the current one."""
        asked = re.search(rb"resourceVersion=(\d{2,})", exchange.head)
        if asked is not None:
            self._known.setdefault(asked[1], version.encode())

    def learn(self, recorded: bytes, live: bytes) -> None:
        """Pair what two answers to the same question tell, but for bookmarks."""
        recorded, live = without_bookmarks(recorded), without_bookmarks(live)
        for pattern in (UID, VERSION, TOKEN):
            theirs, ours = pattern.findall(recorded), pattern.findall(live)
            if len(theirs) == len(ours):
                self._known.update(zip(theirs, ours, strict=True))

    def translate(self, exchange: Exchange) -> tuple[bytes, bytes]:
        """Return an exchange's head and body as this server must be asked."""
        body = UID.sub(self._of, exchange.body)
        body = re.sub(rb'(?<="resourceVersion": ")\d+', self._of, body)
        line, rest = exchange.head.split(b"\r\n", 1)
        line = re.sub(rb"(?<=resourceVersion=)\d+", self._of, line)
        line = re.sub(rb"(?<=continue=)[\w-]+", self._of, line)
        rest = re.sub(rb"(?<=Content-Length: )\d+", b"%d" % len(body), rest)
        return line + b"\r\n" + rest, body

    def _of(self, match: re.Match[bytes]) -> bytes:
        return self._known.get(match[0], match[0])


PATIENCE = 0.2
"""Seconds an answer gets before time is let pass: most need no time at all."""
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/crontabs.x.example.com"
CRONTABS_V2 = "/apis/x.example.com/v2/crontabs"
AGENT = "kubelet/v1.34.0 (linux/amd64) kubernetes/f28b4c9"
"""Who wrote the recorded world, by its managedFields."""
POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "", "namespace": "default", "labels": {"app": "web"}},
}


class Conversation:
    """One play of all exchanges."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._book = Book()
        self._exchanges = read()
        by_name = {each.name: each for each in self._exchanges}
        listed = json.loads(by_name["list-pods-json"].answer.body)["items"][0]
        pod = POD | {"spec": listed["spec"], "status": listed["status"]}
        self._pod = server.as_sent("pods", pod)

    async def play(self) -> dict[str, Answer]:
        """Have it, and return this server's answers by the exchanges' names."""
        answers = {}
        for exchange in self._exchanges:
            await self._server.before(exchange.name)
            await self._between(exchange.name)
            answers[exchange.name] = await self._have(exchange)
        return answers

    async def _have(self, exchange: Exchange) -> Answer:
        if exchange.is_watch:
            page = json.loads((await self.ask("GET", "/api/v1/pods?limit=1")).body)
            self._book.learn_now(exchange, page["metadata"]["resourceVersion"])
        head, body = self._book.translate(exchange)
        reader, writer = await self._server.connect(exchange)
        try:
            writer.write(head + b"\r\n\r\n" + body)
            async with asyncio.timeout(20):
                raw = b""
                if exchange.is_watch:
                    raw = await reader.readuntil(b"\r\n\r\n")
                    await self._meanwhile(exchange)
                raw += await self._rest(reader)
        finally:
            writer.close()
        answer = answer_of(raw)
        self._book.learn(exchange.answer.body, answer.body)
        return answer

    async def _rest(self, reader: asyncio.StreamReader) -> bytes:
        reading = asyncio.ensure_future(reader.read())
        try:
            while not reading.done():
                await self._server.let_time_pass()
                await asyncio.wait([reading], timeout=0.001)
            return reading.result()
        finally:
            reading.cancel()

    async def _between(self, name: str) -> None:
        """What was done unrecorded before an exchange."""
        if name == "after-v2-discovery-group":
            crd = json.loads((await self.ask("GET", CRD)).body)
            crd["spec"]["versions"].append(
                crd["spec"]["versions"][0] | {"name": "v2", "storage": False}
            )
            await self.ask("PUT", CRD, crd)
            await self._until(b'"v2"', "/apis/x.example.com")
        elif name == "after-crd-delete-list":
            await self.ask("DELETE", CRD)
            await self._until(b"404 page not found\n", "/apis/x.example.com")
            await self._until(b"404 page not found\n", CRONTABS_V2)
        elif name == "list-pods-continue-expired":
            page = await self.ask("GET", "/api/v1/pods?limit=1")
            token = re.search(rb"continue=([\w-]+)", self._named(name).head)
            assert token is not None
            self._book.learn(b'"continue":"%b"' % token[1], page.body)

    async def _until(self, part: bytes, path: str) -> None:
        """Wait for what controllers do in their own time."""
        async with asyncio.timeout(20):
            while part not in (await send(self._server, "GET", path)).body:
                await self._server.let_time_pass()

    async def _meanwhile(self, exchange: Exchange) -> None:
        """What was done while a watch was open."""
        names = dict.fromkeys(re.findall(rb"w-[a-z]+", exchange.answer.body))
        if "/pods" in exchange.target:
            await self._pods_come_and_go([name.decode() for name in names])
        elif exchange.name == "watch-crontabs-json":
            path = "/apis/x.example.com/v1/namespaces/default/crontabs/tick-0"
            await self.ask("PATCH", path, {"spec": {"replicas": 9}})
        elif exchange.name == "watch-single-name":
            path = "/api/v1/namespaces/default/configmaps/settings"
            await self.ask("PATCH", path, {"data": {"a": "9"}})

    async def _pods_come_and_go(self, names: list[str]) -> None:
        pods = "/api/v1/namespaces/default/pods"
        for name in names:
            meta = self._pod["metadata"] | {"name": name}
            await self.ask("POST", pods, self._pod | {"metadata": meta})
        for name in names:
            labels = {"metadata": {"labels": {"step": "2"}}}
            await self.ask("PATCH", f"{pods}/{name}", labels)
        for name in names:
            await self.ask("DELETE", f"{pods}/{name}?gracePeriodSeconds=0")

    def _named(self, name: str) -> Exchange:
        return next(each for each in self._exchanges if each.name == name)

    async def ask(self, method: str, target: str, content: object = None) -> Answer:
        """Make a request of the suite's own."""
        return await ask(self._server, method, target, content)


async def ask(
    server: Server, method: str, target: str, content: object = None
) -> Answer:
    """Make a request that must succeed."""
    answer = await send(server, method, target, content)
    assert answer.status < 300, (method, target, answer)
    return answer


async def send(
    server: Server,
    method: str,
    target: str,
    content: object = None,
    *,
    media: str = "",
    accept: str = "application/json",
) -> Answer:
    """Make a request; what is sent is JSON, or bytes as they are."""
    body = content if isinstance(content, bytes) else b""
    if not isinstance(content, bytes | None):
        body = json.dumps(content).encode()
    media = media or (
        "application/merge-patch+json" if method == "PATCH" else "application/json"
    )
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: server",
        f"User-Agent: {AGENT}",
        f"Accept: {accept}",
        f"Content-Type: {media}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    reader, writer = await server.connect(None)
    reading = asyncio.ensure_future(reader.read())
    try:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await asyncio.wait([reading], timeout=PATIENCE)
        while not reading.done():
            await server.let_time_pass()
            await asyncio.wait([reading], timeout=0.001)
        return answer_of(reading.result())
    finally:
        reading.cancel()
        writer.close()
