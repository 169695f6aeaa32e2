# SPDX-License-Identifier: Apache-2.0
"""The fifteen scenarios in which known mappers fail, and what the mapper here costs.

Every scenario runs against the embedded API server over loopback, in both forms of
discovery; a row that is not right, or a figure that misses its bar, fails the run.

make bench-restmapper   prints the tables and writes bench/results/restmapper.md
"""

import asyncio
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bench.restmapper_cost import figures
from toono.restmapper import (
    GVR,
    DiscoveryUnavailableError,
    GroupKind,
    MapperSettings,
    NoMatchError,
    RESTMapper,
)
from toono.restmapper.transports.relay import RelayTransport
from toono.testing import APIServer
from toono.wire.client import Origin

RESULTS = Path(__file__).parent / "results"
FORMS = ("aggregated", "legacy")
X = "x.example.com"
CRDS = "customresourcedefinitions"
DRIVER, RIDER, ABSENT = (GroupKind(X, kind) for kind in ("Driver", "Rider", "Absent"))


class Row(NamedTuple):
    """What came of a scenario: the answers, the requests they took, whether right."""

    answers: str
    requests: str
    right: bool


class Stage:
    """One server, one mapper, and the requests that were made."""

    def __init__(self, server: APIServer, transport: "Slow", mapper: RESTMapper):
        self.server, self.transport, self.mapper = server, transport, mapper

    @property
    def count(self) -> int:
        return len(self.server.requests)

    def crd(self, kind: str, *versions: str) -> dict:
        plural = kind.lower() + "s"
        names = {"plural": plural, "singular": kind.lower(), "kind": kind}
        served = [{"name": version, "served": True} for version in versions]
        spec = {"group": X, "scope": "Namespaced", "names": names, "versions": served}
        return {"metadata": {"name": f"{plural}.{X}"}, "spec": spec}

    async def install(self, kind: str, *versions: str) -> None:
        self.server.create(CRDS, self.crd(kind, *versions))
        await self.server.definitions.settled()

    async def remove(self, kind: str) -> None:
        self.server.delete(CRDS, f"{kind.lower()}s.{X}")
        await self.server.definitions.settled()

    async def ask(self, kind: GroupKind, *versions: str) -> str:
        """The version found, or the class of the error."""
        try:
            return (await self.mapper.rest_mapping(kind, *versions)).kind.version
        except NoMatchError:
            return "NoMatch"
        except DiscoveryUnavailableError:
            return "Unavailable"

    async def cost(self, *questions: Awaitable[str]) -> tuple[list[str], int]:
        """The answers to questions asked one after another, and their requests."""
        before = self.count
        return [await each for each in questions], self.count - before


class Slow:
    """A transport that waits before it asks."""

    def __init__(self, transport: RelayTransport) -> None:
        self._transport, self.seconds = transport, 0.0

    @asynccontextmanager
    async def get(self, target, headers) -> AsyncIterator:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        async with self._transport.get(target, headers) as reply:
            yield reply


def connect(url: str) -> tuple[Origin, Slow]:
    """A transport over toono's own client."""
    host, port = url.removeprefix("http://").split(":")
    origin = Origin(host, int(port), tls=lambda credential: None)

    async def send(target, headers):
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        fields.append((b"Host", origin.authority.encode()))
        return await origin.send("GET", target.encode(), fields, None, credential=None)

    return origin, Slow(RelayTransport(send))


@asynccontextmanager
async def staged(form: str, **settings) -> AsyncIterator[Stage]:
    server = APIServer()
    server.discovery.aggregated = form == "aggregated"
    await server.start()
    origin, transport = connect(server.url)
    mapper = RESTMapper(transport, settings=MapperSettings(**settings))
    stage = Stage(server, transport, mapper)
    await stage.install("Driver", "v1")
    try:
        yield stage
    finally:
        await mapper.aclose()
        origin.close()
        await server.aclose()


def row(answers: list[str], requests: int, wanted: list[str], most: int) -> Row:
    right = answers == wanted and requests <= most
    return Row(", ".join(dict.fromkeys(answers)), str(requests), right)


# -- the scenarios -------------------------------------------------------------------


async def s1(form: str) -> Row:
    async with staged(form) as stage:
        await stage.ask(DRIVER)
        await stage.install("Rider", "v2")
        answers, requests = await stage.cost(stage.ask(RIDER), stage.ask(RIDER))
        return row(answers, requests, ["v2"] * 2, 2)


