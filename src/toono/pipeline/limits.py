# SPDX-License-Identifier: Apache-2.0
"""How many requests may be under way at once, so that one client cannot starve the
rest, and the kubelet is served when nobody else is."""

import asyncio
import random
from collections import deque
from dataclasses import dataclass

from toono.errors import RequestError
from toono.kube import status
from toono.kube.request import Call
from toono.pipeline.clients import KUBELET, Client, ClientOf, by_address

READ_LIMIT = 200
WRITE_LIMIT = 100
"""As kube-apiserver divides its own 400 and 200, at half: one node asks less."""
KUBELET_SHARE = 0.2
"""Of each limit, kept free for the kubelet."""
CLIENT_LIMIT = 50
QUEUE_SECONDS = 2.0
WATCH_LIMIT = 1000
CLIENT_WATCH_LIMIT = 200
READ_METHODS = frozenset({"GET", "HEAD"})
TOO_MANY = "too many requests, please try again later"
RETRY_SECONDS = (1, 5)
"""Of Retry-After, which clients need to wait at all: spread, so that they do not come
again together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The sizes of the classes; the defaults are those of the overload table."""

    read: int = READ_LIMIT
    write: int = WRITE_LIMIT
    client: int = CLIENT_LIMIT
    watch: int = WATCH_LIMIT
    client_watch: int = CLIENT_WATCH_LIMIT
    queue_seconds: float = QUEUE_SECONDS


def too_many() -> RequestError:
    """Return the refusal of a request that there is no room for."""
    seconds = random.randint(*RETRY_SECONDS)  # noqa: S311 - spreads load, no secret
    return status.refuse(status.too_many_requests(TOO_MANY, seconds))


Waiting = tuple[asyncio.Future[None], Call]


class InFlight:
    """Counts what is under way, by class and client; waits a little where full.

    `client_of` says whose a call is; what it says as one enters counts until it leaves.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        client_of: ClientOf = by_address,
    ) -> None:
        self._client_of = client_of
        self._limits = limits = limits or Limits()
        self._reads = (_share(limits.read), limits.read)
        self._writes = (_share(limits.write), limits.write)
        self._clients: dict[Client, int] = {}
        self._watchers: dict[Client, int] = {}
        self._entered: dict[int, Client] = {}
        """By the id of the call, which whoever entered it holds until it leaves."""
        self._waiting: deque[Waiting] = deque()
        self.reading = 0
        self.writing = 0
        self.watching = 0

    def admit(self, call: Call) -> bool:
        """Count `call` in if there is room now; a watch never waits for it (429)."""
        client = self._client_of(call)
        if call.verb == "watch":
            self._enter_watch(client)
            self._entered[id(call)] = client
            return True
        count = self._clients.get(client, 0)
        if count >= self._limits.client:
            return False
        kubelet = client == KUBELET
        if call.method in READ_METHODS:
            if self.reading >= self._reads[kubelet]:
                return False
            self.reading += 1
        else:
            if self.writing >= self._writes[kubelet]:
                return False
            self.writing += 1
        self._clients[client] = count + 1
        self._entered[id(call)] = client
        return True

    async def queue(self, call: Call) -> None:
        """Count `call` in once there is room; RequestError 429 where none comes."""
        try:
            async with asyncio.timeout(self._limits.queue_seconds):
                while not self._has_room(call):
                    await self._turn(call)
        except TimeoutError as exc:
            raise too_many() from exc
        self.admit(call)

    def leave(self, call: Call) -> None:
        """Count `call` out; exactly once for each that entered."""
        client = self._entered.pop(id(call))
        watch = call.verb == "watch"
        counts = self._watchers if watch else self._clients
        _less(counts, client)
        if watch:
            self.watching -= 1
            return
        if call.method in READ_METHODS:
            self.reading -= 1
        else:
            self.writing -= 1
        if self._waiting:
            self._wake()

    def client_of(self, call: Call) -> Client:
        """Return whose `call` is, for who counts many like it in."""
        return self._client_of(call)

    def admit_read(self, client: Client) -> bool:
        """Count a read of `client` in if there is room now, as `admit`."""
        count = self._clients.get(client, 0)
        if (
            count >= self._limits.client
            or self.reading >= self._reads[client == KUBELET]
        ):
            return False
        self.reading += 1
        self._clients[client] = count + 1
        return True

    def leave_read(self, client: Client) -> None:
        """Count out what `admit_read` counted in."""
        _less(self._clients, client)
        self.reading -= 1
        if self._waiting:
            self._wake()

    def _wake(self) -> None:
        """Let in the first who can take the place: not all wait for the same one."""
        for turn, call in self._waiting:
            if not turn.done() and self._has_room(call):
                turn.set_result(None)
                return

    def _enter_watch(self, client: Client) -> None:
        kubelet = client == KUBELET
        limit = self._limits.watch if kubelet else _share(self._limits.watch)
        # A kubelet holds one for each secret and config map of up to 110 pods.
        own = limit if kubelet else self._limits.client_watch
        count = self._watchers.get(client, 0)
        if self.watching >= limit or count >= own:
            raise too_many()
        self.watching += 1
        self._watchers[client] = count + 1

    def _has_room(self, call: Call) -> bool:
        client = self._client_of(call)
        if self._clients.get(client, 0) >= self._limits.client:
            return False
        kubelet = client == KUBELET
        if call.method in READ_METHODS:
            return self.reading < self._reads[kubelet]
        return self.writing < self._writes[kubelet]

    async def _turn(self, call: Call) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = (turn, call)
        self._waiting.append(waiting)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._wake()  # it had its turn and does not take it
            raise
        finally:
            self._waiting.remove(waiting)


def _share(limit: int) -> int:
    """Return how much of a limit others than the kubelet may fill."""
    return int(limit * (1 - KUBELET_SHARE))


def _less(counts: dict[Client, int], client: Client) -> None:
    count = counts[client] - 1
    if count:
        counts[client] = count
    else:
        del counts[client]
