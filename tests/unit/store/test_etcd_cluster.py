# SPDX-License-Identifier: Apache-2.0
"""Which member is asked, when another is, and when none may be."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from toono.store import etcd_cluster
from toono.store.etcd_client import Etcd
from toono.store.etcd_cluster import EtcdSettings
from toono.store.etcd_errors import (
    EtcdError,
    EtcdUnavailableError,
    EtcdUnsureError,
    WrongClusterError,
)
from toono.store.etcd_messages import Range

QUICK = EtcdSettings(attempt=0.15, deadline=0.6)


class Script:
    """A member that answers as it is told: by path, a status and a body, or none."""

    def __init__(self, cluster=7, **answers):
        self.cluster = cluster
        self.answers = answers
        self.asked = []
        self.port = 0
        self.drop_next = False

    async def serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *fields = head.decode().split("\r\n")
                size = next(
                    int(f[15:]) for f in fields if f.startswith("Content-Length")
                )
                body = await reader.readexactly(size)
                path = line.split(" ")[1].removeprefix("/v3/")
                self.asked.append((path, json.loads(body)))
                answer = self.answers.get(path.replace("/", "_"), (200, {}))
                if answer == "drop":
                    break
                if answer == "hang":
                    await asyncio.sleep(30)
                writer.write(self.reply(*answer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def reply(self, status, message):
        if isinstance(message, dict):
            header = {"cluster_id": str(self.cluster), "revision": "3"}
            message = json.dumps({"header": header, **message}).encode()
        return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (
            status, len(message), message,
        )  # fmt: skip


@asynccontextmanager
async def cluster_of(*scripts, **options):
    servers = []
    for script in scripts:
        server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
        script.port = server.sockets[0].getsockname()[1]
        servers.append(server)
    ends = [("127.0.0.1", script.port) for script in scripts]
    etcd = Etcd(ends, **{"settings": QUICK, **options})
    try:
        yield etcd
    finally:
        etcd.close()
        for server in servers:
            server.close()
        for _ in range(5):
            await asyncio.sleep(0)


def paths(script):
    return [path for path, _ in script.asked]


@pytest.mark.parametrize("answer", ["drop", "hang", (503, b"busy"), (200, b"what")])
def test_a_read_is_asked_again_at_the_next_member(answer):
    async def story():
        bad, good = Script(kv_range=answer), Script(kv_range=(200, {"count": "4"}))
        async with cluster_of(bad, good) as etcd:
            assert (await etcd.range(Range(b"a"))).count == 4
            assert paths(bad) == ["maintenance/status", "kv/range"]
            assert (await etcd.range(Range(b"a"))).count == 4
            assert paths(good) == ["maintenance/status", "kv/range", "kv/range"]
            assert len(bad.asked) == 2
            assert etcd.requests.failures == 1

    asyncio.run(story())


@pytest.mark.parametrize("answer", ["drop", "hang", (503, b"busy"), (200, b"what")])
def test_a_write_that_may_be_done_is_never_sent_twice(answer):
    async def story():
        bad, good = Script(kv_put=answer), Script()
        async with cluster_of(bad, good) as etcd:
            with pytest.raises(EtcdUnsureError):
                await etcd.put(b"a", b"b")
            assert good.asked == []
            assert await etcd.put(b"a", b"b") == 3
            assert paths(good) == ["maintenance/status", "kv/put"]

    asyncio.run(story())


@pytest.mark.parametrize("answer", ["drop", "hang", (503, b"busy"), (200, b"what")])
def test_a_write_goes_to_the_next_member_where_the_first_never_got_it(answer):
    async def story():
        bad, good = Script(maintenance_status=answer), Script()
        async with cluster_of(bad, good) as etcd:
            assert await etcd.put(b"a", b"b") == 3
            assert paths(bad) == ["maintenance/status"]

    asyncio.run(story())


def test_too_many_requests_were_not_taken_and_go_to_the_next_member():
    async def story():
        words = json.dumps({"code": 8, "message": "etcdserver: too many requests"})
        bad, good = Script(kv_put=(429, words.encode())), Script()
        async with cluster_of(bad, good) as etcd:
            assert await etcd.put(b"a", b"b") == 3

    asyncio.run(story())


def test_what_etcd_refuses_is_not_asked_elsewhere():
    async def story():
        words = json.dumps({"code": 3, "error": "etcdserver: no"}).encode()
        one, two = Script(kv_put=(400, words)), Script()
        async with cluster_of(one, two) as etcd:
            with pytest.raises(EtcdError, match="no"):
                await etcd.put(b"a", b"b")
            assert two.asked == []

    asyncio.run(story())


def test_another_cluster_is_never_written_to():
    async def story():
        other, ours = Script(cluster=8), Script()
        async with cluster_of(other, ours, cluster_id=7) as etcd:
            assert await etcd.put(b"a", b"b") == 3
            assert paths(other) == ["maintenance/status"]
        async with cluster_of(other, cluster_id=7) as etcd:
            with pytest.raises(WrongClusterError, match="cluster 8 answers"):
                await etcd.put(b"a", b"b")
            with pytest.raises(WrongClusterError):
                async with etcd.watch(b"a"):
                    pass
            assert etcd.cluster_id == 7
        assert set(paths(other)) == {"maintenance/status"}

    asyncio.run(story())


def test_a_member_that_failed_must_show_again_who_it_is():
    async def story():
        only = Script(kv_range="drop")
        async with cluster_of(only) as etcd:
            with pytest.raises(EtcdUnavailableError):
                await etcd.range(Range(b"a"))
            assert etcd.cluster_id == 7
            only.cluster = 9
            with pytest.raises(WrongClusterError):
                await etcd.put(b"a", b"b")
            assert "kv/put" not in paths(only)

    asyncio.run(story())


def test_a_cluster_that_changes_within_a_connection_is_noticed():
    async def story():
        only = Script()
        async with cluster_of(only) as etcd:
            await etcd.put(b"a", b"b")
            only.cluster = 9
            with pytest.raises(WrongClusterError):
                await etcd.range(Range(b"a"))

    asyncio.run(story())


def test_silence_before_an_answer_to_a_watch_moves_it_on():
    async def story():
        line = b'{"result":{"created":true}}\n'
        bad, good = Script(watch="hang"), Script(watch=(200, line))
        async with (
            cluster_of(bad, good) as etcd,
            etcd.watch(b"a", start_revision=5) as watch,
        ):
            assert (await watch.next()).created
        asked = dict(good.asked)["watch"]["create_request"]
        assert (asked["key"], asked["start_revision"]) == ("YQ==", 5)

    asyncio.run(story())


def test_an_endless_answer_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(etcd_cluster, "MAX_ANSWER_BYTES", 1000)

    async def story():
        only = Script(kv_range=(200, b" " * 2000))
        async with cluster_of(only) as etcd:
            with pytest.raises(EtcdError, match="1000 bytes"):
                await etcd.range(Range(b"a"))

    asyncio.run(story())


def test_the_deadline_holds_over_all_members():
    async def story():
        scripts = [Script(kv_range="hang") for _ in range(9)]
        async with cluster_of(*scripts) as etcd:
            with pytest.raises(EtcdUnavailableError):
                await etcd.range(Range(b"a"))
            assert sum(len(script.asked) for script in scripts) <= 12

    asyncio.run(story())