async def s1b(form: str) -> Row:
    async with staged(form) as stage:
        await stage.ask(DRIVER)
        await stage.install("Rider", "v2")
        answers, requests = await stage.cost(stage.ask(RIDER, "v2"), stage.ask(RIDER))
        return row(answers, requests, ["v2"] * 2, 2)


async def s2(form: str) -> Row:
    async with staged(form) as stage:
        await stage.ask(DRIVER)
        await stage.install("Rider", "v1")
        answers, requests = await stage.cost(stage.ask(RIDER, "v1"), stage.ask(RIDER))
        return row(answers, requests, ["v1"] * 2, 1)


async def s3_4(form: str) -> Row:
    async with staged(form) as stage:
        await stage.install("Rider", "v1")
        await stage.ask(DRIVER)
        before = stage.count
        answers = []
        for kind in ("Driver", "Rider"):  # with the second one the whole group goes
            await stage.remove(kind)
            stage.mapper.observe.not_served(f"/apis/{X}/v1/{kind.lower()}s")
            answers.append(await stage.ask(GroupKind(X, kind)))
        right = X not in stage.mapper.snapshot.groups
        made = row(answers, stage.count - before, ["NoMatch"] * 2, 4)
        return made._replace(right=made.right and right)


async def s5(form: str) -> Row:
    async with staged(form, poll_seconds=0.5, watch=False) as stage:
        stage.server.update(CRDS, stage.crd("Driver", "v1", "v2"))
        async with stage.mapper:
            while await stage.ask(DRIVER) != "v2":
                await asyncio.sleep(0.01)
            stage.server.discovery.preferred[X] = "v1"
            before = stage.count
            async with asyncio.timeout(5):
                while await stage.ask(DRIVER) != "v1":
                    await asyncio.sleep(0.01)
            return Row("v1 at the next poll", str(stage.count - before), True)


async def s5b(form: str) -> Row:
    async with staged(form) as stage:
        stage.server.update(CRDS, stage.crd("Driver", "v1", "v2"))
        await stage.server.definitions.settled()
        first = await stage.ask(DRIVER, "v1")
        answers, requests = await stage.cost(stage.ask(DRIVER))
        return row([first, *answers], requests, ["v1", "v2"], 2)


async def down(form: str, *versions: str) -> Row:
    async with staged(form) as stage:
        stage.server.set_available(X, "v1", available=False)
        answers, requests = await stage.cost(stage.ask(DRIVER, *versions))
        stage.server.set_available(X, "v1", available=True)
        began = time.monotonic()
        while (answer := await stage.ask(DRIVER, *versions)) == "Unavailable":
            if time.monotonic() - began > 5:
                break
            await asyncio.sleep(0.01)
        return row([*answers, answer], requests, ["Unavailable", "v1"], 4)


async def s6(form: str) -> Row:
    return await down(form)


async def s6b(form: str) -> Row:
    return await down(form, "v1")


async def s7(form: str) -> Row:
    async with staged(form) as stage:
        await stage.install("Rider", "v2")
        stage.server.set_available(X, "v2", available=False)
        answers, requests = await stage.cost(stage.ask(DRIVER), stage.ask(RIDER))
        most = 3 if form == "aggregated" else 7
        return row(answers, requests, ["v1", "Unavailable"], most)


async def s8(form: str) -> Row:
    async with staged(form) as stage:
        await stage.ask(DRIVER)
        unknown = GroupKind("absent.example.com", "Absent")
        groups = await stage.cost(*(stage.ask(unknown) for _ in range(100)))
        kinds = await stage.cost(*(stage.ask(ABSENT) for _ in range(100)))
        right = {*groups[0], *kinds[0]} == {"NoMatch"} and groups[1] + kinds[1] <= 4
        return Row("NoMatch", f"{groups[1]} / {kinds[1]}", right)


async def s9(form: str) -> Row:
    async with staged(form) as stage:
        await stage.ask(DRIVER)
        stage.transport.seconds = 1.5
        before = stage.count
        missing = asyncio.ensure_future(stage.ask(ABSENT))
        await asyncio.sleep(0.1)
        began = time.perf_counter()
        answer = await stage.ask(DRIVER)
        waited = time.perf_counter() - began
        right = answer == "v1" and waited < 0.001 and not missing.done()
        await missing
        told = f"hit in {waited * 1e6:.0f} us"
        return Row(told, str(stage.count - before), right)


