# SPDX-License-Identifier: Apache-2.0
"""Bad input on any document: the rest works, and the error names what and since when."""

import asyncio
import json

import pytest

from tests.unit.restmapper.kit import (
    AGGREGATED,
    BAD,
    MODES,
    Wire,
    X,
    gk,
    gvk,
    mapper_over,
    standard,
)
from tests.unit.restmapper.virtual import EPOCH, run
from toono.restmapper import DiscoveryUnavailableError, NoMatchError

both_modes = pytest.mark.parametrize("mode", MODES)
bad = pytest.mark.parametrize("fault", BAD.values(), ids=BAD.keys())
BACKOFF = 61
POD, DEPLOYMENT, DRIVER = gk("", "Pod"), gk("apps", "Deployment"), gk(X, "Driver")

DOCUMENTS = {
    # document: (form, the kind it tells of, one that it does not, how it is named)
    "core-root": ("aggregated", "/api", POD, DEPLOYMENT, "/api"),
    "groups-root": ("aggregated", "/apis", DRIVER, POD, X),
    "legacy-core-root": ("legacy", "/api", POD, DEPLOYMENT, "/api"),
    "legacy-groups-root": ("legacy", "/apis", DRIVER, POD, X),
    "legacy-core-version": ("legacy", "/api/v1", POD, DEPLOYMENT, "v1"),
    "legacy-version": ("legacy", f"/apis/{X}/v1", DRIVER, DEPLOYMENT, f"{X}/v1"),
}
documents = pytest.mark.parametrize(
    ("mode", "path", "told", "other", "name"), DOCUMENTS.values(), ids=DOCUMENTS.keys()
)


def cluster(mode):
    return standard(mode).add(X, "v1", "Driver")


async def refused(mapper, kind, *versions):
    with pytest.raises(DiscoveryUnavailableError) as raised:
        await mapper.rest_mapping(kind, *versions)
    return raised.value


@bad
@documents
def test_a_document_that_was_bad_from_the_start(fault, mode, path, told, other, name):
    async def main():
        wire = Wire(cluster(mode))
        wire.faults[path] = fault
        mapper = mapper_over(wire)
        await asyncio.sleep(10)
        error = await refused(mapper, told)
        assert name in error.groups
        assert error.since == pytest.approx(EPOCH + 10, abs=0.1)
        await asyncio.sleep(30)
        later = await refused(mapper, told)
        assert later.since == error.since
        assert "since 20" in str(later)
        assert await mapper.rest_mapping(other)
        wire.faults.clear()
        await asyncio.sleep(BACKOFF)
        assert await mapper.rest_mapping(told)

    run(main())


@bad
@documents
def test_a_document_that_turns_bad(fault, mode, path, told, other, name):
    async def main():
        wire = Wire(cluster(mode))
        mapper = mapper_over(wire)
        known = await mapper.rest_mapping(told)
        await mapper.rest_mapping(other)
        wire.faults[path] = fault
        await asyncio.sleep(10)
        mapper.invalidate()
        assert (await mapper.rest_mapping(told)).resource == known.resource
        error = await refused(mapper, gk(told.group, "Absent"))
        assert name in error.groups
        assert error.since == pytest.approx(EPOCH + 10, abs=0.1)
        assert not (await mapper.rest_mapping(other)).stale
        wire.faults.clear()
        await asyncio.sleep(BACKOFF)
        with pytest.raises(NoMatchError):
            await mapper.rest_mapping(gk(told.group, "Absent"))
        assert not (await mapper.rest_mapping(told)).stale

    run(main())


@bad
def test_a_legacy_groups_own_document(fault):
    """It is asked for at a miss without a version: only that is unavailable."""

    async def main():
        wire = Wire(cluster("legacy"))
        mapper = mapper_over(wire)
        await mapper.rest_mapping(DRIVER)
        wire.faults[f"/apis/{X}"] = fault
        error = await refused(mapper, gk(X, "Absent"))
        assert X in error.groups
        assert f"/apis/{X}" in str(error)
        assert error.since == pytest.approx(EPOCH, abs=0.1)
        assert not (await mapper.rest_mapping(DRIVER)).stale
        assert await mapper.rest_mapping(DEPLOYMENT)
        wire.faults.clear()
        await asyncio.sleep(BACKOFF)
        with pytest.raises(NoMatchError):
            await mapper.rest_mapping(gk(X, "Absent"))

    run(main())


def test_the_failure_of_a_groups_own_document_ends_with_its_root():
    """Nobody asks for it again once the version in question is listed."""

    async def main():
        wire = Wire(cluster("legacy"))
        mapper = mapper_over(wire)
        await mapper.rest_mapping(DRIVER)
        wire.faults[f"/apis/{X}"] = BAD["503"]
        await refused(mapper, gk(X, "Absent"))
        await mapper.refresh()
        with pytest.raises(NoMatchError):
            await mapper.rest_mapping(gk(X, "Absent"), "v1")

    run(main())


@both_modes
def test_an_empty_list_of_groups_at_the_start_is_unavailable(mode):
    async def main():
        form = AGGREGATED if mode == "aggregated" else "application/json"
        kind = "APIGroupDiscoveryList" if mode == "aggregated" else "APIGroupList"
        wire = Wire(cluster(mode))
        content = {"kind": kind, "items": [], "groups": []}
        wire.faults["/apis"] = (200, form, json.dumps(content).encode())
        mapper = mapper_over(wire)
        error = await refused(mapper, DRIVER)
        assert "no groups" in str(error)
        assert error.since is not None
        assert await mapper.rest_mapping(POD)
        wire.faults.clear()
        await asyncio.sleep(1)
        assert await mapper.rest_mapping(DRIVER)

    run(main())


@both_modes
def test_blank_kinds_and_names_are_left_out_and_the_rest_is_kept(mode):
    async def main():
        served = cluster(mode)
        served.add(X, "v1", "", plural="blanks", singular="")
        served.add(X, "v1", "Nameless", plural=" ", singular="")
        served.add(X, "v2", "", plural="others", singular="")
        mapper = mapper_over(Wire(served))
        assert await mapper.rest_mapping(DRIVER)
        for kind in ("", " "):
            with pytest.raises(NoMatchError):
                await mapper.rest_mapping(gk(X, kind), "v1")
        assert mapper.lookup(gvk(X, "v1", "")) is None
        with pytest.raises(NoMatchError):
            await mapper.rest_mapping(gk(X, "Other"))

    run(main())


@pytest.mark.parametrize("length", range(0, 1200, 37))
@both_modes
def test_a_document_cut_anywhere_is_no_document(mode, length):
    async def main():
        served = cluster(mode)
        accept = "as=APIGroupDiscoveryList" if mode == "aggregated" else ""
        path = "/apis" if mode == "aggregated" else f"/apis/{X}/v1"
        status, kind, body, _ = served.answer(path, accept)
        wire = Wire(served)
        wire.faults[path] = (status, kind, body[: min(length, len(body) - 1)])
        mapper = mapper_over(wire)
        await refused(mapper, DRIVER)
        assert await mapper.rest_mapping(POD)

    run(main())
