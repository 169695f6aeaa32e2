# SPDX-License-Identifier: Apache-2.0
"""Which addresses this node's pods have, as their kubelet writes it: kept over restarts.

What is heard counts whether the write reaches the cloud or not. Changes are told once a
second at most: after a reboot all pods get theirs within a few.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping

import msgspec

from toono.errors import StoreError, StoreFullError
from toono.filters.addresses import Addresses, PodKey, read_write
from toono.kube.request import Call
from toono.runtime.clock import Clock
from toono.store.base import Batch, Store
from toono.wire.messages import BytesBody, Request

log = logging.getLogger(__name__)

ROW_KEY = b"caddresses"
MAX_PODS = 1024
MAX_WRITE_BYTES = 256 * 1024
SETTLE_SECONDS = 1.0

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, str, str, tuple[str, ...]]]).decode


def is_status_write(call: Call) -> bool:
    """Say whether a call writes a pod's status."""
    return (
        call.subresource == "status"
        and call.resource == "pods"
        and call.group == ""
        and call.method in ("PATCH", "PUT")
        and not call.dry_run
    )


class PodAddresses:
    """What is known of this node's pods."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pods: OrderedDict[PodKey, Addresses] = OrderedDict()
        self._news = asyncio.Event()
        self.changed: Callable[[], None] = lambda: None

    @property
    def pods(self) -> Mapping[PodKey, Addresses]:
        """The addresses of each pod that has told of any."""
        return self._pods

    async def open(self) -> None:
        """Take up what was known before the hub stopped."""
        try:
            content = await self._store.get(ROW_KEY)
            rows = _decode(content) if content is not None else []
        except (StoreError, msgspec.MsgspecError) as exc:
            log.warning("the addresses of this node's pods are lost", exc_info=exc)
            return
        for namespace, name, uid, addresses in rows:
            self._pods[PodKey(namespace, name, uid)] = addresses

    async def hear(self, call: Call, request: Request) -> None:
        """Learn from a write of the node's own; the request goes on as it came."""
        length = request.body.length
        if length is None or length > MAX_WRITE_BYTES:
            return
        pieces = []
        while piece := await request.body.read():
            pieces.append(piece)
        content = b"".join(pieces)
        request.body = BytesBody(content)
        found = read_write(content)
        if found is not None and found[1] is not None:
            self._learn(PodKey(call.namespace, call.name, found[0]), found[1])

    def _learn(self, key: PodKey, addresses: Addresses) -> None:
        if self._pods.get(key, ()) == addresses:
            return
        for other in [one for one in self._pods if one[:2] == key[:2]]:
            del self._pods[other]  # it was another pod of this name
        if addresses:
            self._pods[key] = addresses
        if len(self._pods) > MAX_PODS:
            self._pods.popitem(last=False)
        rows = [(*key, addresses) for key, addresses in self._pods.items()]
        try:
            self._store.apply(Batch(puts=[(ROW_KEY, _encode(rows))]))
        except StoreFullError:
            log.warning("the addresses of this node's pods are not kept: slow disk")
        self._news.set()

    async def run(self) -> None:
        """Tell of changes, once things have settled."""
        while True:
            await self._news.wait()
            await self._clock.sleep(SETTLE_SECONDS)
            self._news.clear()
            self.changed()
