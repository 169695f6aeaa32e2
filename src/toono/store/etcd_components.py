# SPDX-License-Identifier: Apache-2.0
"""What needs components in an etcd whose keys have none: replace, delete, recover.

The component key cache is asked first, then the work is one transaction of etcd (or,
against small limits, several: puts before deletes, so that a crash leaves an object
too much and never one too few), then the cache is told. Every key in a transaction is
compared with what was last seen there, so that nobody's newer value is overwritten:
versions are compared here, revisions by etcd. Knows bytes, and a function that reads
a version out of them; no Kubernetes.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from toono.store.base import Key
from toono.store.component_keys import ComponentKeys, Entry, Intent
from toono.store.etcd_client import Etcd
from toono.store.etcd_errors import (
    EtcdConflictError,
    EtcdError,
    EtcdFencedError,
    EtcdTooLargeError,
    EtcdTooManyOpsError,
    WrongClusterError,
)
from toono.store.etcd_limits import DEFAULTS, Limits, Unit, pack
from toono.store.etcd_messages import Compare, KeyValue, get, put
from toono.store.etcd_plan import (
    ABSENT,
    VERSION_UNKNOWN,
    Facts,
    Outcome,
    Plan,
    Seen,
    Version,
    make_plan,
    steps_of,
)
from toono.store.etcd_session import Mark, Session

log = logging.getLogger(__name__)

THREAD_ROWS = 256
"""Of more than this a plan is made in a thread: the version of each is read."""
ATTEMPTS = 6
"""At one change before others are told that it cannot be made now."""


class Claim(NamedTuple):
    """Which keys below a prefix are a component's, where only etcd can tell."""

    component: bytes
    resource: str
    prefix: Key
    mine: Callable[[Key, bytes], bool]
    always: bool = False
    """Read from etcd at every start: others write on behalf of this component."""


class Recovered(NamedTuple):
    """What a start found."""

    steps_made: int
    """Of a change that a crash interrupted; -1 where there was none."""
    vanished: int
    """Keys of ours that etcd does not hold any more."""
    rebuilt: Sequence[Entry]
    """Entries that were read from etcd."""
    etcd_lost: bool
    """etcd holds less than it told us once: all must be uploaded again."""


class Wish(NamedTuple):
    """What an entry shall hold; see `make_plan`."""

    rows: Mapping[Key, bytes]
    gone: frozenset[Key] | None
    version: int | None
    note: tuple[Key, bytes] | None = None


