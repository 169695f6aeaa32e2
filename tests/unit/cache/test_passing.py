# SPDX-License-Identifier: Apache-2.0
"""What is said to remove nothing removes nothing, however its bytes are cut."""

import gzip
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cache.kit import JSON_FIELDS, Cache, call, pod, pod_list, run, table
from toono.cache.passing import Passing
from toono.cache.received import expected_form, question_of
from toono.cache.record import Recording
from toono.codec.page import Page
from toono.codec.protobuf import ProtobufCodec
from toono.codec.wireformat import encode_bytes, encode_text

PODS = "/api/v1/pods"
NAMES = ["a", "b", "c", "d"]
ASKED = call(PODS)
QUESTION = question_of(ASKED, expected_form(ASKED))
PACKED = JSON_FIELDS | {b"content-encoding": b"gzip"}


def known(name: str, version: int = 5, **meta) -> dict:
    uid = str(UUID(int=sum(name.encode())))
    return pod(name, version, **{"uid": uid} | meta)


def listed(*names: str, version: int = 30) -> bytes:
    """Return a list as an API server writes it: the uid before the version."""
    pods = [known(name, annotations={"filling": "x" * 99}) for name in names]
    return pod_list(version, *pods)


async def knowing(*names: str, version: int = 20) -> Cache:
    cache = Cache()
    await cache.take(PODS, listed(*names, version=version))
    return cache


def passed(
    cache: Cache, body: bytes, fields=JSON_FIELDS, *, step: int = 0, asked=QUESTION
) -> Passing:
    scope = cache.scopes.find(asked)
    seen = cache.scopes.high_water("", "pods")
    passing = Passing(asked, scope, fields, epoch=cache.scopes.epoch, seen=seen)
    step = step or len(body)
    # What begins a body comes at once: heads are shorter than any piece.
    cuts = [0, *range(min(200, len(body)), len(body), step), len(body)]
    for start, end in pairwise(cuts):
        passing.feed(body[start:end])
    return passing


def stays(cache: Cache, passing: Passing) -> bool:
    return passing.removes_nothing(cache.scopes.find(QUESTION))


@given(
    before=st.sets(st.sampled_from(NAMES)),
    now=st.sets(st.sampled_from(NAMES)),
    step=st.integers(1, 300),
    packed=st.booleans(),
)
def test_all_that_was_known_stays_or_it_is_not_said(before, now, step, packed) -> None:
    async def scenario() -> None:
        cache = await knowing(*before)
        body = listed(*now)
        fields = JSON_FIELDS
        if packed:
            body, fields = gzip.compress(body), PACKED
        passing = passed(cache, body, fields, step=step)
        assert stays(cache, passing) == (before <= now)
        assert passing.fingerprint is None

    run(scenario)


@pytest.mark.parametrize("names", [["a"], []])
def test_what_is_marked_as_going_must_be_read(names: list[str]) -> None:
    async def scenario() -> None:
        cache = await knowing(*names)
        body = pod_list(30, known("a", 9, deletionTimestamp="2026-01-01T00:00:00Z"))
        for step in (1, 7, 1000):
            assert not stays(cache, passed(cache, body, step=step))

    run(scenario)


def test_a_uid_that_others_speak_of_is_not_there() -> None:
    async def scenario() -> None:
        cache = await knowing("a", "b")
        uid = known("b")["metadata"]["uid"]
        owner = [{"apiVersion": "v1", "kind": "Pod", "name": "b", "uid": uid}]
        told = f'"uid":"{uid}","resourceVersion":"5"'
        body = pod_list(
            30, known("a", ownerReferences=owner, annotations={"says": told})
        )
        assert uid.encode() in body
        assert not stays(cache, passed(cache, body))

    run(scenario)


def test_at_one_version_there_is_one_state_and_no_byte_is_looked_at() -> None:
    async def scenario() -> None:
        cache = await knowing("a", "b", version=30)
        passing = passed(cache, listed("a", version=30))
        assert stays(cache, passing)

    run(scenario)


def test_a_cloud_that_was_restored_may_have_another_state_at_that_version() -> None:
    async def scenario() -> None:
        cache = await knowing("a", "b", version=30)
        await cache.take(PODS, listed("c", version=31), agent="agent/v1")
        assert cache.scopes.find(QUESTION).version == 30
        assert not stays(cache, passed(cache, listed("a", version=30)))
        assert stays(cache, passed(cache, listed("a", "b", version=30)))
        cache.scopes.find(QUESTION).epoch -= 1
        assert not stays(cache, passed(cache, listed("a", version=30)))
        older = await knowing("a", "b", version=30)
        older.scopes.epoch += 1
        assert not stays(older, passed(older, listed("a", version=30)))

    run(scenario)


def test_what_happens_meanwhile_must_be_looked_at() -> None:
    async def scenario() -> None:
        for version in (20, 30):
            cache = await knowing("a", version=version)
            passing = passed(cache, listed("a"))
            assert stays(cache, passing)
            await cache.take(PODS, listed("a", "b", version=31))
            assert not stays(cache, passing)
        fresh = Cache()
        passing = passed(fresh, listed("a"))
        assert stays(fresh, passing)
        await fresh.take(PODS, listed("b", version=29))
        assert not stays(fresh, passing)

    run(scenario)


