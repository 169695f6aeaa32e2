# SPDX-License-Identifier: Apache-2.0
"""What the cache's tests share: calls, bodies of a small cloud, a cache in memory."""

import asyncio
import json
import zlib
from unittest import mock

from toono.cache import passing
from toono.cache.answer import Answers
from toono.cache.documents import Documents
from toono.cache.policy import Policy
from toono.cache.record import Recorder, Recording
from toono.cache.record_watch import WatchRecording
from toono.cache.scopes import Scopes
from toono.cache.taking import Kept
from toono.codec.registry import for_media_type
from toono.errors import StoreFullError
from toono.kube.request import Call, Caller, parse
from toono.store.base import Batch
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock
from toono.wire.messages import Answer, BytesBody

CALLER = Caller(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))
JSON_FIELDS = {b"content-type": b"application/json"}


def call(target: str, *, method: str = "GET", agent: str = "kubelet/v1") -> Call:
    fields = {b"user-agent": agent.encode(), b"accept": b"application/json"}
    return parse(method, target.encode(), fields, CALLER)


def pod(name: str, version: int, **meta) -> dict:
    labels = meta.pop("labels", {})
    return {
        "metadata": {
            "name": name,
            "namespace": meta.pop("namespace", "default"),
            "uid": meta.pop("uid", "uid-" + name),
            "resourceVersion": str(version),
            "labels": labels,
            **meta,
        },
        "spec": {"nodeName": "edge-1"},
    }


def encode(content: dict) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def pod_list(version: int, *pods: dict, **meta) -> bytes:
    head = {"kind": "PodList", "apiVersion": "v1"}
    meta = {"resourceVersion": str(version), **meta}
    return encode(head | {"metadata": meta, "items": list(pods)})


def partial_list(version: int, *names: str) -> bytes:
    """Return pods' metadata alone, as a list."""
    kind, api_version = "PartialObjectMetadata", "meta.k8s.io/v1"
    head = {"kind": kind + "List", "apiVersion": api_version}
    items = [
        {"kind": kind, "apiVersion": api_version, "metadata": pod(name, 5)["metadata"]}
        for name in names
    ]
    return encode(
        head | {"metadata": {"resourceVersion": f"{version}"}, "items": items}
    )


def table(version: int, *names: str) -> bytes:
    """Return pods' names as a Table, as kubectl asks for it."""
    column = {"name": "Name", "type": "string", "format": "", "description": ""}
    rows = []
    for name in names:
        meta = pod(name, 5)["metadata"]
        shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        rows.append({"cells": [name], "object": shown | {"metadata": meta}})
    return encode(
        {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": str(version)},
            "columnDefinitions": [column | {"priority": 0}],
            "rows": rows,
        }
    )


def one(content: dict) -> bytes:
    return encode({"kind": "Pod", "apiVersion": "v1"} | content)


def event(kind: str, content: dict) -> bytes:
    whole = {"kind": "Pod", "apiVersion": "v1"} | content
    return encode({"type": kind, "object": whole})


def bookmark(version: int, *, end: bool = False) -> bytes:
    meta: dict = {"resourceVersion": str(version)}
    if end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return event("BOOKMARK", {"metadata": meta})


def not_found(name: str) -> bytes:
    return encode(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": f'pods "{name}" not found',
            "reason": "NotFound",
            "details": {"name": name, "kind": "pods"},
            "code": 404,
        }
    )


async def taken(
    recording: Recording, body: bytes, *, status: int = 200, fields=JSON_FIELDS
) -> Kept:
    """Have a whole answer recorded: at once, or every other in pieces as it passes."""
    if zlib.crc32(body) % 2:
        return await recording.finish(status, fields, body)
    answered = Answer(
        status=status, reason=b"", headers=[], fields=fields, body=BytesBody(b"")
    )
    step = len(body) // 5 + 1
    with mock.patch.object(passing, "BEGIN_BYTES", 96):
        for at in range(0, len(body), step):
            await recording.feed(body[at : at + step], answered)
    return await recording.finish_passed(answered)


class Cache:
    """A cache over a store in memory, driven as the pipeline drives it."""

    def __init__(self, store=None) -> None:
        self.clock = VirtualClock()
        self.store = store or MemoryStore()
        self.scopes = Scopes(self.store, clock=self.clock)
        self.recorder = Recorder(self.scopes, Policy.of("agent"))
        self.answers = Answers(self.scopes, "edge-1")
        self.documents = Documents(self.store, clock=self.clock)

    async def take(
        self,
        target: str,
        body: bytes,
        *,
        status: int = 200,
        method: str = "GET",
        **kind,
    ) -> None:
        """Record one whole answer."""
        recording = await self.recorder.begin(call(target, method=method, **kind))
        if recording is not None:
            kept = await recording.finish(status, JSON_FIELDS, body)
            if kept is not None:
                await kept

    async def watch(self, target: str) -> WatchRecording:
        """Begin to record a watch."""
        codec = for_media_type("application/json")
        assert codec is not None
        recording = WatchRecording(self.recorder, call(target), codec)
        await recording.ready()
        return recording

    async def list(self, target: str, **kind):
        """Answer a list from the cache: names, or the answer where it is none."""
        answer = await self.answers.list(call(target, **kind), lambda _: True)
        if not hasattr(answer, "items"):
            return type(answer).__name__
        names = [json.loads(item)["metadata"]["name"] for item in answer.items]
        return answer.scope.version, names

    async def get(self, target: str, **kind):
        """Answer a GET from the cache: the object's version, or what else it is."""
        answer = await self.answers.get(call(target, **kind), lambda _: True)
        if not hasattr(answer, "items"):
            return type(answer).__name__
        return json.loads(answer.items[0])["metadata"]["resourceVersion"]


class Journal(MemoryStore):
    """A store that remembers each batch, and can be full or slow."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[Batch, bool]] = []
        self.full = False

    def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
        if self.full:
            raise StoreFullError("full")
        self.batches.append((batch, sync))
        return super().apply(batch, sync=sync)

    async def after(self, steps: int) -> MemoryStore:
        """Return what a crash after so many batches leaves."""
        left = MemoryStore()
        for batch, _ in self.batches[:steps]:
            await left.apply(batch)
        return left


def run(scenario) -> None:
    """Run a test's scenario on a loop of its own."""
    asyncio.run(scenario())
