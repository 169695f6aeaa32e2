# SPDX-License-Identifier: Apache-2.0
"""The facade for threads."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.restmapper.kit import Wire, X, gk, gvk, gvr, standard
from toono.restmapper import (
    AmbiguousKindError,
    Change,
    DiscoveryUnavailableError,
    MapperSettings,
    NoMatchError,
    SyncRESTMapper,
)

SETTINGS = MapperSettings(watch=False, poll_seconds=3600)


def mapper_of(cluster):
    wire = Wire(cluster, latency=0)
    return wire, SyncRESTMapper(lambda: wire, settings=SETTINGS)


def test_hits_are_answered_in_the_callers_thread():
    wire, facade = mapper_of(standard().add(X, "v1", "Driver"))
    with facade as mapper:
        mapper.load()
        sent = wire.count
        wire.hang.add("*")
        assert mapper.rest_mapping(gk(X, "Driver")).kind == gvk(X, "v1", "Driver")
        assert mapper.rest_mappings(gk(X, "Driver"), "v1")[0].kind.kind == "Driver"
        assert mapper.kind_for(gvr("", "", "drivers")).kind == "Driver"
        assert mapper.resource_for(gvr(X, "", "driver")).resource == "drivers"
        assert mapper.lookup(gvk(X, "v1", "Driver")) is not None
        assert wire.count == sent
        wire.hang.clear()


def test_many_threads_share_one_request():
    cluster = standard()
    wire, facade = mapper_of(cluster)
    with facade as mapper, ThreadPoolExecutor(20) as threads:
        mapper.load()
        cluster.add(X, "v1", "Driver")
        sent, start = wire.count, threading.Barrier(20)

        def ask(_):
            start.wait()
            return mapper.rest_mapping(gk(X, "Driver"), timeout=5).kind.version

        assert list(threads.map(ask, range(20))) == ["v1"] * 20
        assert wire.count - sent <= 2


def test_errors_are_raised_in_the_callers_thread():
    cluster = standard().add(X, "v1", "Driver").add(X, "v1", "Driver", plural="cars")
    _, facade = mapper_of(cluster)
    with facade as mapper:
        mapper.load()
        with pytest.raises(AmbiguousKindError):
            mapper.rest_mapping(gk(X, "Driver"))
        with pytest.raises(NoMatchError):
            mapper.rest_mapping(gk(X, "Absent"))
        with pytest.raises(NoMatchError):
            mapper.wait_for(gvk(X, "v1", "Absent"), timeout=0.3)


def test_events_block_until_something_happens():
    cluster = standard()
    _, facade = mapper_of(cluster)
    with facade as mapper, ThreadPoolExecutor(1) as threads:
        mapper.load()
        events = mapper.events()
        first = threads.submit(next, events)
        cluster.add(X, "v1", "Driver")
        mapper.refresh()
        assert first.result(5)[:2] == (Change.ADDED, gvk(X, "v1", "Driver"))


def test_outside_of_its_block_it_says_so():
    _, facade = mapper_of(standard())
    with pytest.raises(RuntimeError, match="outside of its `with` block"):
        facade.lookup(gvk("", "v1", "Pod"))
    with facade as mapper:
        mapper.load()
    with pytest.raises(DiscoveryUnavailableError, match="closed"):
        facade.refresh()
    assert facade.rest_mapping(gk("", "Pod")).kind.version == "v1"


def test_a_transport_that_cannot_be_made_is_told_and_leaves_no_thread():
    def broken():
        raise OSError("no such file: kubeconfig")

    with pytest.raises(OSError, match="kubeconfig"), SyncRESTMapper(broken):
        pass
    names = [thread.name for thread in threading.enumerate()]
    assert "restmapper" not in names


def test_the_transport_is_made_in_the_mappers_own_loop():
    loops = []

    def make():
        loops.append(asyncio.get_running_loop())
        return Wire(standard())

    with SyncRESTMapper(make, settings=SETTINGS):
        assert len(loops) == 1
