# SPDX-License-Identifier: Apache-2.0
"""Everybody asks for everything, online and cut off: 160 questions.

Online the hub says what the API server says to that very credential, or to nobody's
where the caller has none. Cut off it says the same, or 503 where it was never asked;
never 200 where the API server would not.
"""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.rig import until
from tests.scenario.identities import HOST, POD, RESOURCES, Cluster, Site
from tests.scenario.real_identities import RealCluster
from tests.scenario.residents import Machine, Resident
from toono.identity.sockets import Owner
from toono.testing.real import assets


class Person(NamedTuple):
    """One caller: what it shows the hub, and whose credential the cloud must see."""

    shows: dict
    cloud: dict
    agents: tuple[str, ...] = ("reader", "kubelet")


def played_by(resident: Resident | None, otherwise: dict) -> dict:
    """Return how a caller is played: as a process of its own, else as it is told."""
    return {"resident": resident} if resident is not None else otherwise


def people(cluster: Cluster, machine: Machine) -> dict[str, Person]:
    node = cluster.authority.node("edge-1")
    other_node = cluster.authority.node("edge-2")
    now = cluster.clock.wall()
    reader, web = cluster.token("reader"), cluster.token("web")
    expired = cluster.token("reader", now=now - 7200, seconds=3600)
    foreign = cluster.others.mint("shop", "reader", now=now)
    nobody: dict = {}
    return {
        "kubelet": Person({}, {"pair": node}),
        "host root without token": Person({}, {"pair": node}, ("curl", "reader")),
        "host uid 1000": Person(
            played_by(machine.user, {"owner": Owner(1000, HOST)}), nobody
        ),
        "host-network pod root": Person(
            played_by(machine.pod_root, {"owner": Owner(0, POD)}), nobody
        ),
        "bridge pod without token": Person(
            {"remote": "10.244.0.7", **played_by(machine.bridge_pod, {})}, nobody
        ),
        "pod with the right": Person({"token": reader}, {"token": reader}),
        "pod without": Person({"token": web}, {"token": web}),
        "expired token": Person({"token": expired}, {"token": expired}),
        "another cluster's token": Person({"token": foreign}, {"token": foreign}),
        "another node's certificate": Person({"pair": other_node}, nobody),
    }


Codes = dict[tuple[str, str], set[int]]


async def all_answers(site: Site, everybody: dict[str, Person]) -> Codes:
    found: Codes = {}
    for name, person in everybody.items():
        for resource, target in RESOURCES.items():
            codes = found[name, resource] = set()
            for agent in person.agents:
                code, _ = await site.ask(target, agent=agent, **person.shows)
                codes.add(code)
    return found


async def true_answers(cluster: Cluster, everybody: dict[str, Person]) -> Codes:
    return {
        (name, resource): {await cluster.direct(target, **person.cloud)}
        for name, person in everybody.items()
        for resource, target in RESOURCES.items()
    }


class Grid(NamedTuple):
    cloud: Codes
    online: Codes
    offline: Codes
    cold: Codes
    """Offline after a restart: from the disk alone."""
    cold_before: Codes
    """Offline where nobody but the node and the reader ever asked."""
    seen: list[str]


async def play(cluster, directory, machine: Machine) -> Grid:
    await cluster.start()
    everybody = people(cluster, machine)
    cloud = await true_answers(cluster, everybody)
    site = Site(cluster, directory / "a", machine=machine)
    other = Site(cluster, directory / "b", machine=machine)
    before = len(cluster.seen)
    async with site.running(), other.running():
        await until(lambda: site.hub.upstream.online and other.hub.upstream.online)
        online = await all_answers(site, everybody)
        seen = cluster.seen[before:]
        for name in ("kubelet", "pod with the right"):
            await all_answers(other, {name: everybody[name]})
        for one in (site, other):
            await one.hub.ahead.idle()
        await cluster.aclose()
        await until(lambda: not (site.hub.upstream.online or other.hub.upstream.online))
        offline = await all_answers(site, everybody)
        cold_before = await all_answers(other, everybody)
    async with site.running():
        cold = await all_answers(site, everybody)
    return Grid(cloud, online, offline, cold, cold_before, seen)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.close()


@pytest.fixture(scope="module")
def grid(tmp_path_factory, machine: Machine) -> Grid:
    directory = tmp_path_factory.mktemp("grid")
    return asyncio.run(play(Cluster(directory), directory, machine))


