# SPDX-License-Identifier: Apache-2.0
"""What a pool shares: the leader publishes whole collections, any hub may read them.

The objects stand below the API server's own keys. Beside them stands one small key a
collection, the version of the list that they are (no object can tell that: the last
change may have been a deletion); a reader takes both in one transaction and so never
holds a list under a version that is not its own. Versions are the cloud's: what is
not newer than what a reader has, or has told before, is nothing to it.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from toono.codec.base import Object, Style
from toono.errors import CodecError
from toono.kube.names import GroupResource, parse_version
from toono.pool.keys import StorageKeys
from toono.pool.values import Stored, read_value, write_value
from toono.store.base import Key
from toono.store.etcd_client import Etcd
from toono.store.etcd_components import Claim, Components
from toono.store.etcd_errors import EtcdUnavailableError
from toono.store.etcd_messages import (
    Compare,
    KeyValue,
    Range,
    RangeAnswer,
    end_of,
    get,
)
from toono.store.etcd_plan import Outcome

log = logging.getLogger(__name__)

LEADER = b"leader-yurthub"
"""The component that pool-scope resources belong to, as YurtHub names it."""


class Form(NamedTuple):
    """How the objects of a collection came from the cloud."""

    media_type: str
    kind: str
    api_version: str
    style: Style


class Snapshot(NamedTuple):
    """A collection as it was at one version of the cloud."""

    version: int
    objects: Sequence[Stored]
    revision: int
    """etcd's, when it was read."""


class Names:
    """The keys of a pool that are nobody's objects: below a root of their own."""

    def __init__(self, keys: StorageKeys) -> None:
        self._root = f"/toono{keys.prefix}/".encode()

    @property
    def leader(self) -> Key:
        """The key that the leader holds."""
        return self._root + b"leader"

    def mark(self, node: str) -> Key:
        """The mark of one hub's transactions."""
        return self._root + b"hubs/" + node.encode()

    def uploaded(self, node: str, of: GroupResource) -> Key:
        """Where the version of what a node has uploaded stands."""
        return self._root + f"uploads/{node}/{of.group}/{of.resource}".encode()

    @property
    def lists(self) -> Key:
        """What the keys of all collections' versions begin with."""
        return self._root + b"lists/"

    def version(self, of: GroupResource) -> Key:
        """Where the version of a collection stands."""
        return self.lists + f"{of.group}/{of.resource}".encode()


def version_of(keys: StorageKeys, key: Key, value: bytes) -> int | None:
    """Return the cloud's version of what stands below a key, None for no object."""
    place = keys.parse(key)
    if place is None:
        return None
    try:
        return read_value(place, value).version
    except CodecError:
        return None


class Publisher:
    """A leader's side: each change is one transaction, and holds only while it leads."""

    def __init__(self, components: Components, keys: StorageKeys) -> None:
        self._components = components
        self._keys = keys
        self._names = Names(keys)

    def claims(self, shared: Iterable[GroupResource]) -> list[Claim]:
        """Return what a new leader takes over from the last one."""
        return [
            Claim(
                LEADER,
                str(of),
                self._keys.collection(of.group, of.resource),
                lambda *_: True,
                always=True,
            )
            for of in shared
        ]

    async def publish(
        self,
        of: GroupResource,
        form: Form,
        objects: Iterable[Object],
        *,
        version: int,
        guards: Sequence[Compare],
    ) -> Outcome:
        """Have the pool hold exactly a list of the cloud, at its version."""
        note = (self._names.version(of), b"%d" % version)
        rows = await asyncio.to_thread(rows_of, self._keys, of, form, objects)
        return await self._components.replace(
            LEADER, str(of), rows, version=version, guards=guards, note=note
        )

    async def change(
        self,
        of: GroupResource,
        form: Form,
        objects: Iterable[Object],
        *,
        gone: Iterable[tuple[str, str]] = (),
        version: int,
        guards: Sequence[Compare],
    ) -> Outcome:
        """Make what events up to `version` told; `gone` are (namespace, name)."""
        deletes = [
            self._keys.of(of.group, of.resource, namespace=namespace, name=name)
            for namespace, name in gone
        ]
        note = (self._names.version(of), b"%d" % version)
        return await self._components.change(
            LEADER,
            str(of),
            rows_of(self._keys, of, form, objects),
            deletes=deletes,
            version=version,
            guards=guards,
            note=note,
        )


def rows_of(
    keys: StorageKeys, of: GroupResource, form: Form, objects: Iterable[Object]
) -> Mapping[Key, bytes]:
    """Return objects in their stored form as keys and values of the pool."""
    return {
        keys.of(of.group, of.resource, namespace=one.namespace, name=one.name): (
            write_value(data=one.data, **form._asdict())
        )
        for one in objects
    }


class Reader:
    """Any hub's side: collections of the pool, newest first, never older than before."""

    def __init__(self, etcd: Etcd, keys: StorageKeys) -> None:
        self._etcd = etcd
        self._keys = keys
        self._names = Names(keys)
        self._told: dict[GroupResource, Snapshot] = {}

    async def newest(self, of: GroupResource, *, than: int) -> Snapshot | None:
        """Return the pool's collection where it is newer than version `than`.

        From a majority of etcd, or from one member that is cut off from it: what that
        one holds may be older, and is used only where it is newer than all known.
        EtcdUnavailableError where no member answers. A collection of which one value
        cannot be read is not told at all: a list that lacks one object is wrong.
        """
        told = self._told.get(of)
        try:
            version = await self._version(of, serializable=False)
        except EtcdUnavailableError:
            version = await self._version(of, serializable=True)
        if version and (told is None or version > told.version):
            told = await self._read(of) or told
        return told if told is not None and told.version > than else None

    async def _version(self, of: GroupResource, *, serializable: bool) -> int:
        asked = Range(self._names.version(of), serializable=serializable)
        return _version(await self._etcd.range(asked))

    async def _read(self, of: GroupResource) -> Snapshot | None:
        """Read version and objects at one revision; None where it is no newer."""
        prefix = self._keys.collection(of.group, of.resource)
        ops = [get(self._names.version(of)), get(prefix, end_of(prefix))]
        try:
            answer = await self._etcd.txn([], ops)
        except EtcdUnavailableError:
            answer = await self._etcd.local_txn(ops)
        version, found = (
            one.response_range or RangeAnswer() for one in answer.responses
        )
        try:
            objects = await asyncio.to_thread(self._objects, found.kvs)
        except CodecError as exc:
            log.warning("no object of the cloud in the pool", extra={"err": str(exc)})
            return None
        snapshot = Snapshot(_version(version), objects, answer.header.revision)
        told = self._told.get(of)
        if told is not None and snapshot.version <= told.version:
            return None
        self._told[of] = snapshot
        return snapshot

    def _objects(self, rows: Sequence[KeyValue]) -> list[Stored]:
        return [self._object(row) for row in rows]

    def _object(self, row: KeyValue) -> Stored:
        place = self._keys.parse(row.key)
        if place is None:
            raise CodecError(f"{row.key!r} is no object's key")
        return read_value(place, row.value)


def _version(answer: RangeAnswer) -> int:
    """Return a published version; 0 where there is none that can be compared."""
    if not answer.kvs:
        return 0
    text = answer.kvs[0].value
    return parse_version(text.decode("ascii", "replace")) or 0
