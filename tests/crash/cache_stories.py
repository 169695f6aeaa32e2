# SPDX-License-Identifier: Apache-2.0
"""What recorded caches live through: everything that feeds a scope, and what fails."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from tests.crash.cache_session import Hub
from tests.crash.cloud import (
    EDGE,
    KEYS,
    PODS,
    QUESTIONS,
    Age,
    Key,
    path_of,
)
from tests.unit.cache.kit import (
    bookmark,
    call,
    encode,
    event,
    not_found,
    one,
    pod_list,
    taken,
)
from toono.cache.received import JSON
from toono.cache.record import Recording
from toono.cache.record_watch import WatchRecording
from toono.cache.tree import Found, Resource, adopt_tree
from toono.codec.json import JSONCodec

LISTS = list(QUESTIONS)
SUCCESS = encode(
    {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
)


class Stream:
    """A watch between the cloud and the cache."""

    def __init__(self, question: str, recording: WatchRecording, at: int) -> None:
        self.question = question
        self.recording = recording
        self.at = at


class Life(Hub):
    """A hub, and all that its clients do and the cloud answers."""

    streams: list[Stream]
    keys = KEYS

    async def open(self) -> None:
        self.streams = []
        await super().open()

    def some_question(self) -> str:
        return self.chance.choice(LISTS)

    def some_key(self) -> Key:
        return self.chance.choice(self.keys)

    def body(self, question: str, age: Age) -> bytes:
        return pod_list(age.version, *self.cloud.select(question, age).values())

    def changes(self, most: int = 3) -> None:
        for _ in range(self.chance.randint(1, most)):
            self.cloud.change(self.chance, self.keys)

    async def begin(self, target: str, method: str = "GET") -> Recording:
        recording = await self.cache.recorder.begin(call(target, method=method))
        assert recording is not None
        return recording

    async def late(self) -> None:
        """Now and then an answer is overtaken by what happens."""
        if self.chance.random() < 0.3:
            self.changes()
            await self.feed()

    # -- lists -----------------------------------------------------------------

    async def list(self, question: str = "") -> None:
        """A consistent list. It may arrive late, and then be older than the scope."""
        question = question or self.some_question()
        recording = await self.begin(question)
        age = self.cloud.age
        body = self.body(question, age)
        await self.late()
        kept = await taken(recording, body)
        self.passes_on(question, kept)

    async def old_list(self) -> None:
        """A list of whatever version the server has: it may lag."""
        question = self.some_question()
        lag = self.chance.randrange(8)
        age = Age(self.cloud.life, max(101, self.cloud.version - lag))
        separator = "&" if "?" in question else "?"
        recording = await self.begin(f"{question}{separator}resourceVersion=0")
        body = self.body(question, age)
        self.passes_on(question, await taken(recording, body))

    async def pages(self, *, hole: bool = False) -> None:
        """A list in three pages, the middle one perhaps lost on its way to us."""
        question = self.some_question()
        age = self.cloud.age
        pods = list(self.cloud.select(question, age).values())
        separator = "&" if "?" in question else "?"
        for number in range(3):
            mine = pods[number::3]
            here = f"&continue=page-{number}" if number else ""
            recording = await self.begin(f"{question}{separator}limit=2{here}")
            onward = {"continue": f"page-{number + 1}"} if number < 2 else {}
            body = pod_list(age.version, *mine, **onward)
            if not (hole and number == 1):
                kept = await taken(recording, body)
                self.passes_on(question, kept)
            await self.late()

    # -- watches -----------------------------------------------------------------

    async def watch(self, question: str = "") -> None:
        """A watch from the scope's version, from before it, or from after it."""
        question = question or self.some_question()
        asked = call(question)
        scopes = self.cache.scopes.about("kubelet", "", "pods", asked.name)
        versions = [
            scope.version
            for scope in scopes
            if scope.question.label_selector == asked.label_selector
            and scope.question.namespace == asked.namespace
            and scope.question.field_selector == asked.field_selector
            and scope.epoch == self.cloud.life
        ]
        version = versions[0] if versions else self.cloud.version
        version += self.chance.choice([0, 0, 0, -2, 3])
        version = max(101, min(version, self.cloud.version))
        separator = "&" if "?" in question else "?"
        target = f"{question}{separator}watch=true&resourceVersion={version}"
        recording = await self.cache.watch(target)
        self.streams.append(Stream(question, recording, version))

    async def burst(self, *, whole: bool = True) -> None:
        """A watch-list; where it is not whole, its end is no end of a burst."""
        question = self.some_question()
        separator = "&" if "?" in question else "?"
        recording = await self.cache.watch(
            f"{question}{separator}watch=true&allowWatchBookmarks=true"
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        )
        age = self.cloud.age
        pods = list(self.cloud.select(question, age).values())
        if not whole:
            pods = pods[1:]
        frames = [event("ADDED", pod) for pod in pods]
        frames.append(bookmark(age.version, end=whole))
        await self.late()
        fed = recording.feed(b"".join(frames))
        self.passes_on(question, fed.kept)
        if whole:
            self.streams.append(Stream(question, recording, age.version))

    async def feed(self) -> None:
        """Streams deliver what they have, in pieces; some end."""
        for stream in list(self.streams):
            if self.chance.random() < 0.1:
                self.streams.remove(stream)
            elif self.chance.random() < 0.8:
                self.deliver(stream)

    def deliver(self, stream: Stream) -> None:
        frames = self.cloud.events(stream.question, stream.at)
        stream.at = self.cloud.version
        if self.chance.random() < 0.3:
            frames.append(self.cloud.bookmark())
        for frame in frames:
            cut = self.chance.randrange(len(frame))
            for piece in (frame[:cut], frame[cut:]):
                fed = stream.recording.feed(piece)
                if fed.ended:
                    self.streams.remove(stream)
                    return
                self.passes_on(
                    stream.question, fed.kept if frame is frames[-1] else None
                )

    def garble(self) -> None:
        """A frame comes that says nothing to us."""
        if self.streams:
            stream = self.streams.pop()
            stream.recording.feed(event("CHANGED", {"metadata": {}}))

    # -- one object --------------------------------------------------------------

    async def get(self, key: Key | None = None) -> None:
        key = key or self.some_key()
        recording = await self.begin(path_of(key))
        _age, pod = self.cloud.age, self.cloud.now.get(key)
        await self.late()
        if pod is None:
            kept = await taken(recording, not_found(key[1]), status=404)
        else:
            kept = await taken(recording, one(pod))
        self.passes_on(path_of(key), kept)

    async def old_get(self) -> None:
        """A GET of whatever version the server has, as kubelets ask by default."""
        key = self.some_key()
        lag = self.chance.randrange(8)
        age = Age(self.cloud.life, max(101, self.cloud.version - lag))
        recording = await self.begin(f"{path_of(key)}?resourceVersion=0")
        pod = self.cloud.at(age).get(key)
        if pod is None:
            kept = await taken(recording, not_found(key[1]), status=404)
        else:
            kept = await taken(recording, one(pod))
        self.passes_on(path_of(key), kept)

    async def foreign_404(self) -> None:
        """A 404 that is about something else: the namespace, a webhook."""
        recording = await self.begin(path_of(self.some_key()))
        body = not_found("some-webhook")
        assert await taken(recording, body, status=404) is None

    async def delete(self) -> None:
        key = self.some_key()
        recording = await self.begin(path_of(key), "DELETE")
        if key not in self.cloud.now:
            return
        self.cloud.delete(key)
        await self.late()
        kept = await taken(recording, SUCCESS)
        self.passes_on(path_of(key), kept)

    async def patch(self) -> None:
        key = self.some_key()
        if key not in self.cloud.now:
            return
        recording = await self.begin(path_of(key), "PATCH")
        self.cloud.put(key, color="red", node="edge-1")
        pod = self.cloud.now[key]
        await self.late()
        await taken(recording, one(pod))

    # -- the world ---------------------------------------------------------------

    async def fill(self) -> None:
        """The disk does not keep up while streams deliver."""
        self.changes()
        self.store.full = True
        for stream in self.streams:
            self.deliver(stream)
        self.store.full = False

    def flush(self) -> None:
        self.cache.scopes.flush()

    async def restore(self) -> None:
        """The cloud goes back; its clients come again, some before others."""
        back = self.chance.randint(35, 45)  # it does not catch up unnoticed
        self.streams = []
        self.cloud.restore(max(101, self.cloud.version - back))
        asks: list[Callable[[], Awaitable[None]]] = [
            *(partial(self.list, question) for question in LISTS),
            *(partial(self.get, key) for key in KEYS),
        ]
        self.chance.shuffle(asks)
        for number, asked in enumerate(asks):
            if number % 3 == 1:
                await self.step(partial(self.changes, 1))
            await self.step(asked)

    def adopt(self) -> None:
        """A tree that YurtHub wrote is read in, whatever is there by now."""
        codec = JSONCodec()
        singles = [codec.read_single(one(pod)) for pod in self.cloud.tree.values()]
        if singles:
            resource = Resource("kubelet", "", "v1", "pods")
            found = Found(resource, JSON, singles, "PodList")
            adopt_tree(self.cache.scopes, [found])


