# SPDX-License-Identifier: Apache-2.0
"""One hub in its pool. READ FIRST of this package: a turn every few seconds looks at
what can be reached, asks `decide` what a hub does then, and does it.

Nothing of it is on the way of a request: what followers take from the pool goes into
a scope of the hub's own cache, where answers are looked for anyway. A step that fails
is told and tried again at the next turn; the others go on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from toono.cache.record import Recorder
from toono.errors import StoreError, StoreUnavailableError, UpstreamError, WireError
from toono.pool.adopt import Adopting
from toono.pool.cloud import Collection, Follower
from toono.pool.decide import Duty, Reach, Source, duty
from toono.pool.delegate import Delegate, Requester
from toono.pool.keys import StorageKeys
from toono.pool.leader import Election, LeaderSettings, Leadership, Role
from toono.pool.lend import Lending
from toono.pool.shared import Names, Publisher
from toono.pool.shipping import Shipping
from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.component_keys import ComponentKeys
from toono.store.etcd_client import Etcd
from toono.store.etcd_components import Components
from toono.store.etcd_errors import EtcdError, EtcdFencedError
from toono.store.etcd_messages import Compare, Range, end_of
from toono.upstream.pool import Upstream

log = logging.getLogger(__name__)

CUT_OFF_SECONDS = 1.0
IDLE_SECONDS = 2.0
DELEGATE_SECONDS = 5.0
BEAT_SECONDS = 10.0
"""As often as a kubelet renews its Lease."""
WATCH_RETRY_SECONDS = 2.0
NEVER = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a member is made of, built by whoever opens it."""

    etcd: Etcd
    keys: StorageKeys
    component_keys: ComponentKeys
    components: Components
    recorder: Recorder
    upstream: Upstream
    clock: Clock
    node: str
    collections: Sequence[Collection]
    delegate: Delegate
    elect: bool
    leading: LeaderSettings
    kubelet_lives: Callable[[], bool]
    """Only for a node whose kubelet speaks is a heartbeat asked."""
    now_text: Callable[[], str]
    """The time as Kubernetes' MicroTime."""
    newer: Callable[[str, str], None]
    """Told (group, resource) of which something newer than before can be answered."""


