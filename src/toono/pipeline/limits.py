# SPDX-License-Identifier: Apache-2.0
"""How many requests may be under way at once, so that one client cannot starve the
rest, and the kubelet is served when nobody else is."""

import asyncio
import random
from collections import Counter, deque
from dataclasses import dataclass

from toono.errors import RequestError
from toono.kube import status
from toono.kube.request import Call

READ_LIMIT = 200
WRITE_LIMIT = 100
"""As kube-apiserver divides its own 400 and 200, at half: one node asks less."""
KUBELET_SHARE = 0.2
"""Of each limit, kept free for the kubelet."""
CLIENT_LIMIT = 50
QUEUE_SECONDS = 2.0
WATCH_LIMIT = 1000
CLIENT_WATCH_LIMIT = 200
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


LOOPBACK = ("127.", "::1", "::ffff:127.")
"""How loopback addresses begin; no other IPv6 address of a node begins with ::1."""
Client = tuple[str, str]
"""(component, source address)"""
Waiting = tuple[asyncio.Future[None], Call, Client]


class InFlight:
    """Counts what is under way, by class and client; waits a little where full."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._clients: Counter[Client] = Counter()
        self._watchers: Counter[Client] = Counter()
        self._waiting: deque[Waiting] = deque()
        self.reading = 0
        self.writing = 0
        self.watching = 0

    async def enter(self, call: Call) -> None:
        """Count `call` in; raises RequestError 429 where there is no room in time."""
        client = client_of(call)
        if call.verb == "watch":
            self._enter_watch(client)
            return
        if not self._has_room(call, client):
            await self._wait_for_room(call, client)
        self._clients[client] += 1
        if is_read(call):
            self.reading += 1
        else:
            self.writing += 1

    def leave(self, call: Call) -> None:
        """Count `call` out; exactly once for each that entered."""
        client = client_of(call)
        if call.verb == "watch":
            self.watching -= 1
            _less(self._watchers, client)
            return
        _less(self._clients, client)
        if is_read(call):
            self.reading -= 1
        else:
            self.writing -= 1
        self._wake()

    def _wake(self) -> None:
        """Let in the first who can take the place: not all wait for the same one."""
        for waiting in self._waiting:
            turn, call, client = waiting
            if not turn.done() and self._has_room(call, client):
                turn.set_result(None)
                return

    def _enter_watch(self, client: Client) -> None:
        limit = _share(self._limits.watch, client)
        # A kubelet holds one for each secret and config map of up to 110 pods.
        own = limit if is_kubelet(client) else self._limits.client_watch
        if self.watching >= limit or self._watchers[client] >= own:
            raise too_many()
        self.watching += 1
        self._watchers[client] += 1

    def _has_room(self, call: Call, client: Client) -> bool:
        read = is_read(call)
        limit = _share(self._limits.read if read else self._limits.write, client)
        busy = self.reading if read else self.writing
        return busy < limit and self._clients[client] < self._limits.client

    async def _wait_for_room(self, call: Call, client: Client) -> None:
        try:
            async with asyncio.timeout(self._limits.queue_seconds):
                while not self._has_room(call, client):
                    await self._turn(call, client)
        except TimeoutError as exc:
            raise too_many() from exc

    async def _turn(self, call: Call, client: Client) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = (turn, call, client)
        self._waiting.append(waiting)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._wake()  # it had its turn and does not take it
            raise
        finally:
            self._waiting.remove(waiting)


def _share(limit: int, client: Client) -> int:
    """Return how much of a limit a client may fill."""
    return limit if is_kubelet(client) else int(limit * (1 - KUBELET_SHARE))


def is_kubelet(client: Client) -> bool:
    """Say whether a client is the node's kubelet, as far as a limit can tell.

    It comes by loopback: a pod that takes its name has an address of its own. This is
    asked for every request, of the text that a socket gives.
    """
    return client[0] == "kubelet" and client[1].startswith(LOOPBACK)


def client_of(call: Call) -> Client:
    """Return whose request this is, as far as limits care."""
    return (call.component, call.caller.remote[0])


def is_read(call: Call) -> bool:
    """Say whether a call only reads."""
    return call.method in ("GET", "HEAD")


def _less(counter: Counter[Client], client: Client) -> None:
    counter[client] -= 1
    if counter[client] <= 0:
        del counter[client]
