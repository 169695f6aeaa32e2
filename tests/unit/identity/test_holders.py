# SPDX-License-Identifier: Apache-2.0
"""One look serves all who wait, and none who came after it had begun."""

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from toono.identity import holders
from toono.identity.holders import Holders, sockets_held
from toono.runtime.clock import SystemClock


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
    assert sockets_held(tmp_path) == {77: ["1"]}
    assert Holders(proc=tmp_path).of(77) == ["1"]


def test_without_proc_each_who_asks_is_told(tmp_path) -> None:
    gone = Holders(proc=tmp_path / "gone")
    for _ in range(2):
        with pytest.raises(OSError):
            gone.of(1)


def test_who_asks_during_a_look_waits_for_the_next(monkeypatch) -> None:
    begun, go = threading.Semaphore(0), threading.Semaphore(0)
    looks: list[int] = []

    def look(_) -> dict:
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

    def look(_) -> dict:
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
