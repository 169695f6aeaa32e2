# SPDX-License-Identifier: Apache-2.0
"""A turn does what `decide` says, and a step that fails holds up no other."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.unit.cache.kit import Cache
from tests.unit.wire.kit import play
from toono.pool.cloud import Collection
from toono.pool.decide import Reach, Source
from toono.pool.keys import StorageKeys
from toono.pool.leader import LeaderSettings, Leadership, Role
from toono.pool.member import (
    BEAT_SECONDS,
    CUT_OFF_SECONDS,
    DELEGATE_SECONDS,
    IDLE_SECONDS,
    Member,
    Parts,
)
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.etcd_client import Requests
from toono.store.etcd_errors import (
    EtcdFencedError,
    EtcdFullError,
    EtcdUnavailableError,
    WrongClusterError,
)
from toono.store.etcd_messages import created_at
from toono.testing.clock import VirtualClock

SLICES = Collection("discovery.k8s.io", "v1", "endpointslices")
GUARDS = (created_at(b"leader", 7),)
LEADER = Leadership(role=Role.LEADER, leader="edge-1", guards=GUARDS)
FOLLOWER = Leadership(role=Role.FOLLOWER, leader="edge-2")


class Etcd:
    """One that fails as it is told: `linear` for reads of a majority, `local`."""

    def __init__(self) -> None:
        self.linear: Exception | None = None
        self.local: Exception | None = None
        self.cluster_id, self.revision, self.requests = 0xCAFE, 5, Requests()

    async def range(self, asked) -> None:
        failure = self.local if asked.serializable else self.linear
        if failure is not None:
            raise failure


class Stage:
    """A member whose steps only leave their names."""

    def __init__(self) -> None:
        cache = Cache()
        self.clock, self.etcd = VirtualClock(), Etcd()
        self.upstream = SimpleNamespace(online=True)
        self.done: list[str] = []
        self.kubelet = True
        self.delegate = SimpleNamespace(round=self._round)
        self.member = Member(
            Parts(
                etcd=self.etcd,
                keys=StorageKeys(),
                component_keys=None,
                components=self,
                recorder=cache.recorder,
                upstream=self.upstream,
                clock=self.clock,
                node="edge-1",
                collections=[SLICES],
                delegate=self.delegate,
                elect=True,
                leading=LeaderSettings(),
                kubelet_lives=lambda: self.kubelet,
                now_text=lambda: "2026-11-21T01:00:00.000000Z",
                newer=lambda *_: None,
            )
        )
        self.member._requester = SimpleNamespace(beat=self._beat, stop=self._stop)
        self.member.adopting = SimpleNamespace(take=self._take, versions={})
        self.member.lending.upload = self._upload
        self.member.lending.anew = self._anew
        self.member._follow_cloud = self._follow_cloud
        self.fails: dict[str, Exception] = {}

    def _note(self, name: str) -> None:
        self.done.append(name)
        if name in self.fails:
            raise self.fails[name]

    async def recover(self, claims):
        self._note(f"recover {len(claims)}")
        return SimpleNamespace(etcd_lost=False)

    async def _round(self) -> int:
        self._note("delegate")
        return 2

    async def _beat(self, at: str) -> None:
        self._note("beat")

    async def _stop(self) -> None:
        self._note("stop")

    async def _take(self, collection) -> None:
        self._note("adopt")

    async def _anew(self, etcd) -> None:
        assert etcd is self.etcd

    async def _upload(self) -> None:
        self._note("upload")

    async def _follow_cloud(self, publishes: bool) -> None:
        if publishes:
            self.done.append("follow cloud")

    async def turn(self) -> list[str]:
        self.done = []
        await self.member.turn()
        return self.done


def run(story) -> None:
    async def scene() -> None:
        await story(Stage())

    asyncio.run(scene())


DOWN, GONE = EtcdUnavailableError("no leader"), EtcdUnavailableError("no member")


@pytest.mark.parametrize(
    ("online", "etcd", "now", "steps"),
    [
        (True, "whole", FOLLOWER, ["recover 2", "upload"]),
        (True, "whole", LEADER, ["recover 3", "follow cloud", "upload", "delegate"]),
        (True, "minority", LEADER, []),
        (True, "gone", FOLLOWER, []),
        (False, "whole", FOLLOWER, ["recover 2", "upload", "beat", "adopt"]),
        (False, "whole", LEADER, ["recover 3", "upload", "beat", "adopt"]),
        (False, "minority", FOLLOWER, ["adopt"]),
        (False, "gone", LEADER, []),
    ],
)
def test_a_turn_does_what_can_be_done(online, etcd, now, steps) -> None:
    async def story(stage) -> None:
        stage.upstream.online = online
        stage.etcd.linear = None if etcd == "whole" else DOWN
        stage.etcd.local = GONE if etcd == "gone" else None
        stage.member.election.now = now
        assert await stage.turn() == steps

    run(story)


def test_recovery_comes_first_and_once() -> None:
    async def story(stage) -> None:
        stage.fails["recover 2"] = EtcdUnavailableError("gone again")
        assert await stage.turn() == ["recover 2"]
        assert "recover: " in stage.member.problem
        stage.fails.clear()
        assert await stage.turn() == ["recover 2", "upload"]
        assert stage.member.problem == ""
        assert await stage.turn() == ["upload"]

    run(story)


def test_a_new_leader_recovers_with_what_the_last_one_left() -> None:
    async def story(stage) -> None:
        assert await stage.turn() == ["recover 2", "upload"]
        stage.member.election.now = LEADER
        assert "recover 3" in await stage.turn()
        assert "recover 3" not in await stage.turn()

    run(story)


def test_who_was_fenced_recovers_before_it_writes_again() -> None:
    async def story(stage) -> None:
        await stage.turn()
        stage.fails["upload"] = EtcdFencedError("another hub writes")
        await stage.turn()
        assert stage.member.fenced == 1
        stage.fails.clear()
        assert await stage.turn() == ["recover 2", "upload"]

    run(story)


def test_a_step_that_fails_holds_up_no_other() -> None:
    async def story(stage) -> None:
        stage.upstream.online = False
        stage.fails["upload"] = EtcdFullError("database space exceeded")
        assert await stage.turn() == ["recover 2", "upload", "beat", "adopt"]
        assert stage.member.problem == "upload: etcd: database space exceeded"

    run(story)


def test_another_cluster_s_etcd_is_not_asked_for_anything() -> None:
    async def story(stage) -> None:
        stage.upstream.online = False
        stage.etcd.linear = WrongClusterError("cluster beef answers")
        assert await stage.turn() == []
        assert stage.member.duty.source is Source.DISK
        assert "beef" in stage.member.problem

    run(story)


def test_heartbeats_are_asked_every_ten_seconds_while_the_kubelet_lives() -> None:
    async def story(stage) -> None:
        stage.upstream.online = False
        assert "beat" in await stage.turn()
        assert "beat" not in await stage.turn()
        await stage.clock.advance(BEAT_SECONDS)
        assert "beat" in await stage.turn()
        stage.kubelet = False
        assert "stop" in await stage.turn()
        assert "stop" not in await stage.turn()

    run(story)


def test_a_heartbeat_is_taken_back_when_the_cloud_is_there_again() -> None:
    async def story(stage) -> None:
        stage.upstream.online = False
        await stage.turn()
        stage.etcd.linear = DOWN
        stage.upstream.online = True
        assert "stop" not in await stage.turn(), "it cannot be said just now"
        stage.etcd.linear = None
        assert "stop" in await stage.turn()

    run(story)


def test_a_leader_delegates_every_few_seconds() -> None:
    async def story(stage) -> None:
        stage.member.election.now = LEADER
        assert "delegate" in await stage.turn()
        assert "delegate" not in await stage.turn()
        await stage.clock.advance(DELEGATE_SECONDS)
        assert "delegate" in await stage.turn()
        assert stage.member.delegated == 4

    run(story)


def test_the_pool_is_read_at_most_once_a_second() -> None:
    async def story(stage) -> None:
        stage.upstream.online = False
        assert "adopt" in await stage.turn()
        assert "adopt" not in await stage.turn()
        await stage.clock.advance(CUT_OFF_SECONDS)
        assert "adopt" in await stage.turn()

    run(story)


def test_who_shall_not_lead_follows() -> None:
    async def story(stage) -> None:
        assert stage.member._may_lead()
        parts = stage.member._parts
        stage.member._parts = replace(parts, elect=False)
        assert not stage.member._may_lead()

    run(story)


@pytest.mark.parametrize(
    ("online", "reach", "leads"),
    [
        (True, Reach.MAJORITY, True),
        (True, Reach.NONE, True),  # the election itself finds out
        (True, Reach.MINORITY, False),
        (False, Reach.MAJORITY, False),
    ],
)
def test_only_who_has_the_cloud_may_lead(online, reach, leads) -> None:
    async def story(stage) -> None:
        stage.upstream.online, stage.member.reach = online, reach
        assert stage.member._may_lead() is leads

    run(story)


def test_a_pause_ends_with_time_or_news() -> None:
    async def scenario() -> None:
        stage = Stage()
        for news in (
            lambda: stage.member.mode_changed(True),
            lambda: stage.member._role_changed(LEADER),
        ):
            pause = spawn(stage.member._pause(), name="pause")
            await asyncio.sleep(0)
            news()
            await pause
        for online, seconds in ((True, IDLE_SECONDS), (False, CUT_OFF_SECONDS)):
            stage.upstream.online = online
            pause = spawn(stage.member._pause(), name="pause")
            await stage.clock.advance(seconds - 0.1)
            assert not pause.done()
            await stage.clock.advance(0.2)
            await pause

    play(scenario)


def test_the_page_tells_what_an_operator_asks() -> None:
    async def story(stage) -> None:
        stage.member.election.now = FOLLOWER
        await stage.turn()
        page = stage.member.page()
        assert (page["role"], page["leader"]) == ("follower", "edge-2")
        assert (page["etcd"], page["cluster"], page["revision"]) == (
            "majority",
            "cafe",
            5,
        )
        assert page["answersFrom"] == "cloud"
        (slices,) = page["collections"]
        assert slices == {
            "resource": "endpointslices.discovery.k8s.io",
            "version": 0,
            "objects": 0,
            "published": 0,
            "adopted": 0,
        }

    run(story)


def test_leaders_follow_the_cloud_and_nobody_else_does() -> None:
    async def scenario() -> None:
        stage = Stage()
        running = asyncio.Event()

        async def follow() -> None:
            running.set()
            await asyncio.Event().wait()

        (one,) = stage.member._followers.values()
        one.run = follow
        del stage.member._follow_cloud
        await stage.member._follow_cloud(True)
        await asyncio.wait_for(running.wait(), 1)
        (task,) = stage.member._following.values()
        await stage.member._follow_cloud(True)
        assert list(stage.member._following.values()) == [task]
        stage.member.share([("", "v1", "endpoints")])
        for follower in stage.member._followers.values():
            follower.run = follow
        await stage.member._follow_cloud(True)
        assert len(stage.member._following) == 2
        stage.member.share([])
        await stage.member._follow_cloud(True)
        assert list(stage.member._following.values()) == [task]
        await stage.member._follow_cloud(False)
        assert stage.member._following == {}
        assert task.cancelled()

    play(scenario)


def test_a_run_that_is_cancelled_leaves_nothing() -> None:
    async def scenario() -> None:
        stage = Stage()
        started, closed = [], []
        stage.member.election.start = lambda: started.append(1)

        async def close() -> None:
            closed.append(1)

        async def watch() -> None:
            await asyncio.Event().wait()

        stage.member.election.aclose = close
        stage.member._watch_lists = watch
        task = spawn(stage.member.run(), name="pool")
        while not stage.done:
            await asyncio.sleep(0)
        await cancel_and_wait(task)
        assert (started, closed) == ([1], [1])

    play(scenario)