CALLERS = (
    "kubelet",
    "host root without token",
    "host uid 1000",
    "host-network pod root",
    "bridge pod without token",
    "pod with the right",
    "pod without",
    "expired token",
    "another cluster's token",
    "another node's certificate",
)
CELLS = [(caller, resource) for caller in CALLERS for resource in RESOURCES]


@pytest.mark.parametrize("cell", CELLS, ids=" - ".join)
def test_online_the_answer_is_the_api_server_s_to_that_credential(
    grid: Grid, cell
) -> None:
    assert grid.online[cell] == grid.cloud[cell]


@pytest.mark.parametrize("cell", CELLS, ids=" - ".join)
def test_cut_off_it_is_the_same_or_503(grid: Grid, cell) -> None:
    assert right_offline(grid, cell)


def right_offline(grid: Grid, cell) -> bool:
    allowed = grid.cloud[cell] | {503}
    shown = grid.offline[cell] | grid.cold[cell] | grid.cold_before[cell]
    return shown <= allowed


def count_right(grid: Grid) -> int:
    right = sum(grid.online[cell] == grid.cloud[cell] for cell in CELLS)
    return right + sum(right_offline(grid, cell) for cell in CELLS)


def test_160_of_160_are_right(grid: Grid, capsys) -> None:
    right = count_right(grid)
    with capsys.disabled():
        print(f" identity grid: {right} of {2 * len(CELLS)}", end=" ")
    assert (right, len(set(CELLS)) * 2) == (160, 160)


def test_the_kernel_itself_told_the_callers_apart(machine: Machine) -> None:
    if machine.missing:
        pytest.skip(f"LOUD: this machine has no {', no '.join(machine.missing)}")


@pytest.mark.parametrize("resource", RESOURCES)
def test_whoever_may_read_online_reads_on(grid: Grid, resource: str) -> None:
    """Not vacuous: the right that was learned is used, and the refusal kept."""
    reader = ("pod with the right", resource)
    assert grid.cloud[reader] == {200}
    for found in (grid.offline, grid.cold, grid.cold_before):
        assert 200 in found[reader]
    refused = ("pod without", resource)
    assert grid.cloud[refused] == grid.offline[refused] == grid.cold[refused] == {403}
    assert grid.cold_before[refused] == {503}
    for name in ("expired token", "another cluster's token"):
        assert grid.cloud[name, resource] == {401}
        assert grid.offline[name, resource] == {401}
    kubelet = ("kubelet", resource)
    if grid.cloud[kubelet] == {200}:
        for found in (grid.offline, grid.cold, grid.cold_before):
            assert 200 in found[kubelet]


def test_the_node_s_credential_is_shown_for_the_node_alone(grid: Grid) -> None:
    """Three callers are the node or bring a token; the other four are nobody."""
    questions = len(RESOURCES) * 2
    assert grid.seen.count("system:node:edge-2") == 0
    asked = [name for name in grid.seen if name != "system:node:edge-1"]
    assert asked.count("system:anonymous") == 4 * questions
    assert {name for name in asked if "serviceaccount" in name} == {
        "system:serviceaccount:shop:reader",
        "system:serviceaccount:shop:web",
    }


def test_160_of_160_are_right_over_a_real_kube_apiserver(
    tmp_path, machine: Machine, capsys
) -> None:
    programs = assets()
    if isinstance(programs, str):
        with capsys.disabled():
            print(f"\nSKIPPED: the grid over a real API server: {programs}")
        pytest.skip(f"LOUD: {programs}")
    cluster = RealCluster(programs, tmp_path)
    grid = asyncio.run(play(cluster, tmp_path, machine))
    wrong = [
        (cell, grid.cloud[cell], grid.online[cell], grid.offline[cell])
        for cell in CELLS
        if grid.online[cell] != grid.cloud[cell] or not right_offline(grid, cell)
    ]
    assert wrong == []
    assert count_right(grid) == 160
    for resource in RESOURCES:
        reader = ("pod with the right", resource)
        assert grid.cloud[reader] == grid.offline[reader] == grid.cold[reader] == {200}
        assert grid.cloud["pod without", resource] == {403}
        assert grid.cloud["expired token", resource] == {401}