async def ordinary(hub: Life) -> None:
    """Everything that goes well, or late, in any order; and the disk follows."""
    await _begin(hub)
    steps: Mapping[Callable[[], object], int] = {
        hub.changes: 4,
        hub.list: 3,
        hub.old_list: 1,
        hub.pages: 1,
        hub.watch: 3,
        hub.burst: 2,
        hub.feed: 8,
        hub.get: 4,
        hub.old_get: 2,
        hub.delete: 2,
        hub.patch: 2,
        hub.flush: 1,
    }
    await _live(hub, steps, 45)


async def troubled(hub: Life) -> None:
    """What is lost, broken, foreign or old comes in between."""
    await _begin(hub)
    steps: Mapping[Callable[[], object], int] = {
        hub.changes: 3,
        hub.list: 3,
        hub.old_list: 2,
        hub.watch: 3,
        hub.burst: 1,
        hub.feed: 6,
        hub.get: 2,
        hub.old_get: 1,
        hub.delete: 1,
        hub.garble: 1,
        hub.fill: 2,
        hub.foreign_404: 2,
        hub.flush: 2,
        hub.adopt: 1,
        partial(hub.burst, whole=False): 1,
        partial(hub.pages, hole=True): 1,
    }
    await _live(hub, steps, 45)


async def overlapping(hub: Life) -> None:
    """Lists of one pod that comes and goes, each question at its own version."""
    hub.keys = KEYS[:1]
    await _begin(hub)
    steps: Mapping[Callable[[], object], int] = {
        partial(hub.changes, 1): 4,
        hub.list: 4,
        hub.old_list: 2,
        hub.get: 1,
        hub.watch: 1,
        hub.feed: 1,
    }
    await _live(hub, steps, 60)


