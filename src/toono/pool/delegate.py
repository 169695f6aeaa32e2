# SPDX-License-Identifier: Apache-2.0
"""Heartbeats by proxy: a node cut off from the cloud is kept alive there by its pool.

The cut-off hub keeps its node's Lease in etcd, below the API server's own key, with
the annotation that asks for it, and with a lease of etcd: a hub that dies takes its
request with it. The leader, which still sees the cloud, renews there what is asked
for, never backwards and never a Lease that the cloud does not have: v1.5 created an
empty one. How the cloud is asked is the caller's.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from toono.kube.names import GroupResource
from toono.pool.keys import StorageKeys
from toono.store.etcd_client import Etcd
from toono.store.etcd_errors import EtcdLeaseGoneError

log = logging.getLogger(__name__)

ANNOTATION = "openyurt.io/delegate-heartbeat"
NAMESPACE = "kube-node-lease"
LEASES = GroupResource("coordination.k8s.io", "leases")
REQUEST_SECONDS = 40
"""A node's own lease lasts as long (Kubernetes' nodeLeaseDurationSeconds)."""


class Heartbeat(NamedTuple):
    """A request to renew a node's Lease in the cloud."""

    node: str
    renew_time: str
    """MicroTime, as Kubernetes writes it: texts of one form compare as times."""


Renew = Callable[[Heartbeat], Awaitable[bool]]
"""Renew one Lease in the cloud; False where the cloud has none of that name."""


class _Meta(msgspec.Struct):
    name: str
    namespace: str
    annotations: dict[str, str] = {}


class _Spec(msgspec.Struct, rename="camel"):
    renew_time: str = ""


class _Lease(msgspec.Struct):
    kind: str
    metadata: _Meta
    spec: _Spec


_decode = msgspec.json.Decoder(_Lease).decode


class Requester:
    """A cut-off hub's side: `beat` at each renewal, `stop` when the cloud is back."""

    def __init__(self, etcd: Etcd, keys: StorageKeys, node: str) -> None:
        self._etcd = etcd
        self._node = node
        self._key = keys.of(*LEASES, namespace=NAMESPACE, name=node)
        self._lease = 0

    async def beat(self, renew_time: str) -> None:
        """Ask the leader to renew this node's Lease as of `renew_time`."""
        lease = await self._held()
        await self._etcd.put(self._key, _written(self._node, renew_time), lease=lease)

    async def stop(self) -> None:
        """Ask no more; the request is gone at once."""
        lease, self._lease = self._lease, 0
        if lease:
            await self._etcd.revoke(lease)

    async def _held(self) -> int:
        if self._lease:
            try:
                await self._etcd.keep_alive(self._lease)
            except EtcdLeaseGoneError:
                self._lease = 0
        if not self._lease:
            self._lease = (await self._etcd.grant(REQUEST_SECONDS)).id
        return self._lease


class Delegate:
    """The leader's side: `round` every few seconds while it leads."""

    def __init__(self, etcd: Etcd, keys: StorageKeys, renew: Renew) -> None:
        self._etcd = etcd
        self._keys = keys
        self._renew = renew
        self._done: dict[str, str] = {}

    async def round(self) -> int:
        """Renew in the cloud what was asked for since the last time; return how many."""
        prefix = self._keys.collection(*LEASES, namespace=NAMESPACE)
        asked = {}
        for row in (await self._etcd.scan(prefix)).kvs:
            beat = self._read(row.key, row.value)
            if beat is not None:
                asked[beat.node] = beat
        self._done = {node: at for node, at in self._done.items() if node in asked}
        renewed = 0
        for beat in asked.values():
            if beat.renew_time <= self._done.get(beat.node, ""):
                continue
            if await self._renew(beat):
                renewed += 1
            else:
                log.info("no lease to renew by proxy", extra={"node": beat.node})
            self._done[beat.node] = beat.renew_time
        return renewed

    def _read(self, key: bytes, value: bytes) -> Heartbeat | None:
        """Return the request in a value; None where it is none of this key's node."""
        place = self._keys.parse(key)
        try:
            lease = _decode(value)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            return None
        meta, at = lease.metadata, lease.spec.renew_time
        if place is None or (meta.namespace, meta.name) != (NAMESPACE, place.name):
            return None
        if meta.annotations.get(ANNOTATION) != "true" or not _is_time(at):
            return None
        return Heartbeat(place.name, at)


def _written(node: str, renew_time: str) -> bytes:
    """Return the Lease as an API server keeps one in JSON."""
    document = {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {
            "name": node,
            "namespace": NAMESPACE,
            "annotations": {ANNOTATION: "true"},
        },
        "spec": {
            "holderIdentity": node,
            "leaseDurationSeconds": REQUEST_SECONDS,
            "renewTime": renew_time,
        },
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _is_time(text: str) -> bool:
    """Say whether `text` has the one form of MicroTime, 2006-01-02T15:04:05.000000Z."""
    form = "0000-00-00T00:00:00.000000Z"
    return len(text) == len(form) and all(
        (have.isascii() and have.isdigit()) if want == "0" else have == want
        for have, want in zip(text, form, strict=True)
    )