class Member:
    """This hub's part in its pool, while `run` runs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        names = Names(parts.keys)
        self._lists = names.lists
        self.election = Election(
            parts.etcd,
            names.leader,
            parts.node,
            clock=parts.clock,
            may_lead=self._may_lead,
            changed=self._role_changed,
            settings=parts.leading,
        )
        self._publisher = Publisher(parts.components, parts.keys)
        self._requester = Requester(parts.etcd, parts.keys, parts.node)
        self.adopting = Adopting(
            parts.etcd, parts.keys, parts.recorder.scopes, newer=parts.newer
        )
        self.lending = Lending(
            parts.components, parts.keys, parts.recorder.scopes, parts.node
        )
        self._followers: dict[Collection, Follower] = {}
        self._following: dict[Collection, asyncio.Task[None]] = {}
        self._shipping: dict[Collection, Shipping] = {}
        self.share(())
        self._led: Sequence[Compare] = ()
        """The guards under which this hub took over, empty where it has not."""
        self._recovered = False
        self._wake = asyncio.Event()
        self._beaten_at = self._delegated_at = self._adopted_at = NEVER
        self.reach = Reach.NONE
        self.problems: dict[str, str] = {}
        self.delegated = 0
        self.fenced = 0

    def share(self, more: Sequence[tuple[str, str, str]]) -> None:
        """Share these (group, version, resource) beside those it was opened with.

        What is shared no longer stays in etcd as it was: other hubs may share it.
        """
        parts, before = self._parts, set(self._followers)
        wanted = dict.fromkeys(
            [*parts.collections, *(Collection(*one) for one in more)]
        )
        for one in wanted.keys() - before:
            self._followers[one] = Follower(
                one, parts.recorder, parts.upstream, clock=parts.clock
            )
            self._shipping[one] = Shipping()
        for one in before - wanted.keys():
            del self._followers[one], self._shipping[one]
        if before:
            # A leader takes over what the pool holds of the new ones, too.
            self._led = ()
            self._wake.set()

    # -- life -------------------------------------------------------------------------

    async def run(self) -> None:
        """Take part until cancelled; then give up what this hub leads."""
        self.election.start()
        watch = spawn(self._watch_lists(), name="pool-lists")
        try:
            while True:
                await self.turn()
                await self._pause()
        finally:
            await cancel_and_wait(watch, *self._following.values())
            await self.election.aclose()

    async def turn(self) -> None:
        """Look at what can be reached, and do what a hub does then."""
        self.reach = await self._look()
        now = self.duty
        if now.uploads and not self._recovered:
            await self._step("recover", self._recover)
        writes = now.uploads and self._recovered
        await self._follow_cloud(now.publishes)
        if now.publishes and writes:
            await self._step("publish", self._publish)
        if writes:
            await self._step("upload", self.lending.upload)
        if now.delegates:
            await self._step("delegate", self._delegate)
        if now.asks_delegation or self._beaten_at != NEVER:
            await self._step("heartbeat", self._beat)
        if now.source is Source.POOL:
            await self._step("adopt", self._adopt)

    @property
    def duty(self) -> Duty:
        """What this hub does as things are."""
        online = self._parts.upstream.online
        return duty(cloud=online, etcd=self.reach, role=self.election.now.role)

    @property
    def problem(self) -> str:
        """What does not work just now; empty where all does."""
        told = [f"{name}: {text}" for name, text in self.problems.items()]
        told += [one.problem for one in self._followers.values() if one.problem]
        return "; ".join(told)

    def mode_changed(self, online: bool) -> None:
        """The link to the cloud was cut, or is back: look now."""
        self._wake.set()

    def _role_changed(self, now: Leadership) -> None:
        self._wake.set()

    def _may_lead(self) -> bool:
        # Whoever cannot be asked is found out by the election itself.
        online = self._parts.upstream.online
        return self._parts.elect and online and self.reach is not Reach.MINORITY

    # -- what can be reached ------------------------------------------------------------

    async def _look(self) -> Reach:
        asked = Names(self._parts.keys).leader
        try:
            await self._parts.etcd.range(Range(asked))
            self.problems.pop("etcd", None)
            return Reach.MAJORITY
        except EtcdError as exc:
            self._tell("etcd", exc)
            return Reach.NONE
        except StoreUnavailableError as exc:
            self._tell("etcd", exc)
        try:
            await self._parts.etcd.range(Range(asked, serializable=True))
            return Reach.MINORITY
        except StoreError:
            return Reach.NONE

    async def _pause(self) -> None:
        """Wait for the next turn, or for news."""
        cut_off = not self._parts.upstream.online
        seconds = CUT_OFF_SECONDS if cut_off or self._led else IDLE_SECONDS
        nap = spawn(self._parts.clock.sleep(seconds), name="pool-nap")
        wake = spawn(_wait(self._wake), name="pool-wake")
        try:
            await asyncio.wait((nap, wake), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(nap, wake)
        self._wake.clear()

    async def _watch_lists(self) -> None:
        """Wake up when the leader has published."""
        while True:
            try:
                async with self._parts.etcd.watch(
                    self._lists, range_end=end_of(self._lists)
                ) as watch:
                    while True:
                        told = await watch.next()
                        if told.events and not self._parts.upstream.online:
                            self._wake.set()
            except StoreError:
                await self._parts.clock.sleep(WATCH_RETRY_SECONDS)

    # -- steps ------------------------------------------------------------------------

    async def _step(self, name: str, do: Callable[[], Awaitable[None]]) -> None:
        try:
            await do()
        except EtcdFencedError as exc:
            self.fenced += 1
            self._led, self._recovered = (), False
            self._tell(name, exc)
        except (StoreError, UpstreamError, WireError) as exc:
            self._tell(name, exc)
        else:
            if self.problems.pop(name, None):
                log.info("the pool works again", extra={"step": name})

    def _tell(self, name: str, exc: Exception) -> None:
        if self.problems.get(name) != str(exc):
            log.warning(
                "a step in the pool failed", extra={"step": name, "err": str(exc)}
            )
        self.problems[name] = str(exc)

    async def _recover(self) -> None:
        claims = self.lending.claims()
        leads = self.election.now
        if leads.role is Role.LEADER:
            claims += self._publisher.claims(one.of for one in self._followers)
        found = await self._parts.components.recover(claims)
        await self.lending.anew(self._parts.etcd)
        self._recovered = True
        self._led = leads.guards
        for shipping in self._shipping.values():
            shipping.anew()
        if found.etcd_lost:
            log.warning("the pool's etcd has lost what it held: all is told again")

    async def _follow_cloud(self, publishes: bool) -> None:
        """Have the cloud's collections followed while, and only while, this hub leads."""
        wanted = self._followers if publishes else {}
        for one in [one for one in self._following if one not in wanted]:
            await cancel_and_wait(self._following.pop(one))
        for one, follower in wanted.items():
            if one not in self._following:
                self._following[one] = spawn(follower.run(), name="pool-cloud")

    async def _publish(self) -> None:
        guards = self.election.now.guards
        if guards != self._led:
            # A new leader takes over what the last one left before it writes.
            await self._recover()
        for one, shipping in list(self._shipping.items()):
            scope = one.scope(self._parts.recorder.scopes)
            follower = self._followers.get(one)
            current = follower is not None and follower.current
            if scope is None or not current or not shipping.is_due(scope):
                continue
            parcel = await shipping.pack(self._parts.recorder.scopes, scope)
            if parcel is None:
                continue
            if parcel.whole:
                await self._publisher.publish(
                    one.of, parcel.form, parcel.objects,
                    version=parcel.version, guards=guards,
                )  # fmt: skip
            else:
                await self._publisher.change(
                    one.of, parcel.form, parcel.objects, gone=parcel.gone,
                    version=parcel.version, guards=guards,
                )  # fmt: skip
            shipping.taken(scope, parcel)

    async def _delegate(self) -> None:
        now = self._parts.clock.monotonic()
        if now - self._delegated_at >= DELEGATE_SECONDS:
            self._delegated_at = now
            self.delegated += await self._parts.delegate.round()

    async def _beat(self) -> None:
        """Ask for a heartbeat while cut off and the kubelet lives; else ask no more."""
        if not (self.duty.asks_delegation and self._parts.kubelet_lives()):
            if self._beaten_at != NEVER and self.reach is Reach.MAJORITY:
                await self._requester.stop()
                self._beaten_at = NEVER
            return
        now = self._parts.clock.monotonic()
        if now - self._beaten_at >= BEAT_SECONDS:
            await self._requester.beat(self._parts.now_text())
            self._beaten_at = now

    async def _adopt(self) -> None:
        now = self._parts.clock.monotonic()
        if now - self._adopted_at < CUT_OFF_SECONDS:
            return
        self._adopted_at = now
        for one in list(self._followers):
            await self.adopting.take(one)

    # -- what is shown -----------------------------------------------------------------

    def page(self) -> Mapping[str, object]:
        """Return what `toono pool status` shows."""
        parts, now = self._parts, self.election.now
        scopes = parts.recorder.scopes
        return {
            "node": parts.node,
            "role": now.role.name.lower(),
            "leader": now.leader,
            "etcd": self.reach.value,
            "cluster": f"{parts.etcd.cluster_id:x}" if parts.etcd.cluster_id else "",
            "revision": parts.etcd.revision,
            "answersFrom": self.duty.source.value,
            "problem": self.problem,
            "requests": {
                "reads": parts.etcd.requests.reads,
                "writes": parts.etcd.requests.writes,
                "failures": parts.etcd.requests.failures,
            },
            "delegated": self.delegated,
            "fenced": self.fenced,
            "collections": [
                {
                    "resource": str(one.of),
                    "version": scope.version if scope else 0,
                    "objects": len(scope.rows) if scope else 0,
                    "published": self._shipping[one].version,
                    "adopted": self.adopting.versions.get(one, 0),
                }
                for one in self._followers
                for scope in (one.scope(scopes),)
            ],
            "uploaded": self.lending.versions,
        }


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
