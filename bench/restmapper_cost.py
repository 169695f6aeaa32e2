# SPDX-License-Identifier: Apache-2.0
"""What the mapper costs: hits, misses of what is absent, and 5,000 CRDs."""

import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from toono.restmapper import (
    GVK,
    GVR,
    GroupKind,
    MapperSettings,
    NoMatchError,
    Reply,
    RESTMapper,
)
from toono.testing.apiserver.discovery import Discovery
from toono.testing.apiserver.resources import Resource, built_in

CRDS = 5000
GROUPS = 500
DEPLOYMENT = GroupKind("apps", "Deployment")
SAMPLES = 2001
BATCH = 100
ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Figure(NamedTuple):
    """One measured value and its bar, "" where it is only told."""

    what: str
    value: str
    goal: str = ""
    holds: bool = True


class Documents:
    """A transport that answers out of memory, so that only the mapper's work counts."""

    def __init__(self, resources: Iterable[Resource], *, aggregated: bool) -> None:
        self.discovery = Discovery()
        self.discovery.aggregated = aggregated
        self.resources = list(resources)
        self.hangs = False
        self.count = 0
        self._made: dict[str, tuple[int, dict[str, str], bytes]] = {}

    def change(self, resource: Resource) -> None:
        """Serve one more; its document is made here, not when it is asked for."""
        self.resources.append(resource)
        self._made.clear()
        for path in ("/api", "/apis"):
            self.document(path)

    @asynccontextmanager
    async def get(
        self, target: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Reply]:
        self.count += 1
        if self.hangs:
            await asyncio.sleep(3600)
        status, fields, body = self.document(target)
        if headers.get("if-none-match", "-") == fields.get("etag"):
            status, body = 304, b""
        yield Reply(status=status, headers=fields, chunks=_once(body))

    def document(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """The answer to who knows nothing yet."""
        if path not in self._made:
            fields = {b"accept": ACCEPT.encode()}
            response = self.discovery.answer(path, fields, self.resources)
            answered = {
                name.decode().lower(): value.decode()
                for name, value in response.headers
            }
            self._made[path] = (response.status, answered, response.content)
        return self._made[path]


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def many() -> list[Resource]:
    """The built-in resources and 5,000 custom ones."""
    custom = [
        Resource(
            group=f"group{place % GROUPS}.example.com",
            version="v1",
            plural=f"kind{place}s",
            kind=f"Kind{place}",
            custom=True,
            short_names=(f"k{place}",),
            categories=("all",),
            subresources=("status",),
        )
        for place in range(CRDS)
    ]
    return [*built_in().values(), *custom]


# -- hits ------------------------------------------------------------------------------


async def hits(mapper: RESTMapper) -> dict[str, float]:
    """Median microseconds of a hit, by call; each sample is a batch."""
    kind = GVK("apps", "v1", "Deployment")
    samples: dict[str, list[float]] = {"lookup": [], "no version": [], "version": []}
    for _ in range(SAMPLES):
        began = time.perf_counter_ns()
        for _ in range(BATCH):
            mapper.lookup(kind)
        middle = time.perf_counter_ns()
        for _ in range(BATCH):
            await mapper.rest_mapping(DEPLOYMENT)
        then = time.perf_counter_ns()
        for _ in range(BATCH):
            await mapper.rest_mapping(DEPLOYMENT, "v1")
        ended = time.perf_counter_ns()
        samples["lookup"].append(middle - began)
        samples["no version"].append(then - middle)
        samples["version"].append(ended - then)
    return {
        call: statistics.median(taken) / BATCH / 1000 for call, taken in samples.items()
    }


async def hit_figures() -> list[Figure]:
    documents = Documents(many(), aggregated=True)
    mapper = RESTMapper(documents, settings=MapperSettings(request_timeout=30))
    await mapper.rest_mapping(DEPLOYMENT)
    await mapper.resources_for(GVR("", "", "pods"))
    quiet = await hits(mapper)
    documents.hangs = True
    hanging = asyncio.ensure_future(mapper.refresh(timeout=30))
    await asyncio.sleep(0.05)
    slow = await hits(mapper)
    still = not hanging.done()
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    await mapper.aclose()
    found = [
        Figure(
            f"hit, `{call}`, median, 5,000 CRDs known",
            f"{taken:.2f} us",
            "<= 1 us",
            taken <= 1,
        )
        for call, taken in quiet.items()
    ]
    worst = max(slow[call] / quiet[call] for call in quiet)
    most = max(slow.values())
    value = f"{most:.2f} us, {worst:.2f} of without"
    holds = still and most <= 1
    found.append(Figure("the same while a refresh hangs", value, "<= 1 us", holds))
    return found


# -- misses ----------------------------------------------------------------------------


async def absent_figure(*, aggregated: bool) -> Figure:
    documents = Documents(built_in().values(), aggregated=aggregated)
    mapper = RESTMapper(documents)
    await mapper.rest_mapping(DEPLOYMENT)
    before, began, wrong = documents.count, time.monotonic(), 0
    for place in range(1000):
        try:
            await mapper.rest_mapping(GroupKind("apps", "Absent"))
            wrong += 1
        except NoMatchError:
            pass
        await asyncio.sleep(max(0.0, began + place / 1000 - time.monotonic()))
    requests = documents.count - before
    await mapper.aclose()
    form = "aggregated" if aggregated else "legacy"
    return Figure(
        f"1,000 lookups of an absent kind in {time.monotonic() - began:.2f} s, {form}",
        f"{requests} requests",
        "<= 10 requests",
        requests <= 10 and not wrong,
    )


# -- size ------------------------------------------------------------------------------


async def cpu(mapper: RESTMapper) -> float:
    """CPU milliseconds of a refresh, in all threads."""
    began = time.process_time()
    await mapper.refresh(timeout=60)
    return (time.process_time() - began) * 1000


def changed(documents: Documents, place: int) -> None:
    """One CRD more."""
    documents.change(
        Resource(
            group=f"group{place}.example.com",
            version="v1",
            plural=f"more{place}s",
            kind=f"More{place}",
            custom=True,
        )
    )


async def size_figures() -> list[Figure]:
    documents = Documents(many(), aggregated=True)
    changed(documents, 0)
    size = len(documents.document("/apis")[2])
    mapper = RESTMapper(documents)
    gc.collect()
    first = await cpu(mapper)
    later, unchanged = [], []
    for place in range(1, 12):
        changed(documents, place)
        gc.collect()
        later.append(await cpu(mapper))
        unchanged.append(await cpu(mapper))
    await mapper.aclose()
    worst = max(later)
    return [
        Figure(f"5,000 CRDs ({size / 1e6:.1f} MB): first load", f"{first:.0f} ms CPU"),
        Figure(
            "5,000 CRDs: a refresh after one more CRD, median of 11 (worst)",
            f"{statistics.median(later):.0f} ({worst:.0f}) ms CPU",
            "<= 100 ms CPU",
            statistics.median(later) <= 100,
        ),
        Figure(
            "5,000 CRDs: a refresh that finds nothing new",
            f"{statistics.median(unchanged):.1f} ms CPU",
        ),
    ]


async def memory_figure() -> Figure:
    documents = Documents(many(), aggregated=True)
    changed(documents, 0)
    mapper = RESTMapper(documents)
    tracemalloc.start()
    await mapper.refresh(timeout=60)
    gc.collect()
    first = tracemalloc.get_traced_memory()[0]
    for place in range(1, 11):
        changed(documents, place)
        await mapper.refresh(timeout=60)
    gc.collect()
    last = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    await mapper.aclose()
    value = f"{first / 1e6:.0f} MB, after ten changes {last / 1e6:.0f} MB"
    return Figure("5,000 CRDs: memory", value, "bounded", last < first * 1.5 + 10e6)


async def legacy_figure() -> Figure:
    documents = Documents(many(), aggregated=False)
    mapper = RESTMapper(documents, settings=MapperSettings(timeout=120))
    await mapper.resources_for(GVR("", "", "pods"))
    await mapper.refresh(timeout=60)  # so that every document is made
    before = documents.count
    taken = [await cpu(mapper) for _ in range(5)]
    requests = (documents.count - before) // 5
    await mapper.aclose()
    middle = statistics.median(taken)
    return Figure(
        f"5,000 CRDs, legacy, all {requests} documents read again, median of 5 (worst)",
        f"{middle:.0f} ({max(taken):.0f}) ms CPU",
        "<= 100 ms CPU",
        middle <= 100,
    )


async def _figures() -> list[Figure]:
    return [
        *await hit_figures(),
        await absent_figure(aggregated=True),
        await absent_figure(aggregated=False),
        *await size_figures(),
        await legacy_figure(),
        await memory_figure(),
    ]


def figures() -> list[Figure]:
    """Measure everything."""
    return asyncio.run(_figures())
