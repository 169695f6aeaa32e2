# SPDX-License-Identifier: Apache-2.0
"""Keeps one certificate good: asks for it, waits for its approval, puts it in place.

What it waits for, and what is wrong, it says; nothing else of the hub waits for it. A
certificate that is there stays until a better one is. Who asks the cloud, and as whom,
is the caller's: this module knows neither connections nor credentials.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from toono.certs.files import Held, Root, put_current, read_held, write_whole
from toono.certs.names import Wanted
from toono.certs.request import (
    PATH,
    Outcome,
    Prepared,
    Verdict,
    joined,
    new_key,
    prepare,
    read_verdict,
)
from toono.certs.rotation import State, spread_of
from toono.errors import CertificateError, UpstreamError
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""Between looks at a certificate that is good: the wall clock may have jumped."""
FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0
"""Between looks at a request: at first somebody may stand by and approve it."""
REFUSED_SECONDS = 600.0


class Reply(NamedTuple):
    """What the cloud answered."""

    status: int
    content: bytes


Ask = Callable[[str, str, bytes], Awaitable[Reply]]
"""(method, target, content) → the answer; UpstreamError where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Which certificate is kept, and what is told when there is a new one."""

    stem: str
    wanted: Callable[[], Wanted | None]
    """None: not known yet what to ask for."""
    changed: Callable[[], Awaitable[None]]
    needed: Callable[[], bool] = lambda: True
    """False: nobody could use it now, so none is asked for."""


