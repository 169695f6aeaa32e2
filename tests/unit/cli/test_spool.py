# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of the spool, and what drops it."""

import asyncio
import json
import os
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tests.rig import hub_over
from tests.unit.autonomy.spool_kit import event, event_patch, put
from toono.autonomy.spool import Spool
from toono.cli.spool import DIRECTORY, command
from toono.runtime.clock import SystemClock
from toono.store.sqlite import open_store

NOBODY = "1"
"""A port that nobody listens on."""


def run(*words: str):
    return CliRunner().invoke(command, words)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    async def fill() -> None:
        store = await open_store(tmp_path / DIRECTORY, clock=SystemClock())
        spool = Spool(store)
        secret = msgspec.structs.replace(event("b", owner="sa"), token=b"sealed")
        bad = msgspec.structs.replace(event("c"), body=b"nonsense")
        for write in (event("a"), event_patch("a", 3), secret, bad):
            await put(spool, write)
        await store.aclose()

    asyncio.run(fill())
    return tmp_path


def test_what_waits_is_listed(cache: Path) -> None:
    printed = run("ls", "--disk-cache-path", str(cache)).output
    lines = printed.splitlines()
    assert [line.split()[0] for line in lines] == ["SERIAL", "1", "2", "3", "4"]
    assert "events shop/a" in lines[1]
    assert "the node" in lines[1]
    assert " sa " in lines[3]
    told = run("ls", "-o", "json", "--disk-cache-path", str(cache)).output
    rows = json.loads(told)
    assert [row["method"] for row in rows] == ["POST", "PATCH", "POST", "POST"]
    assert rows[0]["bytes"] == len(event("a").body)


def test_one_is_shown_without_its_token(cache: Path) -> None:
    shown = json.loads(run("show", "1", "--disk-cache-path", str(cache)).output)
    assert shown["body"]["metadata"]["name"] == "a"
    patch = json.loads(run("show", "2", "--disk-cache-path", str(cache)).output)
    assert patch["body"] == {"count": 3}
    assert patch["contentType"] == "application/strategic-merge-patch+json"
    secret = run("show", "3", "--disk-cache-path", str(cache)).output
    assert "token" not in secret
    bad = json.loads(run("show", "4", "--disk-cache-path", str(cache)).output)
    assert bad["body"].startswith("cannot be read")
    missing = run("show", "9", "--disk-cache-path", str(cache))
    assert missing.exit_code == 1
    assert "no write 9 waits" in missing.output


def test_without_a_hub_the_database_is_changed(cache: Path) -> None:
    more = ("--serve-port", NOBODY, "--disk-cache-path", str(cache))
    assert "dropped 2" in run("drop", "1", "3", *more).output
    rows = json.loads(run("ls", "-o", "json", "--disk-cache-path", str(cache)).output)
    assert [row["serial"] for row in rows] == [2, 4]
    again = run("drop", "1", *more)
    assert (again.exit_code, "not all of them waited" in again.output) == (1, True)
    assert "dropped 2" in run("drop", "--all", *more).output
    assert "nothing waits" in run("ls", "--disk-cache-path", str(cache)).output
    assert run("drop", *more).exit_code == 2
    assert run("drop", "1", "--all", *more).exit_code == 2


@pytest.mark.parametrize("uid", [os.getuid(), os.getuid() + 1])
def test_a_hub_drops_for_the_node_alone(cache: Path, uid: int) -> None:
    async def scenario() -> None:
        async with hub_over(
            [("127.0.0.1", 1)],
            cache,
            status_listen=("127.0.0.1", 0),
            node_uids=frozenset({uid}),
        ) as hub:
            assert hub.status_address is not None
            port = str(hub.status_address[1])
            more = ("--serve-port", port, "--disk-cache-path", str(cache))
            told = await asyncio.to_thread(run, "drop", "2", *more)
            if uid == os.getuid():
                assert told.output == "dropped 1\n"
            else:
                assert "only for this node" in told.output
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            head = b"POST /v1/spool/drop HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            writer.write(head + b"Content-Length: 2\r\n\r\n{}")
            code = (await reader.read()).split(b" ")[1]
            assert code == (b"400" if uid == os.getuid() else b"403")
            writer.close()

    asyncio.run(scenario())


def test_what_is_no_hub_is_told(cache: Path) -> None:
    async def scenario() -> None:
        async def hang_up(reader, writer) -> None:
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = str(server.sockets[0].getsockname()[1])
        more = ("--serve-port", port, "--disk-cache-path", str(cache))
        told = await asyncio.to_thread(run, "drop", "2", *more)
        assert told.exit_code == 1
        assert "no hub answers" in told.output
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())
