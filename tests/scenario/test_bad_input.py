# SPDX-License-Identifier: Apache-2.0
"""What has no good answer, cut off: the Status that the API server would send, word for
word, or 503 that says what is missing. Never 404 for what is unknown, never an empty
list."""

import asyncio
import json
import os
import re
import sqlite3

import pytest

from tests.rig import WIRE, ask, body, get, hub_over, status_of
from tests.rig import until as wait_until
from toono.testing.replay import Recorded, Replay, read_exchange

MINE = frozenset({os.getuid()})
PODS = "/api/v1/pods"
JSON = "application/json"
TABLE = f"{JSON};as=Table;v=v1;g=meta.k8s.io"
REFUSED = [
    "list-pods-continue-malformed",
    "list-pods-rv-future",
    "list-pods-rv-invalid",
    "list-pods-match-without-rv",
    "list-pods-bad-selector",
    "watchlist-invalid",
    "watch-rv-invalid",
    "watch-rv-expired",
    "watch-rv-expired-protobuf",
]
NOW = re.compile(rb"(current: |version: 5 \()\d+")


def recorded(name: str) -> Recorded:
    (one,) = read_exchange(WIRE / "exchanges" / f"{name}.request")
    return one


async def hub_that_saw(tmp_path, *names: str):
    """Return a hub that is cut off after it saw some answers."""
    seen = [recorded(name) for name in names]
    replay = Replay(seen)
    await replay.start()
    context = hub_over([replay.address], tmp_path, agents=("*",), node_uids=MINE)
    hub = await context.__aenter__()
    await wait_until(lambda: hub.upstream.online)
    for one in seen:
        assert body(await ask(hub, one.request)) == one.body
    await replay.aclose()
    return context, hub


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_the_api_server_s_words(tmp_path, name: str) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, "list-pods-json")
        one = recorded(name)
        answer = await ask(hub, one.request)
        assert status_of(answer) == one.status
        assert NOW.sub(b"\\1N", body(answer)) == NOW.sub(b"\\1N", one.body)
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


def test_a_field_that_no_selector_knows_is_named(tmp_path) -> None:
    """A newer server may know it: so it is unknown here, and not the client's fault."""

    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, "list-pods-json")
        answer = await ask(hub, recorded("list-pods-bad-field").request)
        assert status_of(answer) == 503
        assert (
            "'spec.color' is no known field selector"
            in json.loads(body(answer))["message"]
        )
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        ("*/*", 200),
        ("*", 406),
        ("application/*", 406),
        ("application/*, */*", 200),
        (";;;,,", 406),
        ("json", 406),
        ("application/json;q=two", 200),
        ("application/json;as=Table", 406),
        ("application/json;as=Unknown;g=x;v=v1,application/json", 200),
        ("application/json;as=Unknown;g=x;v=v1", 406),
        ("application/xml", 406),
        ("application/json;q=0", 200),
        ("application/vnd.kubernetes.protobuf;q=0.1,application/xml", 200),
        ("a/b," * 200 + "application/json", 406),
        (f"{TABLE},application/json", 200),
    ],
)
def test_an_accept_is_read_as_the_api_server_reads_it(tmp_path, accept, status) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, "list-pods-json")
        answer = await ask(hub, get(PODS, accept=accept or " "))
        assert status_of(answer) == status
        if status != 200:
            assert json.loads(body(answer))["kind"] == "Status"
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "target",
    [
        "/apis/nope.example.com/v1/widgets",
        "/apis/nope.example.com/v1/namespaces/default/widgets/x",
        "/apis/nope.example.com",
        "/apis/nope.example.com/v1",
        "/api/v1/services",
        "/api/v1/namespaces/default/services/web",
        "/api/v1/pods?watch=true&resourceVersion=0",
        "/api/v2/pods",
        "/nope",
        "/apis/apps/v1/deployments?shardSelector=x",
    ],
)
def test_what_is_unknown_is_503_and_says_what_is_missing(tmp_path, target) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, "list-nodes-protobuf")
        answer = await ask(hub, get(target))
        assert status_of(answer) == 503
        told = json.loads(body(answer))
        assert (told["reason"], told["code"]) == ("ServiceUnavailable", 503)
        assert told["message"].startswith("cut off: ")
        assert b"Retry-After" not in answer
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


