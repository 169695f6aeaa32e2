# SPDX-License-Identifier: Apache-2.0
"""Every recorded answer becomes files that say what the API server said in JSON."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.contract.recordings import JSON, PROTOBUF, Recording, recordings
from tests.unit.cache.kit import CALLER
from tests.unit.cache.tree_kit import Copied, files_of, rebuilt

from toono.errors import RequestError
from toono.kube.request import parse

NO_OBJECTS = ("_internal/", "version", "_apis")


async def take(cache: Copied, one: Recording) -> None:
    """Record an exchange as the hub does."""
    fields = {**one.fields, b"user-agent": b"kubelet/v1.34.0"}
    try:
        call = parse(one.method, one.target, fields, CALLER)
    except RequestError:
        return
    recording = await cache.recorder.begin(call)
    if recording is not None:
        told = {b"content-type": one.media_type.encode()}
        kept = await recording.finish(one.status, told, one.body)
        if kept is not None:
            await kept


def told_in_json() -> dict[tuple[str, str], list[dict]]:
    """Return recorded objects by uid and version, with neither kind nor apiVersion."""
    found: dict[tuple[str, str], list[dict]] = {}
    for one in recordings():
        if one.media_type != JSON or one.status >= 300:
            continue
        items: list[dict] = []
        for line in one.body.splitlines() if b"watch=" in one.target else [one.body]:
            content = json.loads(line)
            items += content.get("items") or [content.get("object", content)]
        for item in items:
            if "metadata" in item:
                meta = item["metadata"]
                key = (meta.get("uid", ""), meta.get("resourceVersion", ""))
                found.setdefault(key, []).append(bare(item))
    return found


def bare(item: dict) -> dict:
    return {key: item[key] for key in item if key not in ("kind", "apiVersion")}


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_files_say_what_was_recorded(tmp_path: Path, media_type: str) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        for one in recordings():
            if one.media_type == media_type:
                await take(cache, one)
        names = [one for one in await cache.copy() if not one.startswith(NO_OBJECTS)]
        told, checked = told_in_json(), 0
        for name in names:
            text = (tmp_path / name).read_text()
            item = json.loads(text)
            assert text.endswith("}\n")
            assert item["kind"]
            assert item["apiVersion"]
            assert item["metadata"]["name"] == name.rpartition("/")[2]
            key = (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
            if key in told:
                assert bare(item) in told[key], name
                checked += 1
        assert checked >= 10
        assert cache.writer.counters.left_out == 0
        again = await rebuilt(tmp_path)
        assert sum(len(one.rows) for one in again.scopes.all()) >= len(names)

    asyncio.run(scenario())


def test_no_file_of_a_component_is_called_as_yurthub_s_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        for one in recordings():
            await take(cache, one)
        await cache.copy()
        for name in files_of(tmp_path):
            parts = name.split("/")
            if parts[0] == "kubelet":
                assert "." in parts[1]
            assert not any(part.startswith("tmp_") for part in parts)

    asyncio.run(scenario())
