# SPDX-License-Identifier: Apache-2.0
"""What a proxy tells, and what of it is a signal."""

import asyncio
import logging

import pytest

from tests.unit.restmapper.kit import (
    API_SERVICE_PATH,
    CRD_PATH,
    Wire,
    X,
    gk,
    gvk,
    mapper_over,
    standard,
)
from tests.unit.restmapper.virtual import run
from toono.restmapper import NoMatchError, Scope

ROOT = f"/apis/{X}/v1"


def signals(tell):
    """How many signals `tell` gives to a mapper that knows drivers."""

    async def main():
        mapper = mapper_over(Wire(standard().add(X, "v1", "Driver")))
        await mapper.load()
        tell(mapper.observe)
        return mapper.statistics().signals

    return run(main())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"{CRD_PATH}/drivers.{X}", 1),
        (CRD_PATH, 1),
        (f"{API_SERVICE_PATH}/v1.{X}", 1),
        (f"{ROOT}/drivers/a", 0),
        ("/api/v1/namespaces/a/pods", 0),
        ("/version", 0),
    ],
)
def test_writes_of_crds_and_api_services_are_signals(target, expected):
    assert signals(lambda observe: observe.write(target)) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [(f"{ROOT}/drivers/a", 1), (f"{ROOT}/others", 0), ("/healthz", 0)],
)
def test_a_404_of_something_known_is_a_signal(target, expected):
    assert signals(lambda observe: observe.not_served(target)) == expected


@pytest.mark.parametrize(
    ("target", "api_version", "kind", "expected"),
    [
        (f"{ROOT}/drivers", f"{X}/v1", "DriverList", 0),
        (f"{ROOT}/drivers", f"{X}/v1", "PilotList", 1),
        (f"{ROOT}/riders", f"{X}/v1", "RiderList", 1),
        (f"{ROOT}/riders", "meta.k8s.io/v1", "Table", 0),
        (f"{ROOT}/riders/a/status", f"{X}/v1", "Rider", 0),
    ],
)
def test_a_body_of_something_new_is_a_signal(target, api_version, kind, expected):
    assert signals(lambda observe: observe.body(target, api_version, kind)) == expected


@pytest.mark.parametrize("body", [b"", b"{", b'"\xff"', b"[]", b"{}"])
def test_a_version_that_cannot_be_read_tells_nothing(body):
    def tell(observe):
        observe.version(b'{"gitVersion":"v1.34.0"}')
        observe.version(body)
        assert observe.git_version == "v1.34.0"

    assert signals(tell) == 0


def test_another_version_is_a_signal():
    def tell(observe):
        observe.version(b'{"gitVersion":"v1.34.0"}')
        observe.version(b'{"gitVersion":"v1.35.0"}')

    assert signals(tell) == 1


def test_what_a_body_showed_is_answered_before_discovery_shows_it():
    async def main():
        mapper = mapper_over(Wire(standard()))
        await mapper.load()
        mapper.observe.body(f"{ROOT}/namespaces/a/drivers", f"{X}/v1", "DriverList")
        found = await mapper.rest_mapping(gk(X, "Driver"))
        assert found.resource.resource == "drivers"
        assert found.scope is Scope.NAMESPACED

    run(main())


def test_a_crd_that_cannot_be_read_makes_the_mapper_ask(caplog):
    async def main():
        cluster = standard()
        wire = Wire(cluster)
        wire.watch_status = 200
        async with mapper_over(wire, poll_seconds=3600) as mapper:
            await mapper.load()
            await asyncio.sleep(20)
            cluster.add(X, "v1", "Driver")
            broken = {"metadata": {"name": f"drivers.{X}"}, "spec": 7}
            wire.tell("ADDED", broken)
            await asyncio.sleep(1)
            assert mapper.lookup(gvk(X, "v1", "Driver"))

    with caplog.at_level(logging.WARNING):
        run(main())
    assert "CRD cannot be read" in caplog.text


def test_a_signal_while_nobody_runs_makes_the_next_question_ask():
    async def main():
        cluster = standard().add(X, "v1", "Driver")
        mapper = mapper_over(Wire(cluster))
        await mapper.load()
        cluster.remove(X)
        mapper.observe.write(f"{CRD_PATH}/drivers.{X}")
        with pytest.raises(NoMatchError):
            await mapper.rest_mapping(gk(X, "Driver"))

    run(main())
