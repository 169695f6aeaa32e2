# SPDX-License-Identifier: Apache-2.0
import asyncio
import gzip

import msgspec
import pytest

from tests.unit.cache.kit import call
from toono.cache import documents as module
from toono.cache.documents import Documents, is_document, target_of
from toono.errors import CodecError, StoreFullError
from toono.kube.accept import parse_accept
from toono.kube.request import Call
from toono.store.base import Batch
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock

JSON = b"application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
V2 = b"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def asking(target: str, accept: str = "") -> Call:
    return msgspec.structs.replace(call(target), accept=parse_accept(accept))


class Scene:
    def __init__(self, store=None) -> None:
        self.store = store or MemoryStore()
        self.clock = VirtualClock()
        self.documents = Documents(self.store, clock=self.clock)

    async def take(self, target: str, body: bytes, status: int = 200, **fields) -> None:
        recording = self.documents.begin(asking(target))
        assert recording is not None
        head = {name.replace("_", "-").encode(): v for name, v in fields.items()}
        await recording.finish(status, {b"content-type": JSON, **head}, body)

    async def find(self, target: str, accept: str = "") -> bytes | None:
        found = await self.documents.find(asking(target, accept))
        return None if found is None else found[1]


@pytest.mark.parametrize(
    ("target", "is_one"),
    [
        ("/api", True),
        ("/api/v1", True),
        ("/apis", True),
        ("/apis/", True),
        ("/apis/apps", True),
        ("/apis/apps/v1", True),
        ("/version", True),
        ("/openapi/v2", True),
        ("/openapi/v3", True),
        ("/openapi/v3/apis/apps/v1?hash=A1", True),
        ("/api/v1/pods", False),
        ("/apis/apps/v1/deployments", False),
        ("/metrics", False),
        ("/logs/kubelet", False),
        ("/versions", False),
    ],
)
def test_what_is_a_document(target: str, is_one: bool) -> None:
    assert is_document(call(target)) is is_one


def test_only_reading_is_asking() -> None:
    assert not is_document(call("/apis", method="POST"))


def test_openapi_is_known_by_its_hash_and_others_by_their_path() -> None:
    assert target_of(call("/openapi/v3/api/v1?hash=A")) == "/openapi/v3/api/v1?hash=A"
    assert target_of(call("/api/v1/?timeout=32s")) == "/api/v1"


def test_each_form_of_a_document_answers_who_takes_it() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.take("/apis", b"legacy")
        await scene.take("/apis", b"aggregated", content_type=V2)
        assert await scene.find("/apis", "application/json") == b"legacy"
        assert await scene.find("/apis", V2.decode() + ",application/json") == (
            b"aggregated"
        )
        with pytest.raises(CodecError):
            await scene.find("/apis", "application/vnd.kubernetes.protobuf")
        assert await scene.find("/api") is None

    asyncio.run(scenario())


def test_what_is_called_text_is_given_to_who_asks_for_json() -> None:
    """API servers say so of OpenAPI v3's index, which kubectl explain begins with."""

    async def scenario() -> None:
        scene = Scene()
        text = b"text/plain; charset=utf-8"
        await scene.take("/openapi/v3", b"{}", content_type=text)
        assert await scene.find("/openapi/v3", "application/json") == b"{}"
        assert await scene.find("/openapi/v3", "text/plain") == b"{}"
        with pytest.raises(CodecError):
            await scene.find("/openapi/v3", "application/yaml")

    asyncio.run(scenario())


def test_a_captive_portal_s_page_is_no_document() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.take("/apis", b"<html>", content_type=b"text/html; charset=utf-8")
        assert await scene.find("/apis") is None
        assert await scene.find("/apis", "*/*") is None

    asyncio.run(scenario())


def test_documents_outlive_a_restart() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.take("/apis", b"x" * 100_000, etag=b'"e"')
        again = Scene(scene.store)
        await again.documents.open()
        found = await again.documents.find(asking("/apis"))
        assert found is not None
        assert (found[0].etag, found[1]) == ('"e"', b"x" * 100_000)

    asyncio.run(scenario())


def test_damage_is_unknown_and_never_an_answer() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.take("/apis", b"right")
        await scene.take("/api", b"right")
        for key, value in (await scene.store.scan(b"")).rows:
            bad = b"wrong" if value == b"right" else value[:-1]
            await scene.store.apply(Batch(puts=[(key, bad)]))
        assert await scene.find("/apis") is None
        again = Scene(scene.store)
        await again.documents.open()
        assert await again.find("/apis") is None

    asyncio.run(scenario())


