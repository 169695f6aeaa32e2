# SPDX-License-Identifier: Apache-2.0
"""The scope model against the embedded server's history.

Random changes, relabellings, lags and broken streams over overlapping questions; after
each step every answer the hub would give by itself must be exactly what the cloud held
at the version the answer names. TOONO_SCOPE_RUNS sets how many runs (`make prove`:
100,000).
"""

import asyncio
import json
import os
import random

from tests.unit.cache.kit import Cache, call, taken
from toono.cache.answer import Absent, Found
from toono.codec.registry import for_media_type
from toono.testing import APIServer
from toono.testing.clock import VirtualClock
from toono.wire.messages import BytesBody, Peer, Request

RUNS = int(os.environ.get("TOONO_SCOPE_RUNS", "300"))
PODS = "/api/v1/pods"
QUESTIONS = [
    PODS,
    PODS + "?labelSelector=color%3Dred",
    PODS + "?labelSelector=color+in+%28red%2Cblue%29",
    PODS + "?fieldSelector=spec.nodeName%3Dedge-1",
    "/api/v1/namespaces/shop/pods",
    "/api/v1/namespaces/shop/pods?labelSelector=color%3Dred",
    "/api/v1/namespaces/shop/pods?fieldSelector=metadata.name%3Da",
]
NAMES = [("shop", "a"), ("shop", "b"), ("home", "a"), ("home", "c")]
PEER = Peer(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))
BURST = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"


def joined(target: str, options: str) -> str:
    return target + ("&" if "?" in target else "?") + options


