# SPDX-License-Identifier: Apache-2.0
"""A kubelet as the recordings show it: its questions, their order, what it takes for
an answer, and what makes it give up. Its informers list and watch, or watch-list.

It knows nothing of hubs. What would have killed or restarted a pod is in `touched`.
"""

import asyncio
import json
from dataclasses import dataclass, field

from toono.codec.protobuf import ProtobufCodec

CODEC = ProtobufCodec()
PROTOBUF = "application/vnd.kubernetes.protobuf"
AGENT = "kubelet/v1.34.0 (linux/amd64) kubernetes/0"
STRATEGIC = "application/strategic-merge-patch+json"
CONNECTIONS = 16
Key = tuple[str, str]


class GivesUpError(Exception):
    """A kubelet that hears this starts no pod."""


@dataclass
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes


class Connection:
    """One keep-alive connection, one request at a time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._streams: tuple | None = None

    async def send(self, method: str, target: str, content=b"", kind="") -> Answer:
        reader = await self.begin(method, target, content, kind)
        answer = await head_of(reader)
        length = int(answer.fields["content-length"])
        answer.body = await reader.readexactly(length)
        return answer

    async def begin(self, method: str, target: str, content=b"", kind=""):
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        lines = [
            f"{method} {target} HTTP/1.1",
            "Host: hub",
            f"User-Agent: {AGENT}",
            f"Accept: {PROTOBUF}, */*",
            *([f"Content-Type: {kind}"] if kind else []),
            *([f"Content-Length: {len(content)}"] if content else []),
            "\r\n",
        ]
        writer.write("\r\n".join(lines).encode() + content)
        return reader

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()


async def head_of(reader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines)
    assert "retry-after" not in fields, head
    return Answer(int(first.split()[1]), fields, b"")


async def pieces(reader):
    """The chunks of a body, until its clean end."""
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)


@dataclass
class Informer:
    """One reflector: a question, its objects, and the watch that keeps them."""

    kubelet: "Kubelet"
    path: str
    selector: str = ""
    objects: dict[Key, str] = field(default_factory=dict)
    version: str = "0"
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    watches: int = 0

    def target(self, **options: str) -> str:
        given = {"fieldSelector": self.selector} if self.selector else {}
        pairs = sorted((given | options).items())
        return self.path + "?" + "&".join(f"{k}={v}" for k, v in pairs)

    async def run(self) -> None:
        while True:
            if not self.synced.is_set() and not self.kubelet.watch_list:
                await self._list()
            connection = Connection(self.kubelet.address)
            try:
                await self._watch(connection)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                await asyncio.sleep(0.05)
            finally:
                connection.close()

    async def _list(self) -> None:
        answer = await self.kubelet.ask(
            "GET", self.target(limit="500", resourceVersion="0")
        )
        if answer.status != 200:
            raise GivesUpError(f"{self.path} {self.selector}: {answer}")
        listed = CODEC.split_list(answer.body)
        self._replace({(o.namespace, o.name): o.uid for o in listed.items})
        self.version = listed.resource_version
        self.synced.set()

    def _replace(self, objects: dict[Key, str]) -> None:
        for key in self.objects.keys() - objects.keys():
            self.kubelet.touched.append(f"{self.path} lost {key}")
        self.objects = objects

    async def _watch(self, connection: Connection) -> None:
        options = {"allowWatchBookmarks": "true", "watch": "true"}
        options |= {"timeoutSeconds": "400"}
        initial = not self.synced.is_set()
        if initial:
            options |= {"sendInitialEvents": "true"}
            options |= {"resourceVersionMatch": "NotOlderThan"}
        else:
            options |= {"resourceVersion": self.version}
        reader = await connection.begin("GET", self.target(**options))
        answer = await head_of(reader)
        if answer.status != 200:
            if initial:
                raise GivesUpError(f"{self.path} {self.selector}: {answer}")
            await asyncio.sleep(0.05)
            return
        self.watches += 1
        frames = CODEC.frames()
        first: dict[Key, str] = {}
        async for piece in pieces(reader):
            for frame in frames.feed(piece):
                initial = self._take(CODEC.read_event(frame), first, initial=initial)

    def _take(self, event, first: dict[Key, str], *, initial: bool) -> bool:
        if event.type == "ERROR":
            self.kubelet.relists.append(self.path)
            self.synced.clear()
            raise ValueError("expired")
        self.version = event.object.resource_version
        if event.type == "BOOKMARK":
            if initial and event.initial_events_end:
                self._replace(first)
                self.synced.set()
                return False
            return initial
        key, uid = (event.object.namespace, event.object.name), event.object.uid
        if event.type == "DELETED":
            self.kubelet.touched.append(f"{self.path} deleted {key}")
        elif initial:
            first[key] = uid
        else:
            if self.objects.get(key, uid) != uid:
                self.kubelet.touched.append(f"{self.path} replaced {key}")
            self.objects[key] = uid
        return initial


class Kubelet:
    """Starts as a kubelet does; `boot` returns once every pod could be started."""

    def __init__(
        self, address, node: str, bodies: "Bodies", *, watch_list: bool
    ) -> None:
        self.address = address
        self.node = node
        self.bodies = bodies
        self.watch_list = watch_list
        self.touched: list[str] = []
        self.relists: list[str] = []
        self.statuses: set[int] = set()
        self.tokens: dict[Key, str] = {}
        self.informers: dict[str, Informer] = {}
        self._free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        for _ in range(CONNECTIONS):
            self._free.put_nowait(Connection(address))
        self._tasks: list[asyncio.Task] = []

    async def ask(self, method: str, target: str, content=b"", kind="") -> Answer:
        connection = await self._free.get()
        try:
            return await connection.send(method, target, content, kind)
        finally:
            self._free.put_nowait(connection)

    async def boot(self) -> None:
        async with asyncio.timeout(60):
            await self._register()
            await asyncio.gather(
                self.inform("/api/v1/services", "spec.clusterIP%21%3DNone"),
                self.inform("/api/v1/nodes", f"metadata.name%3D{self.node}"),
                self.inform("/apis/storage.k8s.io/v1/csidrivers"),
                self.inform("/apis/node.k8s.io/v1/runtimeclasses"),
            )
            pods = f"spec.nodeName%3D{self.node}"
            mine = await self.inform("/api/v1/pods", pods)
            await asyncio.gather(*(self._start(*key, uid) for key, uid in mine.items()))

    @property
    def pods(self) -> dict[Key, str]:
        return self.informers["/api/v1/pods"].objects

    async def inform(self, path: str, selector: str = "") -> dict[Key, str]:
        """Return the objects of an informer once it has synced."""
        name = path if path in ("/api/v1/pods", "/api/v1/nodes") else path + selector
        informer = self.informers.get(name)
        if informer is None:
            informer = self.informers[name] = Informer(self, path, selector)
            self._tasks.append(asyncio.ensure_future(informer.run()))
            running = self._tasks[-1]
        else:
            running = None
        synced = asyncio.ensure_future(informer.synced.wait())
        waits = {synced} | ({running} if running else set())
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if running is not None and running.done():
            synced.cancel()
            running.result()
        await synced
        return informer.objects

    async def _register(self) -> None:
        """Any answer but these, and a kubelet tries for ever."""
        path = f"/apis/storage.k8s.io/v1/csinodes/{self.node}"
        for target in (path + "?resourceVersion=0", path):
            if (await self.ask("GET", target)).status == 404:
                raise GivesUpError("this node's CSINode is not there")
        answer = await self.ask("POST", "/api/v1/nodes", self.bodies.node, PROTOBUF)
        if answer.status not in (201, 409):
            raise GivesUpError(f"not registered: {answer}")
        if (await self.ask("GET", f"/api/v1/nodes/{self.node}")).status != 200:
            raise GivesUpError("this node cannot be read")
        await self.heartbeat()

    async def heartbeat(self) -> None:
        """Tell of the node, as every ten seconds."""
        target = f"/api/v1/nodes/{self.node}/status?timeout=10s"
        await self._patch(target, {"status": {}})

    async def _start(self, namespace: str, name: str, uid: str) -> None:
        base = f"/api/v1/namespaces/{namespace}"
        if (await self.ask("GET", f"{base}/pods/{name}")).status != 200:
            raise GivesUpError(f"pod {name} cannot be read")
        async with asyncio.TaskGroup() as group:
            for resource, wanted in self.bodies.mounts(name):
                selector = f"metadata.name%3D{wanted}"
                group.create_task(self._mount(f"{base}/{resource}", selector))
            group.create_task(self._token(namespace, name, uid))
        patch = {"metadata": {"uid": uid}, "status": {"phase": "Running"}}
        await self._patch(f"{base}/pods/{name}/status", patch)

    async def _mount(self, path: str, selector: str) -> None:
        if not await self.inform(path, selector):
            raise GivesUpError(f"{path} {selector}: not there")

    async def _token(self, namespace: str, pod: str, uid: str) -> None:
        target = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
        asked = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "spec": {
                "audiences": ["https://kubernetes.default.svc"],
                "expirationSeconds": 3607,
                "boundObjectRef": {
                    "kind": "Pod",
                    "apiVersion": "v1",
                    "name": pod,
                    "uid": uid,
                },
            },
        }
        content = json.dumps(asked).encode()
        answer = await self.ask("POST", target, content, "application/json")
        if answer.status != 201:
            raise GivesUpError(f"no token for {pod}: {answer}")
        status = read_token(answer)
        self.tokens[namespace, pod] = status

    async def _patch(self, target: str, patch: object) -> None:
        answer = await self.ask("PATCH", target, json.dumps(patch).encode(), STRATEGIC)
        if answer.status == 404:
            raise GivesUpError(f"{target} is taken for deleted")
        self.statuses.add(answer.status)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._free.empty():
            self._free.get_nowait().close()


def read_token(answer: Answer) -> str:
    from toono.codec.sent import read_sent, text_in

    values = read_sent(answer.body, answer.fields["content-type"])
    return text_in(values, "status", "token")


class Bodies:
    """What this node sends of itself, and what its pods mount."""

    def __init__(self, node: bytes) -> None:
        self.node = node

    def mounts(self, pod: str) -> list[tuple[str, str]]:
        return [
            ("secrets", f"{pod}-secret"),
            ("configmaps", f"{pod}-settings"),
            ("configmaps", "kube-root-ca.crt"),
        ]
