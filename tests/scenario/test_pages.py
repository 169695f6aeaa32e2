# SPDX-License-Identifier: Apache-2.0
"""Lists in pages across a cut: whole or not at all, and tokens that go both ways."""

import asyncio
import json
import os

import pytest

from tests.rig import ask, body, get, hub_over, status_of, until
from toono.testing import APIServer

PODS = "/api/v1/pods"
NAMES = ["a", "b", "c", "d", "e"]
MINE = frozenset({os.getuid()})
META = "g=meta.k8s.io;v=v1"
FORMS = {
    "json": "application/json",
    "table": f"application/json;as=Table;{META}",
    "metadata": f"application/json;as=PartialObjectMetadataList;{META}",
}


async def cloud() -> APIServer:
    server = APIServer()
    await server.start()
    for name in NAMES:
        labels = {"odd": str(NAMES.index(name) % 2)}
        content = {"metadata": {"name": name, "labels": labels}, "spec": {}}
        server.create("pods", content, namespace="default")
    return server


def hub_of(server: APIServer, tmp_path):
    return hub_over([server.address], tmp_path, agents=("*",), node_uids=MINE)


async def page(hub, *, limit: int, token: str = "", query: str = "", form="json"):
    """Return names, the next token and the count of what remains."""
    follows = f"&continue={token}" if token else ""
    target = f"{PODS}?limit={limit}{follows}{query}"
    answer = await ask(hub, get(target, accept=FORMS[form]))
    assert status_of(answer) == 200, answer
    document = json.loads(body(answer))
    objects = document.get("items") or [
        row["object"] for row in document.get("rows") or ()
    ]
    meta = document["metadata"]
    names = [one["metadata"]["name"] for one in objects]
    return names, meta.get("continue", ""), meta.get("remainingItemCount")


async def walked(hub, *, limit: int, query: str = "", form: str = "json") -> list:
    """Return every page, as a client goes through them."""
    pages, token = [], ""
    while True:
        names, token, remaining = await page(
            hub, limit=limit, token=token, query=query, form=form
        )
        pages.append((names, remaining))
        if not token:
            return pages


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("query", ["", "&labelSelector=odd%3D0"])
def test_pages_cut_off_are_those_of_the_api_server(tmp_path, form, query) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_of(server, tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(PODS))
            online = await walked(hub, limit=2, query=query, form=form)
            await server.aclose()
            assert await walked(hub, limit=2, query=query, form=form) == online
            whole = await walked(hub, limit=0, query=query, form=form)
            assert whole == [([n for names, _ in online for n in names], None)]

    asyncio.run(scenario())


def test_only_a_whole_chain_is_a_list(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_of(server, tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            _, token, _ = await page(hub, limit=2)
            await server.aclose()
            begun = await ask(hub, get(f"{PODS}?limit=2&continue={token}"))
            assert (status_of(begun), json.loads(body(begun))["reason"]) == (
                410,
                "Expired",
            )
            assert json.loads(body(begun))["metadata"] == {}, "no way to go on is given"
            anew = await ask(hub, get(f"{PODS}?limit=2"))
            assert status_of(anew) == 503, "half a list was taken for a whole one"

    asyncio.run(scenario())


def test_a_list_that_the_cut_broke_is_begun_anew_and_whole(tmp_path) -> None:
    """As client-go's pager does: after 410 it lists without a limit."""

    async def scenario() -> None:
        server = await cloud()
        async with hub_of(server, tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await walked(hub, limit=2)
            _, token, _ = await page(hub, limit=2)
            await server.aclose()
            broken = await ask(hub, get(f"{PODS}?limit=2&continue={token}"))
            assert status_of(broken) == 410
            assert await page(hub, limit=0) == (NAMES, "", None)

    asyncio.run(scenario())


def test_a_token_of_the_hub_goes_on_at_the_api_server(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_of(server, tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(PODS))
            await server.aclose()
            first, token, _ = await page(hub, limit=2)
            await server.start(port=server.address[1])
            await until(lambda: hub.upstream.online)
            second, token, _ = await page(hub, limit=2, token=token)
            third, token, _ = await page(hub, limit=2, token=token)
            assert [*first, *second, *third] == NAMES
            assert token == ""
        await server.aclose()

    asyncio.run(scenario())