async def restored(hub: Life) -> None:
    """The cloud is restored from a backup half way."""
    for _ in range(15):
        hub.changes(4)
    await ordinary(hub)
    await hub.step(hub.restore)
    await hub.fall_due()
    steps: Mapping[Callable[[], object], int] = {
        hub.changes: 3,
        hub.list: 2,
        hub.watch: 3,
        hub.feed: 6,
        hub.get: 3,
        hub.delete: 1,
    }
    await _live(hub, steps, 20)


async def imported(hub: Life) -> None:
    """A tree is there first, and is older than all that the cloud says."""
    hub.changes(4)
    hub.cloud.tree = dict(hub.cloud.now)
    hub.changes(4)
    await hub.step(hub.adopt)
    await hub.fall_due()
    steps: Mapping[Callable[[], object], int] = {
        hub.changes: 2,
        hub.get: 4,
        hub.delete: 2,
        hub.patch: 2,
        hub.adopt: 2,
    }
    await _live(hub, steps, 12)
    await hub.step(hub.restart)
    await _live(hub, {**steps, partial(hub.list, EDGE): 2}, 12)
    await hub.step(hub.list)
    await _live(hub, {**steps, hub.watch: 2, hub.feed: 4}, 12)


async def _begin(hub: Life) -> None:
    hub.changes(6)
    hub.cloud.tree = dict(hub.cloud.now)
    hub.changes(3)
    await hub.step(partial(hub.list, PODS))
    await hub.step(partial(hub.watch, PODS))


async def _live(
    hub: Life, steps: Mapping[Callable[[], object], int], count: int
) -> None:
    """Take steps by chance, each as often as its weight says."""
    chance = hub.chance
    actions, weights = list(steps), list(steps.values())
    for number in range(count):
        await hub.step(chance.choices(actions, weights)[0])
        if chance.random() < 0.6:
            await hub.settle()
        if chance.random() < 0.15:
            await hub.fall_due()
        if number == count // 2:
            await hub.fall_due()
            await hub.step(hub.restart)
    await hub.fall_due()


STORIES: Mapping[str, Callable[[Life], Awaitable[None]]] = {
    "ordinary": ordinary,
    "troubled": troubled,
    "overlapping": overlapping,
    "restored": restored,
    "imported": imported,
}