class Keeper:
    """Keeps one certificate of a root directory."""

    def __init__(self, root: Root, kept: Kept, ask: Ask, *, clock: Clock) -> None:
        self.root, self.stem = root, kept.stem
        self._kept, self._ask, self._clock = kept, ask, clock
        self.state = State.MISSING
        self.held: Held | None = None
        self.pending = ""
        """The name of a request that nobody has answered."""
        self.problem = ""
        self.replaced = 0
        self._wait = FIRST_WAIT
        self._forced = False
        self._said = ""
        self._woken = asyncio.Event()

    @property
    def file(self) -> Path:
        """Where the certificate is once there is one."""
        return self.root.current(self.stem)

    @property
    def seconds_left(self) -> float:
        """Until what there is ends; below 0: since then; 0: there is none."""
        return self.held.life.ends - self._clock.wall() if self.held else 0.0

    @property
    def usable(self) -> bool:
        """There is one, and its time has not run out."""
        return self.state in (State.GOOD, State.DUE, State.EARLY)

    @property
    def note(self) -> str:
        """What is wrong or waited for, and what to do; empty: nothing."""
        if self.pending:
            return (
                f"the request {self.pending} waits for approval:"
                f" kubectl certificate approve {self.pending}"
            )
        bad = self.state in (State.EARLY, State.EXPIRED)
        worth = f"{self.file} is {self.state.value}" if bad else ""
        return ": ".join(said for said in (worth, self.problem) if said)

    def renew(self) -> None:
        """Ask for a new one now, whatever the old one is worth."""
        self._forced = True
        self._woken.set()

    def hurry(self) -> None:
        """Look now: the link is back."""
        self._woken.set()

    async def run(self) -> None:
        """Keep it good for as long as the hub runs."""
        while True:
            self._woken.clear()
            seconds = await self.step()
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def step(self) -> float:
        """Do what is due; return for how long there is nothing to do."""
        try:
            lacking = await self._look()
            if not self._kept.needed() or not (lacking or self._forced):
                self.pending = self.problem = ""
                return LOOK_SECONDS
            return await self._pursue()
        except UpstreamError as exc:
            self._fail(f"no certificate can be asked for: {exc}")
            return LONGEST_WAIT
        except (CertificateError, OSError) as exc:
            self._fail(str(exc))
            return REFUSED_SECONDS

    # -- what there is ---------------------------------------------------------------

    async def _look(self) -> bool:
        """Read what there is; say whether another is needed."""
        found = await asyncio.to_thread(read_held, self.file)
        if not isinstance(found, Held):
            self.held, self.state = None, State.MISSING
            if isinstance(found, str):
                self._say("a certificate cannot be used: another is asked for", found)
            return True
        self.held = found
        spread = spread_of(found.serial)
        self.state = found.life.state(self._clock.wall(), spread=spread)
        if self.state in (State.DUE, State.EXPIRED):
            return True
        return self.state is State.GOOD and not self._names_all(found)

    def _names_all(self, held: Held) -> bool:
        wanted = self._kept.wanted()
        if wanted is None:
            return True
        return {*wanted.dns, *wanted.addresses} <= set(held.names)

    # -- how another comes -------------------------------------------------------------

    async def _pursue(self) -> float:
        wanted = self._kept.wanted()
        if wanted is None:
            self.problem = "which addresses it is for is not known before the link is"
            return FIRST_WAIT
        key = await self._key()
        prepared = await asyncio.to_thread(prepare, wanted, key)
        verdict = await self._verdict(prepared)
        if verdict.outcome is Outcome.ISSUED:
            await self._take(verdict, key, prepared)
            return 0.0
        if verdict.outcome is Outcome.PENDING:
            return self._pend(prepared, approved=verdict.approved)
        self._forget_key()
        raise CertificateError(
            f"the request {prepared.name} was {verdict.outcome.value}:"
            f" {verdict.why or 'no reason is given'}"
        )

    async def _key(self) -> bytes:
        """Return the key of a request under way, or a new one, kept before it is used.

        One that cannot be used any more is replaced.
        """
        path = self.root.pending_key(self.stem)
        try:
            kept = path.read_bytes()
        except FileNotFoundError:
            kept = b""
        if b"PRIVATE KEY-----" in kept:
            return kept
        key = await asyncio.to_thread(new_key)
        await asyncio.to_thread(write_whole, path, key)
        return key

    def _forget_key(self) -> None:
        self.pending, self._wait = "", FIRST_WAIT
        self.root.pending_key(self.stem).unlink(missing_ok=True)

    async def _verdict(self, prepared: Prepared) -> Verdict:
        """Look at the request, and make it where it is not there."""
        target = f"{PATH}/{prepared.name}"
        reply = await self._ask("GET", target, b"")
        if reply.status == 404:
            made = await self._ask("POST", PATH, prepared.content)
            if made.status not in (201, 409):
                raise CertificateError(_refused("create", made.status))
            reply = await self._ask("GET", target, b"")
        if reply.status != 200:
            raise CertificateError(_refused("get", reply.status))
        return read_verdict(reply.content)

    def _pend(self, prepared: Prepared, *, approved: bool) -> float:
        self.problem = ""
        if approved:  # the signer is at work, or there is none
            self.pending = ""
            self.problem = f"the request {prepared.name} is approved and not yet signed"
        elif self.pending != prepared.name:
            self.pending = prepared.name
            log.warning(
                "a certificate waits for approval",
                extra={"run": f"kubectl certificate approve {prepared.name}"},
            )
        wait, self._wait = self._wait, min(self._wait * 1.2, LONGEST_WAIT)
        return wait

    async def _take(self, verdict: Verdict, key: bytes, prepared: Prepared) -> None:
        try:
            content = joined(verdict.certificate, key, public_key=prepared.public_key)
        except CertificateError:
            self._forget_key()
            raise
        now = self._clock.wall()
        await asyncio.to_thread(put_current, self.root, self.stem, content, now=now)
        self._forget_key()
        self._forced = False
        self._said = self.problem = ""
        self.replaced += 1
        log.info("a new certificate is in place", extra={"file": str(self.file)})
        await self._look()
        await self._kept.changed()

    def _fail(self, problem: str) -> None:
        self.pending, self.problem = "", problem
        self._say("a certificate cannot be had", problem)

    def _say(self, message: str, why: str) -> None:
        """Log once what stays as it is."""
        if self._said != why:
            self._said = why
            log.warning(message, extra={"certificate": self.stem, "why": why})


def _refused(verb: str, status: int) -> str:
    rule = f"{verb} certificatesigningrequests (certificates.k8s.io)"
    if status in (401, 403):
        return f"the cluster does not let this node {rule}: it answers {status}"
    return f"the cluster answers {status} to {rule}"
