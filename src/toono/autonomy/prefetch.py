# SPDX-License-Identifier: Apache-2.0
"""Asks ahead, while the link is up, what a kubelet will ask when it starts cut off.

Most of it is known: the kubelet asked through the hub. But a cache that was lost, or
a hub that came later than the kubelet, has seen only watches that go on, and these
show no list. So once a kubelet was heard, whatever of its questions the cache cannot
answer is asked as the kubelet would, with the node's rights, and recorded like its own.
What nobody watches is asked again from time to time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from toono.autonomy.needs import Need, of_node, of_pod, pods_of
from toono.codec.sent import Values
from toono.errors import ToonoError
from toono.kube.request import Call
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

FIRST_SECONDS = 10.0
"""A kubelet that starts asks by itself."""
EVERY_SECONDS = 60.0
PAUSE_SECONDS = 0.1
"""Between two questions: at most ten a second."""
OLD_SECONDS = 600.0
MAX_NEEDS = 4000
KUBELET = "kubelet"
"""Its User-Agent, where none was heard yet."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the asking needs of the rest of the hub."""

    known_since: Callable[[Need, str], Awaitable[float | None]]
    """Wall time at which what answers a need was confirmed; None: it is not known."""
    fetch: Callable[[Need, str], Awaitable[int]]
    """Ask the cloud as this User-Agent, and have it recorded; the status."""
    pods: Callable[[Need, str], Awaitable[Iterable[Values]]]
    """The pods that the cache holds."""


class Prefetch:
    """One task; a kubelet that was never heard is not asked for."""

    def __init__(self, node_name: str, sources: Sources, *, clock: Clock) -> None:
        self._node = node_name
        self._sources = sources
        self._clock = clock
        self._agent = ""
        self._heard = asyncio.Event()
        self._online = asyncio.Event()
        self._own: set[Need] = set()
        self._tried: dict[Need, tuple[float, bool]] = {}
        self.fetched = 0
        self.missing = 0
        """Of the last round: what could not be had."""

    def heard(self, call: Call) -> None:
        """Take in a write of the node: a kubelet is who writes its Node."""
        if call.resource != "nodes" or call.verb not in ("create", "patch"):
            return
        if call.name in ("", self._node):
            self._agent = call.user_agent
            self._heard.set()

    def mode(self, online: bool) -> None:
        """Take in whether the link is there."""
        if online:
            self._online.set()
        else:
            self._online.clear()

    async def run(self) -> None:
        """Ask until cancelled."""
        await self._heard.wait()
        await self._clock.sleep(FIRST_SECONDS)
        while True:
            await self._online.wait()
            await self.once()
            await self._clock.sleep(EVERY_SECONDS)

    @property
    def is_heard(self) -> bool:
        """A kubelet asks through this hub."""
        return self._heard.is_set()

    async def now(self) -> None:
        """Ask for all that is missing, also for what was in vain a while ago."""
        self._agent = self._agent or KUBELET
        self._tried.clear()
        await self.once()

    async def known(self, need: Need) -> bool:
        """Say whether the cache has an answer."""
        agent = self._agent or KUBELET
        return await self._sources.known_since(need, agent) is not None

    async def pods(self) -> Iterable[Values]:
        """Return the node's pods, as far as they are known."""
        agent = self._agent or KUBELET
        return await self._sources.pods(pods_of(self._node), agent)

    async def once(self) -> None:
        """Ask for all that is missing, or is old and watched by nobody."""
        needs = dict.fromkeys(of_node(self._node))
        missing = await self._all(needs)
        pods = await self._sources.pods(pods_of(self._node), self._agent)
        of_pods = dict.fromkeys(need for pod in pods for need in of_pod(pod))
        missing += await self._all(of_pods)
        needs |= of_pods
        self._tried = {one: self._tried[one] for one in self._tried if one in needs}
        self._own &= needs.keys()
        if missing > self.missing:
            log.info(
                "some of what a kubelet needs cannot be had", extra={"count": missing}
            )
        self.missing = missing

    async def _all(self, needs: Iterable[Need]) -> int:
        """Have the answers to all; return how many are missing."""
        missing = 0
        for need in islice(needs, MAX_NEEDS):
            if self._online.is_set():
                missing += await self._lacks(need)
        return missing

    async def _lacks(self, need: Need) -> bool:
        """Have the answer to `need` in the cache; return whether it is missing."""
        now = self._clock.wall()
        since = await self._sources.known_since(need, self._agent)
        if since is not None and (need not in self._own or now - since < OLD_SECONDS):
            return False
        at, missing = self._tried.get(need, (float("-inf"), False))
        if 0 <= now - at < OLD_SECONDS:
            return missing
        try:
            code = await self._sources.fetch(need, self._agent)
        except ToonoError as exc:
            log.debug("not fetched ahead", extra={"err": str(exc)})
            return True
        await self._clock.sleep(PAUSE_SECONDS)
        # That it is not there is known now, though this node's own is asked for anew.
        missing = code != 404 and not 200 <= code < 300
        self._tried[need] = (now, missing)
        if 200 <= code < 300:
            self._own.add(need)
            self.fetched += 1
        return missing
