# SPDX-License-Identifier: Apache-2.0
"""One look serves all who wait, and none who came after it had begun."""

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from toono.identity import holders
from toono.identity.book import Book
from toono.identity.holders import CONFINED, Holders, sockets_held
from toono.identity.rights import Rights
from toono.identity.sockets import Owner
from toono.runtime.clock import SystemClock
from toono.store.memory import MemoryStore


def test_this_process_holds_its_sockets() -> None:
    with socket.socket() as mine:
        inode = os.fstat(mine.fileno()).st_ino
        assert str(os.getpid()) in Holders().of(inode)
    assert Holders().of(inode) == ()


def test_a_process_that_shows_nothing_is_passed_over(tmp_path) -> None:
    (tmp_path / "1" / "fd").mkdir(parents=True)
    (tmp_path / "1" / "fd" / "3").symlink_to("socket:[77]")
    (tmp_path / "1" / "fd" / "4").symlink_to("/dev/null")
    (tmp_path / "1" / "fd" / "5").write_text("no link")
    (tmp_path / "2").mkdir()
    (tmp_path / "self").mkdir()
    assert sockets_held(tmp_path, {77}) == {77: ["1"]}
    assert Holders(proc=tmp_path).of(77) == ["1"]


def process(proc, pid: int, group: str | None, *inodes: int) -> None:
    (proc / str(pid) / "fd").mkdir(parents=True)
    for number, inode in enumerate(inodes):
        (proc / str(pid) / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
    if group is not None:
        (proc / str(pid) / "cgroup").write_text(f"1:cpu:/\n0::{group}\n")


@pytest.mark.parametrize(
    "group",
    ["/kubepods/besteffort/pod1", "/../kubelet", "/x/..", None, "/" + "x" * 70_000],
)
def test_who_may_not_be_the_node_is_never_missed(tmp_path, group) -> None:
    for pid in (10, 30, 50):
        process(tmp_path, pid, "/system.slice/kubelet.service", 77)
    for pid in (20, 40):
        process(tmp_path, pid, group, 77)
    pids = Holders(proc=tmp_path).of(77)
    assert set(pids) >= {"20", "40"}


def test_of_the_others_the_one_that_began_last_is_enough(tmp_path) -> None:
    process(tmp_path, 9, "/init.scope", 1, 77, 78)
    process(tmp_path, 100, "/user.slice", 77)
    process(tmp_path, 20, "/kubepods/pod1", 2)
    assert sockets_held(tmp_path, {77}) == {2: ["20"], 77: ["100"]}
    assert sockets_held(tmp_path, {77, 78})[78] == ["9"]
    assert sockets_held(tmp_path, {99})[1] == ["9"], "all are looked through for it"
    assert Holders(proc=tmp_path).of(99) == ()


def test_what_rights_would_refuse_is_looked_through() -> None:
    rights = Rights(Book(MemoryStore()), clock=SystemClock())
    for group in ("/kubepods", "/a/kubepods.slice/b", "/..", "/../x", "/a/../b"):
        owner = Owner(next(iter(rights.settings.node_uids)), frozenset({group}))
        assert rights.why_not_node(owner)
        assert any(mark in group.encode() for mark in CONFINED)


def test_without_proc_each_who_asks_is_told(tmp_path) -> None:
    gone = Holders(proc=tmp_path / "gone")
    for _ in range(2):
        with pytest.raises(OSError):
            gone.of(1)


def test_who_asks_during_a_look_waits_for_the_next(monkeypatch) -> None:
    begun, go = threading.Semaphore(0), threading.Semaphore(0)
    looks: list[int] = []

    def look(*_) -> dict:
        looks.append(len(looks) + 1)
        begun.release()
        go.acquire()
        return {1: [str(len(looks))]}

    monkeypatch.setattr(holders, "sockets_held", look)
    asked = Holders()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(asked.of, 1)
        begun.acquire()
        late = [pool.submit(asked.of, 1) for _ in range(6)]
        while len(asked._turn._waiters) < 6:
            time.sleep(0.001)
        go.release()
        begun.acquire()
        go.release()
        assert first.result(10) == ["1"]
        assert {one.result(10)[0] for one in late} == {"2"}
    assert looks == [1, 2]


class Still(SystemClock):
    """Time passes when a test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_looks_rest_and_who_comes_meanwhile_shares_the_next(monkeypatch) -> None:
    looks: list[int] = []

    def look(*_) -> dict:
        looks.append(1)
        clock.now += 9.0
        return {1: ["77"]}

    clock = Still()
    monkeypatch.setattr(holders, "sockets_held", look)
    monkeypatch.setattr(holders, "MAX_REST_SECONDS", 3600.0)
    asked = Holders(clock=clock)
    assert asked.of(1) == ["77"]
    with ThreadPoolExecutor(8) as pool:
        late = [pool.submit(asked.of, 1) for _ in range(6)]
        while len(asked._turn._waiters) < 6:
            time.sleep(0.001)
        assert looks == [1]
        with asked._turn:
            asked._turn.notify_all()  # as the end of the rest does
        assert [one.result(10) for one in late] == [["77"]] * 6
    assert looks == [1, 1]
    clock.now += 3600.0
    assert asked.of(1) == ["77"]
