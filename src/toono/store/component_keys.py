# SPDX-License-Identifier: Apache-2.0
"""Which keys of etcd each component of this node has stored, kept on the node.

A key of etcd cannot tell: it is the API server's own and holds no component. Changes
have two phases. `begin` makes an *intent* durable (also across a power cut) before
etcd is asked; `finish` makes what came of it so, all or nothing. After a crash the
intent is there and whoever knows etcd's last transaction finishes it. A component is
any bytes. Beside the keys of each entry stand their number and digest, so that rows
that were lost are noticed and never taken for keys that were not stored.

    kh                                → (cluster, number of the last transaction)
    ki                                → Intent
    ke <entry>                        → (count, digest) of the entry's keys
    km <entry> <key>                  → nothing
    <entry> = <length, 4 bytes> component <length, 2 bytes> resource
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b

import msgspec

from toono.errors import StoreUnavailableError
from toono.store.base import Batch, Key, Store

ROOT = b"k"
_HEAD, _INTENT, _ENTRY, _MEMBER = b"kh", b"ki", b"ke", b"km"
WAIT_SECONDS = 5.0
"""For the node's disk; a pool does without us while that is away."""

Entry = tuple[bytes, str]
"""(component, resource)."""


class Step(msgspec.Struct, array_like=True, frozen=True):
    """What one transaction changes in an entry."""

    adds: tuple[bytes, ...]
    removes: tuple[bytes, ...]


class Intent(msgspec.Struct, array_like=True, frozen=True):
    """What is about to be done, one transaction a step."""

    id: int
    """Greater than that of any intent before; etcd tells how far the last one came."""
    component: bytes
    resource: str
    steps: tuple[Step, ...]


class Head(msgspec.Struct, array_like=True, frozen=True):
    """To which etcd the keys belong, and how far this node had come there."""

    cluster: int
    number: int


