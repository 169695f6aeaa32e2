# SPDX-License-Identifier: Apache-2.0
"""The upstream: several API servers as one, and whether any can be reached.

Requests go to a healthy server. One that fails on the way asks the breaker, by a probe
on a fresh connection, whether the link is down: only then does its caller hear
`UnreachableError`, the one error that may be answered from the cache.
"""

import asyncio
import hashlib
import logging
import os
import random
from collections.abc import Callable, Sequence
from typing import ClassVar

import msgspec

from toono.errors import (
    BadResponseError,
    BodyCutError,
    LinkLostError,
    UnreachableError,
    UpstreamError,
    WireError,
)
from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.upstream.health import HealthSettings, Hysteresis, Probe, judge
from toono.wire.client import TLS, Origin
from toono.wire.messages import Answer, Body, Headers, Interim

log = logging.getLogger(__name__)

CONNECTIONS_PER_SECOND = 10.0
CONNECTION_BURST = 20.0
_SALT = os.urandom(16)


class Credential(msgspec.Struct, frozen=True):
    """Whose connections a request may use: the node's, one token's, or nobody's."""

    kind: str
    token_hash: bytes = b""

    NODE: ClassVar["Credential"]
    ANONYMOUS: ClassVar["Credential"]

    @classmethod
    def of_token(cls, token: bytes) -> "Credential":
        """Return the key of one bearer token; the token itself stays in its field."""
        return cls("token", hashlib.blake2b(token, key=_SALT, digest_size=16).digest())

    @property
    def is_node(self) -> bool:
        """The node's own client certificate goes with it."""
        return self.kind == "node"


Credential.NODE = Credential("node")
Credential.ANONYMOUS = Credential("anonymous")


class Admission:
    """A token bucket: so many new connections a second, the rest wait their turn."""

    def __init__(self, clock: Clock, *, rate: float, burst: float) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = clock.monotonic()

    async def __call__(self) -> None:
        """Return when one more connection may be opened."""
        now = self._clock.monotonic()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        self._level -= 1
        if self._level < 0:
            try:
                await self._clock.sleep(-self._level / self._rate)
            except BaseException:
                self._level += 1  # whoever gave up frees its place
                raise


class Server:
    """One API server: its connections, its health, its prober."""

    def __init__(
        self,
        origin: Origin,
        *,
        settings: HealthSettings,
        clock: Clock,
        notify: Callable[[], None],
    ) -> None:
        self.origin = origin
        self.host = (b"Host", origin.authority.encode())
        self.health = Hysteresis(up_after=settings.up_after)
        self._settings = settings
        self._clock = clock
        self._notify = notify
        self._verdict: asyncio.Future[bool] | None = None
        self._trouble = ""
        """Why the last probe had no answer."""
        self._judged = False
        self._poke = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        origin.broken = self.suspect

    def __repr__(self) -> str:
        word = "healthy" if self.health.healthy else "down"
        return f"<Server {self.origin.authority} {word}>"

    def start(self) -> None:
        """Begin to probe."""
        self._task = spawn(self._probe_often(), name=f"probe-{self.origin.authority}")

    async def aclose(self) -> None:
        """Stop probing and close all connections."""
        if self._task is not None:
            await cancel_and_wait(self._task)
        self.health.observe(Probe.SILENT)
        if self._verdict is not None and not self._verdict.done():
            self._verdict.set_result(False)
        self.origin.close()

    async def verdict(self) -> bool:
        """Probe now (one probe for all who ask); return whether it is healthy."""
        return await asyncio.shield(self.suspect())

    def suspect(self) -> asyncio.Future[bool]:
        """Have a probe started now, if none is under way; return its verdict to be."""
        if self._verdict is None:
            self._verdict = asyncio.get_running_loop().create_future()
            self._poke.set()
        return self._verdict

    async def _probe_often(self) -> None:
        while True:
            self._poke.clear()
            self._take(await self._probe())
            settings = self._settings
            pause = settings.interval if self.health.healthy else settings.down_interval
            pause *= random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, no secret
            nap = spawn(self._clock.sleep(pause), name="probe-nap")
            poke = spawn(self._poked(), name="probe-poke")
            try:
                await asyncio.wait((nap, poke), return_when=asyncio.FIRST_COMPLETED)
            finally:
                await cancel_and_wait(nap, poke)

    async def _poked(self) -> None:
        await self._poke.wait()

    def _take(self, probe: Probe) -> None:
        flipped = self.health.observe(probe)
        verdict, self._verdict = self._verdict, None
        if flipped:
            facts: dict[str, object] = {
                "server": self.origin.authority,
                "healthy": self.health.healthy,
                "probe": probe.value,
            }
            if self._trouble:
                facts["err"] = self._trouble
            log.info("upstream health changed", extra=facts)
        elif not self._judged and not self.health.healthy and self._trouble:
            log.warning(
                "an API server cannot be reached",
                extra={"server": self.origin.authority, "err": self._trouble},
            )
        self._judged = True
        if not self.health.healthy:
            self.origin.abort_waiting(LinkLostError("the link went down"))
            self.origin.close_idle()
        self._notify()
        if verdict is not None and not verdict.done():
            verdict.set_result(self.health.healthy)

    async def _probe(self) -> Probe:
        self._trouble = ""
        headers: Headers = [
            (b"Host", self.origin.authority.encode()),
            (b"User-Agent", b"toono"),
            (b"Accept", b"*/*"),
            (b"Connection", b"close"),
        ]
        try:
            async with asyncio.timeout(self._settings.probe_timeout):
                answer = await self.origin.send(
                    "GET",
                    b"/readyz",
                    headers,
                    None,
                    credential=Credential.NODE,
                    reuse=False,
                )
                answer.body.close()
                return judge(answer.status)
        except (UpstreamError, WireError, TimeoutError) as exc:
            self._trouble = str(exc) or f"no answer in {self._settings.probe_timeout} s"
            return judge(None)


