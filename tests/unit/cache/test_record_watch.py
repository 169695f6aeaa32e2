# SPDX-License-Identifier: Apache-2.0
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cache.kit import (
    Cache,
    bookmark,
    call,
    encode,
    event,
    pod,
    pod_list,
    run,
)
from toono.cache import record_watch
from toono.codec.registry import for_media_type

PODS = "/api/v1/pods"
WATCH = PODS + "?watch=true&allowWatchBookmarks=true"
BURST = WATCH + "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"


async def listed(version: int = 20) -> Cache:
    cache = Cache()
    await cache.take(PODS, pod_list(version, pod("a", 5), pod("b", 6)))
    return cache


def test_events_after_the_list_change_it() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await cache.watch(WATCH + "&resourceVersion=20")
        stream.feed(event("ADDED", pod("c", 21)) + event("MODIFIED", pod("a", 22)))
        stream.feed(event("DELETED", pod("b", 23)))
        assert await cache.list(PODS) == (23, ["a", "c"])
        stream.feed(bookmark(40))
        assert await cache.list(PODS) == (40, ["a", "c"])

    run(scenario)


def test_what_removes_is_kept_before_it_goes_on() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await cache.watch(WATCH + "&resourceVersion=20")
        assert stream.feed(event("ADDED", pod("c", 21))).kept is None
        assert stream.feed(event("DELETED", pod("b", 23))).kept is not None
        going = pod("a", 24, deletionTimestamp="2026-11-21T00:00:00Z")
        assert stream.feed(event("MODIFIED", going)).kept is not None

    run(scenario)


def test_a_stream_ahead_of_the_scope_leaves_no_hole() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await cache.watch(WATCH + "&resourceVersion=30")
        stream.feed(event("ADDED", pod("c", 31)))
        assert await cache.list(PODS) == (20, ["a", "b"])
        await cache.take(PODS, pod_list(31, pod("c", 31)))
        stream.feed(event("ADDED", pod("d", 32)))
        assert await cache.list(PODS) == (32, ["c", "d"])

    run(scenario)


def test_two_streams_apply_an_event_once() -> None:
    async def scenario() -> None:
        cache = await listed()
        first = await cache.watch(WATCH + "&resourceVersion=20")
        second = await cache.watch(WATCH + "&resourceVersion=20")
        first.feed(event("ADDED", pod("c", 21)) + event("DELETED", pod("c", 22)))
        second.feed(event("ADDED", pod("c", 21)))
        assert await cache.list(PODS) == (22, ["a", "b"])

    run(scenario)


def test_a_burst_closed_by_its_bookmark_is_a_list() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await cache.watch(BURST)
        stream.feed(event("ADDED", pod("b", 6)) + event("ADDED", pod("c", 25)))
        assert await cache.list(PODS) == (20, ["a", "b"])
        fed = stream.feed(bookmark(30, end=True))
        assert fed.kept is not None
        assert await cache.list(PODS) == (30, ["b", "c"])
        stream.feed(event("DELETED", pod("b", 31)))
        assert await cache.list(PODS) == (31, ["c"])

    run(scenario)


def test_an_empty_burst_is_truly_empty() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await cache.watch(BURST)
        stream.feed(bookmark(30, end=True))
        assert await cache.list(PODS) == (30, [])

    run(scenario)


def test_a_burst_without_its_end_proves_nothing() -> None:
    async def scenario() -> None:
        cache = Cache()
        stream = await cache.watch(WATCH + "&resourceVersion=0")
        stream.feed(event("ADDED", pod("a", 5)) + bookmark(30))
        stream.feed(event("ADDED", pod("b", 31)))
        assert await cache.list(PODS) == "Unknown"

    run(scenario)


def test_a_burst_too_large_to_hold_is_not_kept(monkeypatch) -> None:
    monkeypatch.setattr(record_watch, "MAX_BURST_BYTES", 300)

    async def scenario() -> None:
        cache = Cache()
        stream = await cache.watch(BURST)
        for number in range(5):
            stream.feed(event("ADDED", pod(f"p{number}", 5)))
        stream.feed(bookmark(30, end=True))
        assert await cache.list(PODS) == "Unknown"

    run(scenario)


def test_a_burst_from_a_restored_cloud_begins_an_epoch() -> None:
    async def scenario() -> None:
        cache = await listed(version=100)
        old = await cache.watch(WATCH + "&resourceVersion=100")
        stream = await cache.watch(BURST)
        stream.feed(event("ADDED", pod("z", 40)) + bookmark(50, end=True))
        assert await cache.list(PODS) == (50, ["z"])
        assert cache.scopes.epoch == 1
        fed = old.feed(event("ADDED", pod("c", 101)))
        assert fed.ended
        assert b'"code":410' in fed.frames

    run(scenario)


