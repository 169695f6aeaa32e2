# SPDX-License-Identifier: Apache-2.0
"""Between the ledger and its files."""

import asyncio
import json

import pytest

from tests.unit.restmapper.kit import (
    MODES,
    Wire,
    X,
    crd,
    gk,
    gvk,
    mapper_over,
    standard,
)
from tests.unit.restmapper.virtual import run
from toono.restmapper import DiscoveryUnavailableError
from toono.restmapper.persist import Kept, KeptPage, read, write

both_modes = pytest.mark.parametrize("mode", MODES)


def page(path, body, **facts):
    of = {"group": "", "version": "", "media_type": "application/json", "etag": ""}
    return KeptPage(path=path, body=body, **(of | facts))


def test_a_kept_document_that_cannot_be_read_costs_itself_only(tmp_path, caplog):
    async def main():
        file = tmp_path / "file"
        core = page("/api", b'{"kind":"APIVersions","versions":["v1"]}')
        write(file, Kept("", b"", False, (core, page("/apis", b"<html>"))))
        mapper = mapper_over(Wire(standard()), file=file)
        assert list(mapper.snapshot.groups) == [""]
        assert await mapper.rest_mapping(gk("apps", "Deployment"))

    run(main())
    assert "a kept document cannot be read" in caplog.text


@both_modes
def test_what_a_crd_told_is_kept_until_a_document_shows_it(mode, tmp_path):
    async def main():
        cluster, file = standard(mode), tmp_path / "file"
        wire = Wire(cluster)
        wire.watch_status = 200
        async with mapper_over(wire, file=file) as mapper:
            await mapper.load()
            await asyncio.sleep(20)
            wire.tell("ADDED", crd("Driver"))
            await asyncio.sleep(0.02)
            assert mapper.lookup(gvk(X, "v1", "Driver"))
        assert [row.plural for row in read(file, "").rows] == ["drivers"]
        wire.cut = True
        later = mapper_over(wire, file=file)
        assert (await later.rest_mapping(gk(X, "Driver"))).stale
        with pytest.raises(DiscoveryUnavailableError):
            await later.rest_mapping(gk(X, "Other"))

    run(main())


def test_a_refused_form_and_the_version_are_remembered(tmp_path):
    async def main():
        cluster, file = standard("refuse"), tmp_path / "file"
        mapper = mapper_over(Wire(cluster), file=file)
        mapper.observe.version(b'{"gitVersion":"v1.25.0"}')
        await mapper.load()
        await mapper.aclose()
        wire = Wire(cluster)
        later = mapper_over(wire, file=file)
        assert later.observe.git_version == "v1.25.0"
        await later.load()
        assert 406 not in [status for _, status in wire.requests]

    run(main())


def test_yurthubs_file_is_not_read_where_our_own_is_there(tmp_path):
    async def main():
        own, theirs = tmp_path / "own", tmp_path / "theirs"
        mapper = mapper_over(Wire(standard()), file=own)
        await mapper.load()
        await mapper.aclose()
        theirs.write_text(json.dumps({f"{X}/v1/drivers": "Driver"}))
        mapper = mapper_over(Wire(standard()), file=own, yurthub_file=theirs)
        assert mapper.lookup(gvk(X, "v1", "Driver")) is None
        assert mapper.lookup(gvk("", "v1", "Pod"))

    run(main())


def test_a_disk_that_fails_is_told_and_stops_nothing(tmp_path, caplog):
    async def main():
        file = tmp_path / "file" / "below"
        (tmp_path / "file").write_text("in the way")
        mapper = mapper_over(Wire(standard()), file=file)
        await mapper.load()
        await mapper.aclose()
        assert mapper.lookup(gvk("", "v1", "Pod"))

    run(main())
    assert "discovery cannot be kept" in caplog.text