class Upstream:
    """The API servers of one cloud, as one.

    `online` is what routing asks; `since` is the wall time of its last change, and
    `changed` is called at each.
    """

    def __init__(
        self,
        addresses: Sequence[tuple[str, int]],
        *,
        tls: TLS,
        clock: Clock,
        mode: str = "rr",
        settings: HealthSettings | None = None,
        changed: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._settings = settings = settings or HealthSettings()
        self.silence = settings.silence
        """Seconds without a word after which a server is suspected."""
        self._mode = mode
        self._next = 0
        self._changed = changed
        admit = Admission(clock, rate=CONNECTIONS_PER_SECOND, burst=CONNECTION_BURST)
        self.servers = [
            Server(
                Origin(host, port, tls=tls, admit=admit),
                settings=self._settings,
                clock=clock,
                notify=self._notice,
            )
            for host, port in addresses
        ]
        self.online = False
        self.since = clock.wall()
        self._held = False

    def start(self) -> None:
        """Begin to probe every server."""
        for server in self.servers:
            server.start()

    async def aclose(self) -> None:
        """Stop probing, close all connections."""
        for server in self.servers:
            await server.aclose()

    def hold(self, held: bool) -> None:
        """Be as one that cannot be reached, until told otherwise; probes go on."""
        self._held = held
        if held:
            for server in self.servers:
                server.origin.close()
        self._notice()

    def _notice(self) -> None:
        healthy = any(server.health.healthy for server in self.servers)
        online = healthy and not self._held
        if online != self.online:
            self.online = online
            self.since = self._clock.wall()
            log.info("went online" if online else "went offline")
            self._changed(online)

    def pick(self) -> Server | None:
        """Return the server for the next request: ready ones before merely reachable."""
        if self._held:
            return None
        if len(self.servers) == 1:
            server = self.servers[0]
            return server if server.health.healthy else None
        healthy = [server for server in self.servers if server.health.healthy]
        usable = [server for server in healthy if server.health.ready] or healthy
        if not usable:
            return None
        if self._mode == "priority":
            return usable[0]
        self._next += 1
        return usable[self._next % len(usable)]

    async def send(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: Body | None,
        *,
        credential: Credential,
        upgrade: str = "",
        interim: Interim | None = None,
    ) -> Answer:
        """Send one request to some server and return its answer.

        Raises UnreachableError where no server can be reached, UpstreamError where
        one broke off though it can be reached: that is told, never papered over. A
        write that was sent and got no answer is an UpstreamError in any case: nobody
        knows whether it was done.
        """
        replayable = body is None and method in ("GET", "HEAD")
        later = asyncio.get_running_loop().call_later
        for _ in range(len(self.servers) + 1):
            server = self.pick()
            if server is None:
                break
            timer = later(self.silence, server.suspect)
            try:
                return await server.origin.send(
                    method,
                    target,
                    [server.host, *headers],
                    body,
                    credential=credential,
                    upgrade=upgrade,
                    interim=interim,
                )
            except (BodyCutError, BadResponseError, UnreachableError) as exc:
                timer.cancel()
                healthy = server.health.healthy and await server.verdict()
                if isinstance(exc, BadResponseError) and healthy:
                    raise UpstreamError(str(exc)) from exc
                if not replayable:
                    sent = isinstance(exc, LinkLostError)
                    sent = sent or not isinstance(exc, UnreachableError)
                    if healthy or sent:
                        raise UpstreamError(
                            f"the connection broke, the outcome is unknown: {exc}"
                        ) from exc
                    break
                failure = exc
            finally:
                timer.cancel()
        else:
            raise UpstreamError(f"the servers break off: {failure}") from failure
        raise UnreachableError("no API server can be reached")