async def together(form: str, kind: GroupKind, wanted: str) -> Row:
    async with staged(form) as stage:
        await stage.ask(DRIVER)
        if kind is RIDER:
            await stage.install("Rider", "v1")
        before = stage.count
        asked = (stage.ask(kind, "v1") for _ in range(50))
        answers = list(await asyncio.gather(*asked))
        return row(answers, stage.count - before, [wanted] * 50, 1)


async def s10(form: str) -> Row:
    return await together(form, RIDER, "v1")


async def s10b(form: str) -> Row:
    return await together(form, ABSENT, "NoMatch")


async def s11(form: str) -> Row:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "discovery"
        async with staged(form, file=file) as stage:
            await stage.ask(DRIVER)
            await stage.mapper.aclose()
            await stage.server.aclose()
            before = stage.count
            stage.mapper.invalidate()
            answers = [await stage.ask(DRIVER), await stage.ask(ABSENT)]
            settings = MapperSettings(file=file)
            stage.mapper = RESTMapper(stage.transport, settings=settings)
            answers += [await stage.ask(DRIVER), await stage.ask(ABSENT)]
            wanted = ["v1", "Unavailable"] * 2
            return row(answers, stage.count - before, wanted, 0)


async def s12(form: str) -> Row:
    async with staged(form) as stage:
        before = stage.count
        found = await stage.mapper.kind_for(GVR("", "", "drivers"))
        cold = stage.count - before
        again = await stage.mapper.kind_for(GVR("", "", "drivers"))
        warm = stage.count - before - cold
        right = found == again == (X, "v1", "Driver") and warm == 0
        most = 2 if form == "aggregated" else cold
        return Row("found", f"{cold}, then {warm}", right and cold <= most)


SCENARIOS: tuple[tuple[str, str, Callable[[str], Awaitable[Row]]], ...] = (
    ("S1", "new kind in a new version, no version asked, twice", s1),
    ("S1b", "same, version asked, then without", s1b),
    ("S2", "new kind in a known version, then without version", s2),
    ("S3/4", "kind deleted, then its whole group, after a 404 seen", s3_4),
    ("S5", "preferred version flips", s5),
    ("S5b", "v1 asked, then none; v2 preferred", s5b),
    ("S6", "aggregated API down, no version asked; then up", s6),
    ("S6b", "same, version asked", s6b),
    ("S7", "one version answers 503: the kind beside it, one in it", s7),
    ("S8", "100 lookups of an absent group / an absent kind", s8),
    ("S9", "hit while another miss takes 1.5 s", s9),
    ("S10", "50 lookups at once of one new kind", s10),
    ("S10b", "50 lookups at once of one absent kind", s10b),
    ("S11", "server gone: known, unknown; the same after a restart", s11),
    ("S12", "KindFor by plural alone; again", s12),
)


# -- the report ----------------------------------------------------------------------


async def scenarios() -> tuple[list[str], bool]:
    lines = [
        "| # | Scenario | Aggregated: answers | requests | Legacy: answers | requests | |",
        "|---|---|---|---|---|---|---|",
    ]
    right = True
    for name, what, run in SCENARIOS:
        rows = [await run(form) for form in FORMS]
        cells = [cell for each in rows for cell in each[:2]]
        good = all(each.right for each in rows)
        right = right and good
        verdict = "right" if good else "WRONG"
        lines.append(f"| {name} | {what} | {' | '.join(cells)} | {verdict} |")
    return lines, right


def measured() -> tuple[list[str], bool]:
    lines = ["| Work | Measured | Goal | |", "|---|---|---|---|"]
    right = True
    for figure in figures():
        right = right and figure.holds
        verdict = "" if not figure.goal else "holds" if figure.holds else "MISSED"
        lines.append(f"| {figure.what} | {figure.value} | {figure.goal} | {verdict} |")
    return lines, right


def main() -> None:
    logging.disable(logging.WARNING)
    rows, rows_right = asyncio.run(scenarios())
    costs, costs_right = measured()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    date = time.strftime("%Y-%m-%d", time.gmtime())
    text = "\n".join(
        [
            "# The REST mapper",
            "",
            f"`make bench-restmapper`, {date}, commit {commit}, Python"
            f" {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}.",
            "",
            "## Scenarios",
            "",
            *rows,
            "",
            "## Costs",
            "",
            *costs,
            "",
        ]
    )
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "restmapper.md").write_text(text)
    if not (rows_right and costs_right):
        sys.exit(1)


if __name__ == "__main__":
    main()