class Run:
    """One random run: a cloud, a cache, and the streams between them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.cache = Cache()
        self.clock = VirtualClock()
        self.server = APIServer(clock=self.clock, too_large_seconds=0)
        self.streams: list = []

    async def respond(self, target: str, method: str = "GET", body: bytes = b""):
        request = Request(
            method=method,
            target=target.encode(),
            headers=[],
            fields={b"content-type": b"application/json"},
            body=BytesBody(body),
            peer=PEER,
        )
        return await self.server.handle(request)

    async def exchange(
        self, target: str, method: str = "GET", body: bytes = b""
    ) -> None:
        """Ask the cloud through the recorder; sometimes the answer comes late."""
        recording = await self.cache.recorder.begin(call(target, method=method))
        response = await self.respond(target, method, body)
        if self.rng.random() < 0.3:
            self.change()
            await self.feed()
        fields = {name.lower(): value for name, value in response.headers}
        content = response.content
        whole = content if isinstance(content, bytes) else b"".join(content)
        if recording is not None and self.rng.random() < 0.95:
            await taken(recording, whole, status=response.status, fields=fields)

    def change(self) -> None:
        """Create, relabel, move or delete one object."""
        namespace, name = self.rng.choice(NAMES)
        now = self.server.storage.collection("pods").now
        old = now.get((namespace, name))
        if old is not None and self.rng.random() < 0.3:
            self.server.delete("pods", name, namespace=namespace)
            return
        content = {
            "metadata": {
                "name": name,
                "labels": {"color": self.rng.choice(["red", "blue", "green"])},
            },
            "spec": {"nodeName": self.rng.choice(["edge-1", "edge-2"])},
        }
        if old is None:
            self.server.create("pods", content, namespace=namespace)
        else:
            content["metadata"]["namespace"] = namespace
            self.server.update("pods", content, namespace=namespace)

    async def ask_list(self) -> None:
        question = self.rng.choice(QUESTIONS)
        lag = self.server.storage.version - self.rng.randrange(5)
        how = self.rng.randrange(4)
        if how == 0:
            at = max(lag, self.server.storage.compacted)
            exact = f"resourceVersion={at}&resourceVersionMatch=Exact"
            await self.exchange(joined(question, exact))
        elif how == 1:
            await self.exchange(joined(question, "resourceVersion=0"))
        elif how == 2:
            await self.pages(question)
        else:
            await self.exchange(question)

    async def pages(self, question: str) -> None:
        token = ""
        for _ in range(5):
            options = "limit=1" + (f"&continue={token}" if token else "")
            target = joined(question, options)
            response = await self.respond(target)
            await self.exchange(target)
            content = json.loads(response.content)
            token = content.get("metadata", {}).get("continue", "")
            if not token:
                return
            if self.rng.random() < 0.2:
                self.change()

    async def watch(self) -> None:
        question = self.rng.choice(QUESTIONS)
        if self.rng.random() < 0.4:
            target = joined(question, "watch=true&allowWatchBookmarks=true&" + BURST)
        else:
            start = self.server.storage.version - self.rng.randrange(6)
            start = self.rng.choice([start, self.held_version(question)])
            target = joined(question, f"watch=true&resourceVersion={start}")
        response = await self.respond(target)
        if response.body is None:
            return
        recording = await self.cache.watch(target)
        self.streams.append((response.body, recording))

    def held_version(self, question: str) -> int:
        asked = call(question)
        for scope in self.cache.scopes.about("kubelet", "", "pods", asked.name):
            if scope.question.label_selector == asked.label_selector:
                return scope.version or 1
        return 1

    async def feed(self) -> None:
        """Let some streams deliver what they have, in pieces; break others."""
        for stream in list(self.streams):
            body, recording = stream
            if self.rng.random() < 0.15:
                body.close()
                self.streams.remove(stream)
            elif body._frames and self.rng.random() < 0.7:
                piece = await body.read()
                cut = self.rng.randrange(len(piece))
                for part in (piece[:cut], piece[cut:]):
                    fed = recording.feed(part)
                    assert not fed.ended

    async def get(self) -> None:
        namespace, name = self.rng.choice(NAMES)
        target = f"/api/v1/namespaces/{namespace}/pods/{name}"
        how = self.rng.randrange(4)
        if how == 0:
            await self.exchange(target, "DELETE", b'{"gracePeriodSeconds":0}')
        elif how == 1:
            body = b'{"metadata":{"labels":{"color":"red"}}}'
            await self.exchange(target, "PATCH", body)
        else:
            await self.exchange(target)

    async def check(self) -> None:
        """Every answer of the hub's own equals the cloud's at the answer's version."""
        storage = self.server.storage
        for question in QUESTIONS:
            answer = await self.cache.answers.list(call(question), lambda _: True)
            if isinstance(answer, Found):
                got = sorted(names_and_versions(answer.items))
                assert got == self.truth(question, answer.scope.version), question
        for namespace, name in NAMES:
            target = f"/api/v1/namespaces/{namespace}/pods/{name}"
            answer = await self.cache.answers.get(call(target), lambda _: True)
            if isinstance(answer, Found):
                ((_, _, version),) = names_and_versions(answer.items)
                state = storage.collection("pods").at(answer.scope.version)
                assert state[namespace, name].version == version
            elif isinstance(answer, Absent):
                since = range(answer.scope.version, storage.version + 1)
                assert any(
                    (namespace, name) not in storage.collection("pods").at(version)
                    for version in since
                )

    def truth(self, question: str, version: int) -> list[tuple[str, str, int]]:
        from toono.testing.apiserver.query import Query, place_of, selection

        path, _, raw = question.partition("?")
        place = place_of(path)
        assert place is not None
        resource = self.server.resources["", "v1", "pods"]
        selects = selection(place, Query(raw), resource.fields)
        state = self.server.storage.collection("pods").at(version)
        return sorted(
            (*key, one.version) for key, one in state.items() if selects(one.object)
        )


def names_and_versions(items) -> list[tuple[str, str, int]]:
    found = []
    for item in items:
        meta = json.loads(item)["metadata"]
        version = int(meta["resourceVersion"])
        found.append((meta["namespace"], meta["name"], version))
    return found


async def one_run(seed: int) -> None:
    run = Run(seed)
    steps = [run.ask_list, run.watch, run.get, run.feed]
    for _ in range(run.rng.randrange(10, 50)):
        if run.rng.random() < 0.4:
            run.change()
        else:
            await run.rng.choice(steps)()
        await run.check()
    for body, _ in run.streams:
        body.close()


def test_every_offline_answer_is_the_cloud_s_at_its_version() -> None:
    assert for_media_type("application/json") is not None
    first = int(os.environ.get("TOONO_SEED", "1"))

    async def scenario() -> None:
        for seed in range(first, first + RUNS):
            try:
                await one_run(seed)
            except AssertionError as exc:
                raise AssertionError(f"seed {seed}: {exc}") from exc

    asyncio.run(scenario())