def test_a_selector_that_cannot_be_evaluated_is_never_guessed(tmp_path) -> None:
    """A Table tells no fields: who asks for some hears that only a part was seen."""

    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, "list-pods-table")
        by_label = await ask(hub, get(f"{PODS}?labelSelector=app%3Dweb", accept=TABLE))
        assert len(json.loads(body(by_label))["rows"]) == 2
        field = f"{PODS}?fieldSelector=spec.nodeName%3Dedge-1"
        for accept in (TABLE, JSON):
            answer = await ask(hub, get(field, accept=accept))
            assert status_of(answer) == 503, accept
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "names", [("list-crontabs-json",), ("list-crontabs-json", "list-crds-json")]
)
def test_custom_resources_are_picked_by_no_field_that_is_not_declared(
    tmp_path, names
) -> None:
    """Not by one either that no object has: an empty list would tell that it is."""

    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, *names)
        target = "/apis/x.example.com/v1/crontabs"
        answer = await ask(hub, get(f"{target}?fieldSelector=spec.cron%3Dx"))
        assert status_of(answer) == 503
        assert "selects by 'spec.cron'" in json.loads(body(answer))["message"]
        named = await ask(hub, get(f"{target}?fieldSelector=metadata.name%3Dtick-0"))
        assert len(json.loads(body(named))["items"]) == 1
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (PODS + "?fieldSelector=metadata.name%3Dx,spec.color%3Dred", 503),
        ("/api/v1/namespaces/none/pods?fieldSelector=spec.color%3Dred", 503),
        ("/api/v1/namespaces/default/pods/web-0?resourceVersion=abc", 500),
        ("/api/v1/namespaces/default/pods/web-0?resourceVersion=9999", 504),
        ("/api/v1/namespaces/default/pods/nope?resourceVersion=9999", 504),
        ("/api/v1/namespaces/default/pods/nope?resourceVersion=1", 404),
        (PODS + "?includeObject=Bogus", 400),
    ],
)
def test_what_cannot_be_told_of_pods_is_not_told(tmp_path, target, told) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, "list-pods-json")
        accept = TABLE if "include" in target else JSON
        answer = await ask(hub, get(target, accept=accept))
        assert status_of(answer) == told
        if told == 400:
            assert b"Unable to convert to Table as requested" in body(answer)
        head = get(PODS).replace(b"GET", b"HEAD")
        assert status_of(await ask(hub, head)) == 405  # as API servers, of resources
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


@pytest.mark.parametrize("accept", [JSON, TABLE, "application/yaml"])
def test_damaged_rows_are_503_and_never_fewer_objects(tmp_path, accept) -> None:
    async def scenario() -> None:
        context, _ = await hub_that_saw(tmp_path, "list-pods-json")
        await context.__aexit__(None, None, None)
        (database,) = (tmp_path / "_internal" / "toono").glob("*.db")
        connection = sqlite3.connect(database)
        with connection:  # one object's bytes: rows of objects begin with r
            connection.execute(
                "UPDATE rows SET value = x'00' WHERE id = "
                "(SELECT max(id) FROM rows WHERE key >= x'72' AND key < x'73')"
            )
        connection.close()
        nowhere = hub_over([("127.0.0.1", 1)], tmp_path, node_uids=MINE)
        async with nowhere as hub:
            answer = await ask(hub, get(PODS, accept=accept, agent="anyone/1"))
            assert status_of(answer) == 503
            assert b"incomplete or damaged" in body(answer)

    asyncio.run(scenario())
