# SPDX-License-Identifier: Apache-2.0
"""The informer of the CNI-like agent's kit: which request follows which answer."""

import json
import threading
from collections.abc import Iterator

from cni_agent.kit.api import RefusedError, UnreachableError
from cni_agent.kit.informer import Informer
from cni_agent.kit.meta import Kind

from tests.unit.cni_agent.virtual import VirtualClock

PATH = "/api/v1/pods"


def pod(name: str, version: int, **labels: str) -> dict:
    meta = {"name": name, "namespace": "shop", "resourceVersion": str(version)}
    return {"metadata": {**meta, "labels": labels}, "status": {"ignored": 1}}


def page(version: int, *items: dict, more: str = "") -> bytes:
    meta = {"resourceVersion": str(version), "continue": more}
    return json.dumps({"metadata": meta, "items": list(items)}).encode()


def event(kind: str, content: dict) -> bytes:
    return json.dumps({"type": kind, "object": content}).encode()


class Scripted:
    """An API that gives the answers it was told, in order."""

    def __init__(self, clock: VirtualClock, *answers) -> None:
        self.answers, self.clock = list(answers), clock
        self.asked: list[dict[str, str]] = []

    def _next(self, path: str, query) -> list | bytes:
        assert path == PATH
        asked = dict(query)
        asked.pop("timeoutSeconds", None)
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get(self, path: str, query) -> bytes:
        answer = self._next(path, query)
        assert isinstance(answer, bytes), "a list was asked where a watch was expected"
        return answer

    def watch(self, path: str, query) -> Iterator[bytes]:
        assert 300 <= int(query["timeoutSeconds"]) <= 600
        for one in self._next(path, query):
            if isinstance(one, Exception):
                raise one
            yield one
        self.clock.now += 5


def informer(*answers, **options):
    clock = VirtualClock()
    api = Scripted(clock, *answers)
    heard: list[tuple[str, str]] = []

    def changed(old: Kind | None, new: Kind | None) -> None:
        one = new or old
        assert one is not None
        kind = "gone" if new is None else "new" if old is None else "changed"
        heard.append((kind, one.key))

    return Informer(api, PATH, Kind, changed, clock=clock, **options), api, heard


def asked_watch(version: int) -> dict[str, str]:
    return {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": str(version),
    }


def test_it_lists_from_memory_then_watches_from_there() -> None:
    mirror, api, heard = informer(
        page(5, pod("a", 3), pod("b", 4)),
        [
            event("MODIFIED", pod("a", 6, app="web")),
            event("DELETED", pod("b", 7)),
            event("ADDED", pod("c", 8)),
        ],
        selector={"fieldSelector": "spec.nodeName=edge-1"},
    )
    assert not mirror.synced.is_set()
    assert mirror.step() == 0
    assert mirror.synced.is_set()
    assert [one.key for one in mirror.all()] == ["shop/a", "shop/c"]
    assert mirror.get("shop/a").metadata.labels == {"app": "web"}
    assert mirror.get("shop/b") is None
    assert heard == [
        ("new", "shop/a"),
        ("new", "shop/b"),
        ("changed", "shop/a"),
        ("gone", "shop/b"),
        ("new", "shop/c"),
    ]
    where = {"fieldSelector": "spec.nodeName=edge-1"}
    assert api.asked == [
        {**where, "resourceVersion": "0", "limit": "500"},
        {**where, **asked_watch(5)},
    ]


def test_a_watch_that_ends_goes_on_where_it_ended() -> None:
    mirror, api, _ = informer(
        page(5), [event("ADDED", pod("a", 6))], [event("ADDED", pod("b", 9))], [], []
    )
    for _ in range(3):
        assert mirror.step() == 0
    assert [one["resourceVersion"] for one in api.asked] == ["0", "5", "6", "9"]


