# SPDX-License-Identifier: Apache-2.0
"""Every recorded exchange with a real API server, through the hub and from its cache."""

import asyncio
import json

import pytest

from tests.rig import ask, body, headers_of, hub_over, recordings, status_of, until
from toono.testing.replay import Recorded, Replay

EXCHANGES = recordings("exchanges")
HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}
PLAIN = (b"application/json", b"application/vnd.kubernetes.protobuf")


def kept_fields(answer: bytes) -> list[tuple[str, str]]:
    return [line for line in headers_of(answer) if line[0].lower() not in HOP]


def identify(one: Recorded) -> str:
    return f"{one.method}-{one.target[:60]}-{one.accept[:40]}"


@pytest.mark.parametrize("one", EXCHANGES, ids=identify)
def test_an_exchange_passes_byte_for_byte(one: Recorded, tmp_path) -> None:
    async def scenario() -> None:
        replay = Replay([one])
        await replay.start()
        async with hub_over([replay.address], tmp_path, agents=("*",)) as hub:
            await until(lambda: hub.upstream.online)
            answer = await ask(hub, one.request)
        await replay.aclose()
        assert status_of(answer) == one.status
        assert body(answer) == one.body
        added = [
            line for line in kept_fields(answer) if line[0] in ("Via", "Cache-Status")
        ]
        assert len(added) == 2
        passed = [line for line in kept_fields(answer) if line not in added]
        assert passed == kept_fields(one.response)

    asyncio.run(scenario())


def is_kept(one: Recorded) -> bool:
    """A question that the hub must answer by itself afterwards, with the same bytes."""
    head = one.response.partition(b"\r\n\r\n")[0]
    options = ("watch", "limit=1&", "Match=Exact", "continue=", "limit=1")
    return (
        one.method == "GET"
        and one.status == 200
        and any(b"Content-Type: " + media in head for media in PLAIN)
        and "as=" not in one.accept
        and "/v1/" in one.target
        and "openapi" not in one.target
        and (b"limit" not in one.request or "limit=500" in one.target)
        and not any(option in one.target for option in options if option != "limit=1")
    )


@pytest.mark.parametrize("one", [e for e in EXCHANGES if is_kept(e)], ids=identify)
def test_cut_off_the_same_question_gets_the_same_bytes(one: Recorded, tmp_path) -> None:
    async def scenario() -> None:
        replay = Replay([one])
        await replay.start()
        async with hub_over([replay.address], tmp_path, agents=("*",)) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, one.request)
            await replay.aclose()
            answer = await ask(hub, one.request)
            assert status_of(answer) == 200
            assert body(answer) == one.body
        if "/leases" in one.target:
            return  # kept in memory alone
        async with hub_over([replay.address], tmp_path, agents=("*",)) as hub:
            assert body(await ask(hub, one.request)) == one.body

    asyncio.run(scenario())


BURSTS = [
    one
    for one in EXCHANGES
    if "sendInitialEvents" in one.target
    and one.status == 200
    and "as=" not in one.accept
    and "cbor" not in one.accept
]


@pytest.mark.parametrize("one", BURSTS, ids=identify)
def test_a_recorded_watch_list_becomes_a_list(one: Recorded, tmp_path) -> None:
    async def scenario() -> None:
        replay = Replay([one])
        await replay.start()
        async with hub_over([replay.address], tmp_path, agents=("*",)) as hub:
            await until(lambda: hub.upstream.online)
            streamed = body(await ask(hub, one.request))
            assert streamed == one.body
            await replay.aclose()
            path = one.target.partition("?")[0].encode()
            head = one.request.replace(one.target.encode(), path)
            answer = await ask(hub, head)
            assert status_of(answer) == 200
            if one.accept.startswith("application/json"):
                names, version = replayed(streamed)
                listed = json.loads(body(answer))
                assert sorted(i["metadata"]["name"] for i in listed["items"]) == names
                assert listed["metadata"]["resourceVersion"] == version

    asyncio.run(scenario())


def replayed(stream: bytes) -> tuple[list[str], str]:
    """Return what a client of this stream holds at its end."""
    names, version = set(), ""
    for line in stream.splitlines():
        event = json.loads(line)
        meta = event["object"]["metadata"]
        version = meta["resourceVersion"]
        if event["type"] in ("ADDED", "MODIFIED"):
            names.add(meta["name"])
        elif event["type"] == "DELETED":
            names.discard(meta["name"])
    return sorted(names), version