def test_what_is_no_whole_good_answer_is_not_kept(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_DOCUMENT_BYTES", 1000)

    async def scenario() -> None:
        scene = Scene()
        await scene.take("/apis", b"x", status=403)
        await scene.take("/apis", b"")
        await scene.take("/apis", b"x" * 1001)
        await scene.take("/apis", b"no gzip", content_encoding=b"gzip")
        packed = gzip.compress(b"x" * 1001)
        await scene.take("/apis", packed, content_encoding=b"gzip")
        assert await scene.find("/apis") is None
        await scene.take("/apis", gzip.compress(b"y" * 1000), content_encoding=b"gzip")
        assert await scene.find("/apis") == b"y" * 1000

    asyncio.run(scenario())


def test_the_oldest_go_where_they_are_too_many(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 250)

    async def scenario() -> None:
        scene = Scene()
        for number in range(4):
            await scene.take(f"/apis/g{number}", b"%d" % number * 100)
            await scene.clock.advance(1.0)
        found = [await scene.find(f"/apis/g{number}") for number in range(4)]
        assert [one is not None for one in found] == [False, False, True, True]
        again = Scene(scene.store)
        await again.documents.open()
        assert await again.find("/apis/g0") is None
        assert await again.find("/apis/g3") is not None

    asyncio.run(scenario())


def test_the_same_document_is_written_once_and_a_full_disk_hurts_nobody() -> None:
    class Counting(MemoryStore):
        writes = 0
        full = False

        def apply(self, batch, *, sync: bool = False):
            if self.full:
                raise StoreFullError("full")
            self.writes += 1
            return super().apply(batch, sync=sync)

    async def scenario() -> None:
        store = Counting()
        scene = Scene(store)
        await scene.take("/apis", b"one")
        await scene.take("/apis", b"one")
        assert store.writes == 1
        store.full = True
        await scene.take("/apis", b"two")
        assert await scene.find("/apis") == b"one"

    asyncio.run(scenario())


def test_what_yurthub_kept_is_answered_until_more_is_known() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.documents.adopt("/version", b'{"major":"1"}', seen_at=5.0)
        assert await scene.find("/version") == b'{"major":"1"}'
        assert await scene.documents.body("/version", "application/json") is not None
        assert await scene.documents.body("/version", "text/plain") is None
        await scene.take("/version", b'{"major":"2"}')
        scene.documents.adopt("/version", b'{"major":"1"}', seen_at=9.0)
        assert await scene.find("/version") == b'{"major":"2"}'

    asyncio.run(scenario())


def test_a_damaged_document_has_no_body() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.take("/version", b'{"major":"1"}')
        (key, _) = (await scene.store.scan(module.BODY_PREFIX)).rows[0]
        scene.store.apply(Batch(puts=[(key, b"other")]))
        assert await scene.documents.body("/version", "application/json") is None

    asyncio.run(scenario())


def test_a_document_of_openapi_is_known_by_path_and_by_hash() -> None:
    """Clients add a timeout of their own, and ask with the hash or without it."""

    async def scenario() -> None:
        path = "/openapi/v3/api/v1"
        scene = Scene()
        await scene.take(f"{path}?timeout=32s&hash=A", b"{1}", etag=b'"A"')
        assert await scene.find(f"{path}?hash=A&timeout=10s") == b"{1}"
        assert await scene.find(path) == b"{1}"
        assert await scene.find(f"{path}?hash=B") is None
        await scene.clock.advance(1)
        await scene.take(path, b"{2}", etag=b'"B"')
        assert await scene.find(f"{path}?hash=B") == b"{2}"
        assert await scene.find(f"{path}?hash=A") == b"{1}"
        assert await scene.find(path) == b"{2}"
        await scene.clock.advance(1)
        await scene.take(f"{path}?hash=A", b"{1}", etag=b'"A"')  # rolled back
        assert await scene.find(path) == b"{1}"

    asyncio.run(scenario())


def test_the_protobuf_of_openapi_is_asked_for_by_another_name() -> None:
    async def scenario() -> None:
        scene = Scene()
        for version in ("v2", "v3"):
            of = f"application/com.github.proto-openapi.spec.{version}"
            told = f"{of}.v1.0+protobuf".encode()
            await scene.take(f"/openapi/{version}", b"\x0a", content_type=told)
            asked = f"{of}@v1.0+protobuf"
            assert await scene.find(f"/openapi/{version}", asked) == b"\x0a"
            assert await scene.find(f"/openapi/{version}", told.decode()) == b"\x0a"

    asyncio.run(scenario())


def test_a_list_of_resources_is_turned_into_the_other_form() -> None:
    async def scenario() -> None:
        scene = Scene()
        listed = b'{"kind":"APIResourceList","groupVersion":"v1","resources":[]}\n'
        await scene.take("/api/v1", listed)
        asked = asking("/api/v1", PROTOBUF + ",application/json")
        document, body = await scene.documents.find(asked)
        assert document.content_type == PROTOBUF
        assert body.startswith(b"k8s\0")
        await scene.take("/apis/x/v1", body, content_type=PROTOBUF.encode())
        assert await scene.find("/apis/x/v1", "application/json") == listed
        await scene.take("/api/v1", body, content_type=PROTOBUF.encode())
        assert await scene.find("/api/v1", "application/json") == listed
        await scene.take("/apis", listed)
        with pytest.raises(CodecError):
            await scene.find("/apis", PROTOBUF)

    asyncio.run(scenario())


def test_a_hub_that_keeps_nothing_keeps_no_documents() -> None:
    scene = Scene()
    assert scene.documents.begin(call("/apis")) is not None
    scene.documents.closed = True
    assert scene.documents.begin(call("/apis")) is None