class ComponentKeys:
    """The cache, in memory and in the node's store; `load` before anything else."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._clear()

    def _clear(self) -> None:
        self._entries: dict[Entry, set[Key]] = {}
        self._owners: dict[Key, int] = {}
        self._unwritten: set[Entry] = set()
        self.head: Head | None = None
        self.intent: Intent | None = None
        self.damaged: set[Entry] = set()
        """Entries that may lack keys."""
        self.lost = False
        """All of it may lack entries."""

    async def load(self) -> None:
        """Read everything; what cannot be read is damaged, never empty."""
        found = await self._store.scan(ROOT)
        self._clear()
        sums: dict[Entry, tuple[int, int]] = {}
        bad = list(found.damaged)
        for key, value in found.rows:
            try:
                self._take(key, value, sums)
            except (msgspec.DecodeError, msgspec.ValidationError, ValueError):
                bad.append(key)
        self.lost = self.head is None and bool(self._entries or sums or bad)
        for key in bad:
            self._note_damage(key)
        for entry in {*sums, *self._entries}:
            if sums.get(entry) != _sum(self._entries.get(entry, set())):
                self.damaged.add(entry)

    # -- what is known -----------------------------------------------------------

    def keys(self, component: bytes, resource: str) -> AbstractSet[Key]:
        """Return the keys of a component's resource."""
        return self._entries.get((component, resource), frozenset())

    def resources(self, component: bytes) -> Sequence[str]:
        """Return the resources of which a component has keys."""
        return sorted(r for c, r in self._entries if c == component)

    def entries(self) -> Mapping[Entry, AbstractSet[Key]]:
        """Return everything."""
        return self._entries

    def owners(self, key: Key) -> int:
        """Return how many entries hold a key."""
        return self._owners.get(key, 0)

    # -- two phases -----------------------------------------------------------------

    async def begin(self, intent: Intent) -> None:
        """Make it known, durably, that `intent` is about to be done.

        Where it cannot be made so, nothing may be done.
        """
        await self.flush()
        taken = self._store.apply(Batch(puts=[(_INTENT, _encode(intent))]), sync=True)
        await _within(taken)
        self.intent = intent

    async def finish(self, steps: int, *, number: int) -> None:
        """Make the first `steps` of the intent so, and forget the rest of it.

        `number` is the session's last transaction.
        """
        intent = self.intent
        assert intent is not None
        entry = (intent.component, intent.resource)
        after = set(self._entries.get(entry, ()))
        for step in intent.steps[:steps]:
            after.difference_update(step.removes)
            after.update(step.adds)
        self.intent = None
        if self.head is not None:
            self.head = Head(self.head.cluster, number)
        await self._change(entry, after)

    async def settle(self, entry: Entry, keys: Iterable[Key]) -> None:
        """Have an entry hold exactly `keys`, as etcd was found: it is sound again."""
        self.damaged.discard(entry)
        self._unwritten.add(entry)
        await self._change(entry, set(keys))

    async def flush(self) -> None:
        """Write what the store did not take before; nothing else may go before it."""
        for entry in list(self._unwritten):
            await self._change(entry, set(self._entries.get(entry, ())))

    async def bind(self, cluster: int, number: int) -> None:
        """Note whose keys these are."""
        self.head = Head(cluster, number)
        self.lost = False
        taken = self._store.apply(Batch(puts=[(_HEAD, _encode(self.head))]), sync=True)
        await _within(taken)

    async def forget(self) -> None:
        """Drop everything: the pool's etcd is another one now."""
        self._clear()
        await _within(self._store.apply(Batch(drops=[ROOT]), sync=True))

    # -- rows -----------------------------------------------------------------------

    async def _change(self, entry: Entry, after: set[Key]) -> None:
        """Have an entry hold `after`, in memory at once and in the store.

        What the store does not take is written anew, whole, before anything else.
        """
        before = frozenset(self._entries.get(entry, ()))
        name = _name(entry)
        for key in before - after:
            self._lose(key)
        for key in after - before:
            self._owners[key] = self._owners.get(key, 0) + 1
        drops, deletes = [], [_INTENT]
        if entry in self._unwritten:
            drops = [_MEMBER + name]
            puts = [(_MEMBER + name + key, b"") for key in sorted(after)]
        else:
            puts = [(_MEMBER + name + key, b"") for key in sorted(after - before)]
            deletes += [_MEMBER + name + key for key in sorted(before - after)]
        if after:
            self._entries[entry] = after
            puts.append((_ENTRY + name, _encode(_sum(after))))
        else:
            self._entries.pop(entry, None)
            deletes.append(_ENTRY + name)
        if self.head is not None:
            puts.append((_HEAD, _encode(self.head)))
        self._unwritten.add(entry)
        batch = Batch(puts=puts, deletes=deletes, drops=drops)
        await _within(self._store.apply(batch))
        self._unwritten.discard(entry)

    def _lose(self, key: Key) -> None:
        self._owners[key] -= 1
        if not self._owners[key]:
            del self._owners[key]

    def _take(self, key: Key, value: bytes, sums: dict[Entry, tuple[int, int]]) -> None:
        kind = key[:2]
        if kind == _HEAD:
            self.head = _decode_head(value)
        elif kind == _INTENT:
            self.intent = _decode_intent(value)
        else:
            entry, rest = _read_name(key[2:])
            if kind == _ENTRY:
                sums[entry] = _decode_sum(value)
            elif kind == _MEMBER:
                self._entries.setdefault(entry, set()).add(rest)
                self._owners[rest] = self._owners.get(rest, 0) + 1
            else:
                raise ValueError(key)

    def _note_damage(self, key: Key) -> None:
        """A row cannot be read: what it may have held is in doubt."""
        if key[:2] in (_ENTRY, _MEMBER):
            try:
                self.damaged.add(_read_name(key[2:])[0])
            except ValueError:
                self.lost = True
        else:
            self.lost = True


async def _within(future: asyncio.Future[None]) -> None:
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.shield(future)
    except TimeoutError as exc:
        raise StoreUnavailableError("the node's disk does not answer") from exc


def _name(entry: Entry) -> bytes:
    component, resource = entry[0], entry[1].encode()
    return b"%b%b%b%b" % (
        len(component).to_bytes(4, "big"),
        component,
        len(resource).to_bytes(2, "big"),
        resource,
    )


def _read_name(text: bytes) -> tuple[Entry, Key]:
    """Return the entry at the start of `text`, and what follows; ValueError if none."""
    at = 4 + int.from_bytes(text[:4], "big")
    end = at + 2 + int.from_bytes(text[at : at + 2], "big")
    if len(text) < end or end < 6:
        raise ValueError(text)
    return (text[4:at], text[at + 2 : end].decode()), text[end:]


def _sum(keys: AbstractSet[Key]) -> tuple[int, int]:
    """Return the number of keys and a digest in which their order has no part."""
    digest = 0
    for key in keys:
        digest ^= int.from_bytes(blake2b(key, digest_size=7).digest(), "big")
    return len(keys), digest


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(Head).decode
_decode_intent = msgspec.msgpack.Decoder(Intent).decode
_decode_sum = msgspec.msgpack.Decoder(tuple[int, int]).decode