def test_a_bookmark_moves_the_place_and_is_no_object() -> None:
    bookmark = {"metadata": {"resourceVersion": "90"}}
    mirror, api, heard = informer(page(5), [event("BOOKMARK", bookmark)], [])
    mirror.step()
    mirror.step()
    assert api.asked[-1] == asked_watch(90)
    assert heard == []
    assert mirror.all() == []


def test_410_in_the_stream_lists_the_newest_and_tells_what_is_gone() -> None:
    expired = {"kind": "Status", "code": 410, "message": "too old", "metadata": {}}
    mirror, api, heard = informer(
        page(5, pod("a", 3), pod("b", 4)),
        [event("ERROR", expired)],
        page(20, pod("b", 4), pod("c", 19)),
        [],
    )
    assert 0.5 <= mirror.step() <= 0.75
    assert "410" in mirror.problem
    assert mirror.step() == 0
    assert heard[2:] == [("gone", "shop/a"), ("new", "shop/c")], "b is as it was"
    assert api.asked[2] == {"resourceVersion": "", "limit": "500"}
    assert api.asked[3] == asked_watch(20)


def test_410_to_the_watch_itself_lists_anew_too() -> None:
    mirror, api, _ = informer(page(5), RefusedError(410, "Expired"), page(8), [])
    mirror.step()
    mirror.step()
    assert [one["resourceVersion"] for one in api.asked] == ["0", "5", "", "8"]


def test_after_a_broken_link_it_goes_on_and_lists_nothing() -> None:
    mirror, api, heard = informer(
        page(5, pod("a", 3)),
        [event("ADDED", pod("b", 6)), UnreachableError("reset")],
        UnreachableError("refused"),
        RefusedError(503, "cut off", retry_after=7),
        [event("ADDED", pod("c", 8))],
    )
    pauses = [mirror.step() for _ in range(4)]
    assert 0.5 <= pauses[0] <= 0.75
    assert 1.0 <= pauses[1] <= 1.5
    assert pauses[2] == 7, "the server has asked for more than the back-off"
    assert pauses[3] == 0
    assert mirror.problem == ""
    assert [one["resourceVersion"] for one in api.asked] == ["0", "5", "6", "6", "6"]
    assert heard[-1] == ("new", "shop/c")


def test_pages_are_put_together() -> None:
    mirror, api, _ = informer(
        page(5, pod("a", 3), more="next"), page(5, pod("b", 4)), []
    )
    mirror.step()
    assert [one.key for one in mirror.all()] == ["shop/a", "shop/b"]
    assert api.asked[1] == {"limit": "500", "continue": "next"}


def test_a_watch_that_ends_at_once_and_says_nothing_counts_as_a_failure() -> None:
    mirror, api, _ = informer(page(5), [UnreachableError("x")], [])
    mirror.step()
    api.clock = VirtualClock()  # this watch takes no time of the informer's
    assert 1.0 <= mirror.step() <= 1.5
    assert "ended at once" in mirror.problem


def test_an_answer_that_is_no_json_is_a_failure_and_changes_nothing() -> None:
    mirror, _, heard = informer(
        b"<html>", page(5, pod("a", 3)), [b"{not"], [event("ADDED", {"metadata": 1})]
    )
    for _ in range(3):
        assert mirror.step() > 0
        assert mirror.problem
    assert heard == [("new", "shop/a")]


def test_the_back_off_has_a_most_and_begins_anew_when_something_comes() -> None:
    failures = [UnreachableError("x")] * 20
    mirror, _, _ = informer(*failures, page(5), [UnreachableError("x")])
    assert max(mirror.step() for _ in range(20)) <= 45
    assert 0.5 <= mirror.step() <= 0.75


def test_it_runs_until_it_is_stopped() -> None:
    stopped = threading.Event()
    mirror, api, _ = informer(page(5), *[UnreachableError("x")] * 3)
    sleep = api.clock.sleep

    def sleeping(seconds: float) -> None:
        sleep(seconds)
        if len(api.clock.slept) == 3:
            stopped.set()

    api.clock.sleep = sleeping
    mirror.run(stopped)
    assert len(api.clock.slept) == 3
