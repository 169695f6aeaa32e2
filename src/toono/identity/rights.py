# SPDX-License-Identifier: Apache-2.0
"""May this caller have this answer? Asked before anything that the cloud did not say.

The node is a caller on loopback without credentials whose socket belongs to root (or
`--node-uids`) and to no pod: a process of the host, as the kubelet is. Everybody else
is refused until their own rights can be checked.
"""

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

from toono.identity.sockets import Address, Owner, owner_of
from toono.kube.request import Call, Caller

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 4096


class Rights:
    """Answers `is_node` and `may`. `owner` asks the kernel, in a thread."""

    def __init__(
        self,
        *,
        node_uids: frozenset[int] = frozenset({0}),
        owner: Callable[[Address, Address], Owner] = owner_of,
    ) -> None:
        self._node_uids = node_uids
        self._owner = owner
        self._known: OrderedDict[int, bool] = OrderedDict()

    async def may(self, caller: Caller, call: Call) -> bool:
        """Say whether `caller` may have an answer to `call` from the cache."""
        return await self.is_node(caller)

    async def is_node(self, caller: Caller) -> bool:
        """Say whether `caller` is the node itself; any doubt is a no.

        Looked up once a connection: a socket that is handed to another process
        keeps the word of the one that opened it, as a file would.
        """
        if caller.token or caller.impersonates or caller.certificate:
            return False
        known = self._known.get(caller.connection)
        if known is not None:
            return known
        verdict = False
        if is_loopback(caller.remote[0]) and is_loopback(caller.local[0]):
            verdict = await asyncio.to_thread(self._look_up, caller)
        self._known[caller.connection] = verdict
        if len(self._known) > MAX_CONNECTIONS:
            self._known.popitem(last=False)
        return verdict

    def _look_up(self, caller: Caller) -> bool:
        try:
            owner = self._owner(caller.remote, caller.local)
        except (OSError, ValueError) as exc:
            log.info("a caller could not be identified", extra={"err": str(exc)})
            return False
        return owner.uid in self._node_uids and not any(
            is_of_pod(group) for group in owner.cgroups
        )


def is_of_pod(group: str) -> bool:
    """Say whether a control group's path is a pod's: kubepods, or below it."""
    return "kubepods" in group


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    """Say whether an address is this machine's own loopback."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
