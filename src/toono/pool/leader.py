# SPDX-License-Identifier: Apache-2.0
"""Who of the pool writes what all share: one hub, by a lease and a key of etcd.

The key is made only where it is not there and lives as long as its lease, so one hub
has it. A hub that slept through its lease does not know yet that it lost it: each of a
leader's transactions holds `guards`, the condition that the key is still the one it
made, and etcd refuses what comes too late. A leader's own clock is never asked.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from toono.errors import StoreUnavailableError
from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.base import Key
from toono.store.etcd_client import Etcd
from toono.store.etcd_errors import EtcdError, EtcdLeaseGoneError
from toono.store.etcd_messages import Compare, Range, created_at, get, put

log = logging.getLogger(__name__)

RESIGN_SECONDS = 2.0
"""Of a hub that stops; without an answer its lease runs out by itself."""


class Role(Enum):
    """What a hub is in its pool; the values are those of YurtHub's metric."""

    LEADER = 1
    FOLLOWER = 2
    PENDING = 3
    """The pool's etcd cannot be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderSettings:
    """Seconds, as `--leader-elect-lease-duration` and its kin."""

    lease: float = 15.0
    renew: float = 5.0
    """Between renewals; a third of the lease bears two that fail."""
    retry: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """What holds while nobody else leads."""

    role: Role
    leader: str = ""
    """Who leads, as far as is known."""
    guards: Sequence[Compare] = ()
    """Conditions for each transaction of a leader; empty for others."""


class Election:
    """This hub's part in the election, until `aclose`.

    `may_lead` says whether it should try: a hub that is cut off from the cloud has
    nothing to write and lets another one lead. `changed` is called at each change.
    """

    def __init__(
        self,
        etcd: Etcd,
        key: Key,
        identity: str,
        *,
        clock: Clock,
        may_lead: Callable[[], bool],
        changed: Callable[[Leadership], None] = lambda _: None,
        settings: LeaderSettings | None = None,
    ) -> None:
        self._etcd = etcd
        self._key = key
        self._identity = identity
        self._clock = clock
        self._may_lead = may_lead
        self._changed = changed
        self._settings = settings or LeaderSettings()
        self._lease = 0
        self._task: asyncio.Task[None] | None = None
        self.now = Leadership(role=Role.PENDING)
        """As last known."""

    def start(self) -> None:
        """Take part."""
        self._task = spawn(self._take_part(), name="pool-election")

    async def aclose(self) -> None:
        """Take no more part; a leader gives up at once, so that another may follow."""
        if self._task is not None:
            await cancel_and_wait(self._task)
        await self._resign()

    async def _take_part(self) -> None:
        while True:
            try:
                await self._round()
            except (EtcdError, StoreUnavailableError) as exc:
                log.info("the pool's etcd cannot be asked", extra={"err": str(exc)})
                self._become(Leadership(role=Role.PENDING))
                await self._clock.sleep(self._settings.retry)

    async def _round(self) -> None:
        """Lead or follow for as long as that holds."""
        if self._may_lead():
            leader, guard = await self._campaign()
            if guard is not None:
                self._become(
                    Leadership(role=Role.LEADER, leader=leader, guards=(guard,))
                )
                await self._lead()
                return
        else:
            leader = await self._ask()
        self._become(Leadership(role=Role.FOLLOWER, leader=leader))
        await self._follow()

    async def _campaign(self) -> tuple[str, Compare | None]:
        """Return who leads, and the guard where that is this hub."""
        if self._lease:
            with suppress(EtcdLeaseGoneError):
                await self._etcd.keep_alive(self._lease)
                return await self._claim()
        granted = await self._etcd.grant(max(1, round(self._settings.lease)))
        self._lease = granted.id
        return await self._claim()

    async def _claim(self) -> tuple[str, Compare | None]:
        answer = await self._etcd.txn(
            [created_at(self._key, 0)],
            [put(self._key, self._identity.encode(), lease=self._lease)],
            [get(self._key)],
        )
        if answer.succeeded:
            return self._identity, created_at(self._key, answer.header.revision)
        (found,) = answer.responses
        rows = found.response_range.kvs if found.response_range else []
        if rows and rows[0].lease == self._lease:
            # Ours all along: the answer to an earlier claim was lost.
            return self._identity, created_at(self._key, rows[0].create_revision)
        return (rows[0].value.decode("utf-8", "replace") if rows else ""), None

    async def _lead(self) -> None:
        """Renew until the lease is gone or there is no reason to lead any more."""
        renewed = self._clock.monotonic()
        while self._may_lead():
            await self._clock.sleep(self._settings.renew)
            if self._clock.monotonic() - renewed > self._settings.lease:
                log.warning("the pool's lease was not renewed in time")
            try:
                await self._etcd.keep_alive(self._lease)
                renewed = self._clock.monotonic()
            except EtcdLeaseGoneError:
                self._lease = 0
                return
            except StoreUnavailableError:
                if self._clock.monotonic() - renewed >= self._settings.lease:
                    raise
        await self._resign()

    async def _follow(self) -> None:
        """Wait until the leader's key changes, or it is time to look again."""
        nap = spawn(self._clock.sleep(self._settings.lease), name="election-nap")
        watch = spawn(self._until_free(), name="election-watch")
        try:
            await asyncio.wait((nap, watch), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(nap, watch)

    async def _until_free(self) -> None:
        """Return once the leader's key may be gone; a retry after a broken watch."""
        try:
            async with self._etcd.watch(
                self._key, start_revision=self._etcd.revision + 1
            ) as watch:
                told = await watch.next()
                while all(event.type != "DELETE" for event in told.events):
                    told = await watch.next()
        except (EtcdError, StoreUnavailableError):
            await self._clock.sleep(self._settings.retry)

    async def _ask(self) -> str:
        rows = (await self._etcd.range(Range(self._key))).kvs
        return rows[0].value.decode("utf-8", "replace") if rows else ""

    async def _resign(self) -> None:
        lease, self._lease = self._lease, 0
        if lease:
            with suppress(EtcdError, StoreUnavailableError, TimeoutError):
                async with asyncio.timeout(RESIGN_SECONDS):
                    await self._etcd.revoke(lease)

    def _become(self, what: Leadership) -> None:
        if what == self.now:
            return
        self.now = what
        log.info(
            "role in the pool", extra={"role": what.role.name, "leader": what.leader}
        )
        self._changed(what)