def test_a_burst_below_what_any_scope_has_seen_begins_one_too() -> None:
    async def scenario() -> None:
        cache = await listed(version=20)
        await cache.take(PODS + "?labelSelector=color%3Dred", pod_list(100))
        stream = await cache.watch(BURST)
        stream.feed(event("ADDED", pod("z", 40)) + bookmark(50, end=True))
        assert await cache.list(PODS) == (50, ["z"])
        assert cache.scopes.epoch == 1

    run(scenario)


def test_a_frame_that_cannot_be_read_makes_the_scope_incomplete() -> None:
    async def scenario() -> None:
        for bad in (
            b'{"type":"ADDED","object":{"metadata":1}}\n',
            event("PAUSED", pod("c", 21)),
            event("ADDED", pod("..", 21)),
            event("ADDED", pod("c", "abc")),
        ):
            cache = await listed()
            stream = await cache.watch(WATCH + "&resourceVersion=20")
            fed = stream.feed(bad)
            assert fed.frames == bad
            assert await cache.list(PODS) == "Unknown"
            stream.feed(event("ADDED", pod("d", 22)))
            await cache.take(PODS, pod_list(22, pod("d", 22)))
            assert await cache.list(PODS) == (22, ["d"])

    run(scenario)


def test_an_error_frame_changes_nothing() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await cache.watch(WATCH + "&resourceVersion=20")
        status = {"kind": "Status", "apiVersion": "v1", "code": 410}
        stream.feed(encode({"type": "ERROR", "object": status}))
        assert await cache.list(PODS) == (20, ["a", "b"])

    run(scenario)


def test_tables_and_metadata_are_not_mistaken_for_objects() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await cache.watch(WATCH + "&resourceVersion=20")
        thin = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        stream.feed(encode({"type": "ADDED", "object": thin | pod("c", 21)}))
        assert await cache.list(PODS) == (20, ["a", "b"])

    run(scenario)


def test_only_whole_frames_go_on() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await cache.watch(WATCH + "&resourceVersion=20")
        frame = event("ADDED", pod("c", 21))
        assert stream.feed(frame[:30]).frames == b""
        assert stream.feed(frame[30:] + frame[:5]).frames == frame

    run(scenario)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 400), max_size=12))
def test_any_cut_of_the_stream_gives_the_same_rows(cuts: list[int]) -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await cache.watch(WATCH + "&resourceVersion=20")
        whole = (
            event("ADDED", pod("c", 21, labels={"k": 'a}\n{"'}))
            + event("MODIFIED", pod("a", 22))
            + event("DELETED", pod("b", 23))
            + bookmark(30)
        )
        out, at = b"", 0
        for cut in [*cuts, len(whole)]:
            out += stream.feed(whole[at : at + cut]).frames
            at += cut
        assert out == whole
        assert await cache.list(PODS) == (30, ["a", "c"])

    run(scenario)


# -- what a burst takes away ---------------------------------------------------


def lost(known, told) -> frozenset:
    return frozenset(known) - frozenset(told)


async def guarded(cache: Cache) -> record_watch.WatchRecording:
    codec = for_media_type("application/json")
    assert codec is not None
    stream = record_watch.WatchRecording(cache.recorder, call(BURST), codec, loss=lost)
    await stream.ready()
    return stream


def test_a_burst_that_loses_something_waits_before_its_bookmark() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await guarded(cache)
        first, end = event("ADDED", pod("a", 5)), bookmark(30, end=True)
        after = event("ADDED", pod("c", 31))
        fed = stream.feed(first + end + after)
        assert fed.frames == first
        assert fed.lost == {("default", "b")}
        assert not fed.ended
        assert await cache.list(PODS) == (20, ["a", "b"])
        fed = stream.resume(confirmed=True)
        assert fed.frames == end + after
        assert fed.kept is not None
        assert fed.lost == frozenset()
        assert await cache.list(PODS) == (31, ["a", "c"])

    run(scenario)


def test_a_loss_that_is_not_confirmed_ends_the_watch_and_changes_nothing() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await guarded(cache)
        assert stream.feed(bookmark(30, end=True)).frames == b""
        assert stream.resume(confirmed=False) == record_watch.Fed(b"", None, True)
        assert await cache.list(PODS) == (20, ["a", "b"])

    run(scenario)


def test_a_burst_that_loses_nothing_goes_on_at_once() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await guarded(cache)
        whole = event("ADDED", pod("a", 5)) + event("ADDED", pod("b", 6))
        whole += bookmark(30, end=True)
        fed = stream.feed(whole)
        assert (fed.frames, fed.lost) == (whole, frozenset())
        assert await cache.list(PODS) == (30, ["a", "b"])
        gone = stream.feed(event("DELETED", pod("a", 31)))
        assert gone.lost == frozenset(), "one object that the cloud has deleted"

    run(scenario)


def test_a_bookmark_in_pieces_is_held_as_well() -> None:
    async def scenario() -> None:
        cache = await listed()
        stream = await guarded(cache)
        end = bookmark(30, end=True)
        assert stream.feed(end[:9]).frames == b""
        assert stream.feed(end[9:]).lost
        assert stream.resume(confirmed=True).frames == end

    run(scenario)