class Components:
    """Changes by component, one after another; `recover` before the first."""

    def __init__(
        self,
        etcd: Etcd,
        keys: ComponentKeys,
        *,
        mark: Key,
        version: Version,
        limits: Limits | None = None,
    ) -> None:
        self._etcd = etcd
        self._session = Session(etcd, mark)
        self._keys = keys
        self._version = version
        self._limits = limits or Limits()
        self._seen: dict[Key, Seen] = {}
        self._turn = asyncio.Lock()
        self._fenced = False

    # -- questions --------------------------------------------------------------------

    def keys(self, component: bytes, resource: str) -> Sequence[Key]:
        """Return the keys of a component's resource, in order; etcd is not asked."""
        return sorted(self._keys.keys(component, resource))

    def resources(self, component: bytes) -> Sequence[str]:
        """Return the resources of which a component has keys."""
        return self._keys.resources(component)

    # -- changes ----------------------------------------------------------------------

    async def replace(
        self,
        component: bytes,
        resource: str,
        rows: Mapping[Key, bytes],
        *,
        version: int,
        guards: Sequence[Compare] = (),
        note: tuple[Key, bytes] | None = None,
    ) -> Outcome:
        """Have a component's resource hold exactly `rows`, a list at `version`.

        What etcd holds at a newer version stays: puts are skipped, and a key that is
        newer than the list is no longer ours to delete. `note` is a key of no
        component that is set with the last of it, whatever stands there.
        """
        entry = (component, resource)
        async with self._turn:
            return await self._make(entry, Wish(rows, None, version, note), guards)

    async def change(
        self,
        component: bytes,
        resource: str,
        rows: Mapping[Key, bytes],
        *,
        deletes: Iterable[Key] = (),
        version: int,
        guards: Sequence[Compare] = (),
        note: tuple[Key, bytes] | None = None,
    ) -> Outcome:
        """Put some rows and delete some keys, as events up to `version` told."""
        entry, gone = (component, resource), frozenset(deletes)
        async with self._turn:
            return await self._make(entry, Wish(rows, gone, version, note), guards)

    async def delete_component(
        self, component: bytes, *, guards: Sequence[Compare] = ()
    ) -> Outcome:
        """Remove all keys of a component that no other component of this node holds."""
        total = Outcome()
        for resource in self._keys.resources(component):
            entry = (component, resource)
            async with self._turn:
                made = await self._make(entry, Wish({}, None, None), guards)
            total.deleted += made.deleted
            total.transactions += made.transactions
        return total

    # -- recovery ---------------------------------------------------------------------

    async def recover(self, claims: Sequence[Claim] = ()) -> Recovered:
        """Make cache and etcd agree after a start or a break; nothing is done before.

        Finishes what was interrupted, forgets keys that etcd does not hold any more,
        and reads from etcd what is damaged here, lost, or written by others too.
        WrongClusterError where the keys known here are of another etcd.
        """
        async with self._turn:
            head = self._keys.head
            at_least = head.number if head is not None else 0
            self._fenced = False
            if not self._etcd.cluster_id:
                await self._etcd.status()
            if head is not None and head.cluster != self._etcd.cluster_id:
                raise WrongClusterError(
                    f"cluster {self._etcd.cluster_id:x} answers, "
                    f"the node's keys are of {head.cluster:x}"
                )
            mark = await self._session.open(at_least=at_least)
            steps = await self._finish(mark)
            etcd_lost = mark is None or mark.number < at_least
            doubt = self._keys.lost or (etcd_lost and mark is not None)
            doubt = doubt or (head is None and mark is not None)
            rebuilt = await self._rebuild(claims, everything=doubt)
            vanished = await self._look()
            await self._keys.bind(self._etcd.cluster_id, self._session.last.number)
            etcd_lost = etcd_lost and head is not None
        found = Recovered(steps, vanished, rebuilt, etcd_lost)
        log.info("pool recovered", extra=found._asdict())
        return found

    async def _finish(self, mark: Mark | None) -> int:
        """Have the cache hold what came of the last intent; etcd knows its steps."""
        intent = self._keys.intent
        if intent is None:
            return -1
        made = mark is not None and mark.intent == intent.id
        steps = mark.steps if mark is not None and made else 0
        await self._keys.finish(steps, number=self._session.last.number)
        return steps

    async def _rebuild(
        self, claims: Sequence[Claim], *, everything: bool
    ) -> list[Entry]:
        wanted: dict[Entry, list[Claim]] = {}
        for claim in claims:
            wanted.setdefault((claim.component, claim.resource), []).append(claim)
        rebuilt = []
        for entry, parts in wanted.items():
            damaged = everything or entry in self._keys.damaged
            if damaged or any(part.always for part in parts):
                found = set(self._keys.keys(*entry))
                for part in parts:
                    rows = (await self._etcd.scan(part.prefix)).kvs
                    found.update(
                        row.key for row in rows if part.mine(row.key, row.value)
                    )
                await self._keys.settle(entry, found)
                rebuilt.append(entry)
        for entry in self._keys.damaged:
            log.warning("keys of a component may be missing", extra={"entry": entry})
        return rebuilt

    async def _look(self) -> int:
        """Read all our keys from etcd; forget those that are not there."""
        vanished = 0
        self._seen = {}
        for entry, keys in list(self._keys.entries().items()):
            await self._read(sorted(keys))
            left = {key for key in keys if self._seen[key].revision}
            if left != keys:
                vanished += len(keys) - len(left)
                await self._keys.settle(entry, left)
        return vanished

    async def _read(self, keys: Sequence[Key]) -> None:
        size = min(self._limits.ops, DEFAULTS.ops)
        for at in range(0, len(keys), size):
            page = keys[at : at + size]
            answer = await self._etcd.txn([], [get(key) for key in page])
            rows = [
                row
                for one in answer.responses
                for row in (one.response_range.kvs if one.response_range else ())
            ]
            self._note(page, rows)

    def _note(self, keys: Iterable[Key], rows: Iterable[KeyValue]) -> None:
        """Remember what etcd holds below `keys`."""
        for key in keys:
            self._seen[key] = ABSENT
        for row in rows:
            version = self._version(row.key, row.value)
            self._seen[row.key] = Seen(
                row.mod_revision, VERSION_UNKNOWN if version is None else version
            )

    # -- one change -------------------------------------------------------------------

    async def _make(
        self,
        entry: Entry,
        wish: Wish,
        guards: Sequence[Compare],
    ) -> Outcome:
        """Plan and do until etcd agrees with what the plan supposed."""
        transactions = 0
        for _ in range(ATTEMPTS):
            await self._settle()
            facts = Facts(
                self._keys.keys(*entry),
                lambda key: self._keys.owners(key) > 1,
                self._seen,
                self._version,
            )
            asked = (facts, wish.rows, wish.gone, wish.version)
            if len(wish.rows) > THREAD_ROWS:
                # Nobody changes what it looks at: this change has its turn.
                current = await asyncio.to_thread(make_plan, *asked)
            else:
                current = make_plan(*asked)
            if wish.note is not None:
                current.units.append(Unit(wish.note[0], None, put(*wish.note)))
            outcome = current.outcome
            try:
                done, made = await self._do(entry, current, guards)
            except (EtcdTooManyOpsError, EtcdTooLargeError):
                if self._limits == DEFAULTS:
                    raise
                log.info("etcd has small limits", extra={"limits": DEFAULTS})
                self._limits = DEFAULTS
                continue
            transactions += made
            if done:
                outcome.transactions = transactions
                return outcome
        raise EtcdConflictError(f"others change the keys of {entry} all the time")

    async def _do(
        self, entry: Entry, plan: Plan, guards: Sequence[Compare]
    ) -> tuple[bool, int]:
        """Make a plan so; return whether it was, and in how many transactions."""
        packed = pack(plan.units, self._limits, reserved=1 + len(guards))
        for unit in packed.too_large:
            plan.outcome.refused.append(unit.key)
            plan.outcome.written -= 1
        steps = steps_of(packed.chunks, plan)
        if not packed.chunks:
            if plan.drops:
                await self._keys.settle(entry, self._keys.keys(*entry) - plan.drops)
            return True, 0
        intent = None
        if any(step.adds or step.removes for step in steps):
            intent = Intent(self._session.last.number + 1, *entry, tuple(steps))
            await self._keys.begin(intent)
        for number, chunk in enumerate(packed.chunks):
            made = (intent.id, number + 1) if intent is not None else None
            if not await self._commit(chunk, guards, made):
                if intent is not None:
                    await self._close(number)
                return False, number + 1
        if intent is not None:
            await self._close(len(steps))
        return True, len(steps)

    async def _commit(
        self,
        units: Sequence[Unit],
        guards: Sequence[Compare],
        step: tuple[int, int] | None,
    ) -> bool:
        """Make one transaction, and remember what etcd holds after it."""
        try:
            result = await self._session.commit(units, guards=guards, step=step)
        except EtcdFencedError as exc:
            self._fenced = exc.session
            raise
        except EtcdError:
            if self._session.is_open and step is not None:
                await self._close(step[1] - 1)
            raise
        if not result.done:
            self._note((unit.key for unit in units), result.found)
            return False
        for unit in units:
            if unit.op is None or unit.compare is None:
                continue
            if unit.op.request_put is None:
                self._seen.pop(unit.key, None)
                continue
            version = self._version(unit.key, unit.op.request_put.value)
            assert version is not None
            self._seen[unit.key] = Seen(result.revision, version)
        return True

    async def _close(self, steps: int) -> None:
        await self._keys.finish(steps, number=self._session.last.number)

    async def _settle(self) -> None:
        """Find out what came of the transaction that was broken off, if one was."""
        if self._session.is_open:
            return
        if self._fenced:
            raise EtcdFencedError("another hub writes under this hub's name")
        head = self._keys.head
        if head is None:
            raise EtcdFencedError("nothing may be changed before `recover`")
        mark = await self._session.open(at_least=head.number)
        if mark is None or mark.number < head.number:
            self._fenced = True
            raise EtcdFencedError("etcd has lost what this hub wrote; recover first")
        await self._finish(mark)