def test_a_uid_that_no_api_server_made_is_never_seen() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        assert not stays(cache, passed(cache, pod_list(30, pod("a", 5))))

    run(scenario)


def a_page() -> bytes:
    return pod_list(30, known("a"), **{"continue": "more"})


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (a_page(), JSON_FIELDS),
        (table(30, "a"), JSON_FIELDS),
        (b'{"apiVersion":"e/v1","items":[],"kind":"AList","metadata":{}}', JSON_FIELDS),
        (listed("a").replace(b'"PodList"', b'"TableList"'), JSON_FIELDS),
        (listed("a"), {b"content-type": b"application/cbor"}),
        (listed("a"), JSON_FIELDS | {b"content-encoding": b"br"}),
        (listed("a"), PACKED),
    ],
)
def test_what_has_another_form_is_told_by_its_bytes(body: bytes, fields) -> None:
    async def scenario() -> None:
        cache = await knowing("a")
        passing = passed(cache, body, fields, step=100)
        assert not stays(cache, passing)
        assert passing.fingerprint is not None
        assert passing.fingerprint.size == len(body)

    run(scenario)


def test_rows_in_another_form_are_in_another_scope() -> None:
    async def scenario() -> None:
        cache = await knowing("a")
        other = QUESTION._replace(media_type="application/vnd.kubernetes.protobuf")
        passing = passed(cache, listed("a"), asked=other)
        assert not passing.removes_nothing(None)

    run(scenario)


@pytest.mark.parametrize("damage", ["second", "cut", "short"])
def test_what_cannot_be_unpacked_must_be_read(damage: str) -> None:
    async def scenario() -> None:
        cache = await knowing("a")
        body = gzip.compress(listed("a"))
        if damage == "second":
            body += gzip.compress(b" ")
        elif damage == "short":  # all that is known was seen, but not what ends it
            body = body[:-8]
        else:
            body = body[:-40] + b"\xff" * 40
        assert not stays(cache, passed(cache, body, PACKED, step=50))

    run(scenario)


# -- protobuf ---------------------------------------------------------------------------

PROTOBUF = "application/vnd.kubernetes.protobuf"
FIELDS = {b"content-type": PROTOBUF.encode()}
IN_PROTOBUF = QUESTION._replace(media_type=PROTOBUF)
CODEC = ProtobufCodec()


def proto(*names: str, version: int = 30, note: str = "", **page: str) -> bytes:
    meta = {name: known(name)["metadata"] for name in names}
    items = []
    for name, one in meta.items():
        content = encode_text(1, name) + encode_text(3, "default")
        content += encode_text(5, one["uid"]) + encode_text(6, "5")
        if name in page.get("going", ""):
            content += encode_bytes(9, b"\x08\x01")
        content += encode_bytes(12, encode_text(1, "says") + encode_text(2, note))
        items.append(encode_bytes(1, content))
    pages = Page(str(version), page.get("more", ""), None)
    joined = CODEC.join_list(
        kind="PodList", api_version="v1", style="typed", page=pages, items=items
    )
    return b"".join(joined)


async def knowing_proto(*names: str, version: int = 20) -> Cache:
    cache = Cache()
    scope = cache.scopes.ensure(IN_PROTOBUF)
    recording = Recording(cache.recorder, ASKED, IN_PROTOBUF, scope)
    await recording.finish(200, FIELDS, proto(*names, version=version))
    assert scope.complete
    return cache


def stays_proto(cache: Cache, body: bytes, fields=FIELDS, *, step: int = 0) -> bool:
    passing = passed(cache, body, fields, step=step, asked=IN_PROTOBUF)
    return passing.removes_nothing(cache.scopes.find(IN_PROTOBUF))


@given(
    before=st.sets(st.sampled_from(NAMES)),
    now=st.sets(st.sampled_from(NAMES)),
    step=st.integers(1, 300),
    packed=st.booleans(),
)
def test_in_protobuf_too_all_stays_or_it_is_not_said(before, now, step, packed) -> None:
    async def scenario() -> None:
        cache = await knowing_proto(*before)
        body, fields = proto(*now, note="x" * 200), FIELDS
        if packed:
            body = gzip.compress(body)
            fields = FIELDS | {b"content-encoding": b"gzip"}
        assert stays_proto(cache, body, fields, step=step) == (before <= now)

    run(scenario)


def test_in_protobuf_text_is_no_object() -> None:
    async def scenario() -> None:
        cache = await knowing_proto("a", "b")
        uid = known("b")["metadata"]["uid"]
        assert not stays_proto(cache, proto("a", note=f"*${uid}2\x015"))
        assert not stays_proto(cache, proto("a", "b", going="b"))
        assert not stays_proto(cache, proto("a", "b", more="token"))
        assert not stays_proto(cache, proto("a", "b")[:-30])
        assert stays_proto(cache, proto("a", "b"))

    run(scenario)
