# SPDX-License-Identifier: Apache-2.0
"""What will be needed once the link is down, asked while it is up, with callers' tokens.

A node may not read the cluster's key set, nor ask what a pod may do: so each is asked
with the token of a caller that was just answered. The token is held in memory until
then and nowhere else. Nothing here answers anybody, and no failure of it is anybody's.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from toono.errors import CodecError, ToonoError
from toono.identity.rights import READS, Rights
from toono.identity.rows import KeySetRow, Question
from toono.identity.tokens import Checked, Trust, read_key_set
from toono.kube.request import Caller
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

JWKS = "/openid/v1/jwks"
CONFIGURATION = "/.well-known/openid-configuration"
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
MAX_WAITING = 256
MAX_ASKED = 4096
FETCH_SECONDS = 60.0
"""Between two fetches of the key set: a hostile token names keys that nobody has."""
OLD_SECONDS = 3600.0
"""A key set is fetched anew after this: a key may have been taken out."""
WITHOUT_RIGHT_SECONDS = 600.0
ASK_SECONDS = 1800.0
"""One identity's right to one resource is asked ahead at most this often."""

Ask = Callable[[str, str, bytes, bytes], Awaitable[tuple[int, bytes]]]
"""(method, path, token, JSON body) → (code, body); raises ToonoError"""


class Errand(NamedTuple):
    """One thing to ask with one token."""

    token: bytes
    question: Question | None
    """None: the key set."""


class _Provider(msgspec.Struct):
    issuer: str


class _Status(msgspec.Struct):
    allowed: bool = False
    evaluation_error: str = msgspec.field(default="", name="evaluationError")


class _Review(msgspec.Struct):
    status: _Status


_provider = msgspec.json.Decoder(_Provider)
_review = msgspec.json.Decoder(_Review)


class Ahead:
    """A queue of errands and the one task that runs them, in order."""

    def __init__(self, rights: Rights, ask: Ask, *, clock: Clock) -> None:
        self._rights = rights
        self._ask = ask
        self._clock = clock
        self._waiting: asyncio.Queue[Errand] = asyncio.Queue(MAX_WAITING)
        self._asked: OrderedDict[tuple[str, Question], float] = OrderedDict()
        self._hearing: dict[tuple[str, Question], asyncio.Event] = {}
        """What is asked just now for who waits for it."""
        self._next_fetch = float("-inf")
        self.lacks = ""
        """The rule that was found missing, for reports."""
        rights.learned = self.learned

    def learned(self, caller: Caller, question: Question, checked: Checked) -> None:
        """Queue what follows from an answer; full means that it waits for the next."""
        if self._needs_keys(checked):
            self._next_fetch = self._clock.monotonic() + FETCH_SECONDS
            self._queue(Errand(caller.token, None))
        if question.subresource or not question.resource:
            return
        # Who cannot be judged yet may be once the key set is here: it is fetched first.
        waits = checked.lacks_key and not self.lacks
        if checked.trust is not Trust.VALID and not waits:
            return
        who = self._owner(caller.token, checked)
        now = self._clock.monotonic()
        for verb in sorted(READS):
            wide = question._replace(verb=verb, name="", selector="")
            if now - self._asked.get((who, wide), float("-inf")) < ASK_SECONDS:
                continue
            if self._queue(Errand(caller.token, wide)):
                self._note(who, wide)

    async def hear(self, caller: Caller, question: Question, *, since: float) -> None:
        """Ask now what a token's owner may, unless it was heard `since`.

        For who may share an answer: many ask at once, and one question is enough. What
        comes of it is in the book, or nothing is.
        """
        if not caller.token or caller.impersonates:
            return
        checked = self._rights.verifier.check(caller.token, now=self._clock.wall())
        if checked.trust is not Trust.VALID:
            return
        wide = question._replace(name="", selector="")
        who = checked.identity
        under_way = self._hearing.get((who, wide))
        if under_way is not None:
            await under_way.wait()
            return
        window = (since, self._clock.wall())
        if self._rights.book.find(who, wide, window=window) is not None:
            return
        self._hearing[who, wide] = heard = asyncio.Event()
        try:
            await self._review(caller.token, wide)
            self.learned(caller, question, checked)
        except ToonoError as exc:
            log.debug("a right could not be asked for", extra={"err": str(exc)})
        finally:
            del self._hearing[who, wide]
            heard.set()

    def _owner(self, token: bytes, checked: Checked) -> str:
        if checked.trust is Trust.VALID:
            return checked.identity
        return self._rights.book.identity_of(token)

    def _note(self, who: str, question: Question) -> None:
        self._asked[who, question] = self._clock.monotonic()
        self._asked.move_to_end((who, question))
        if len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)

    def _needs_keys(self, checked: Checked) -> bool:
        if self._clock.monotonic() < self._next_fetch:
            return False
        row = self._rights.book.key_set
        if row is None or self._clock.wall() - row.fetched_at <= OLD_SECONDS:
            return checked.lacks_key
        # Of another issuer too: the cluster may have changed its own.
        return checked.is_account_s

    def _queue(self, errand: Errand) -> bool:
        try:
            self._waiting.put_nowait(errand)
        except asyncio.QueueFull:
            return False
        return True

    async def run(self) -> None:
        """Run errands until cancelled."""
        while True:
            errand = await self._waiting.get()
            try:
                if errand.question is None:
                    await self._fetch_keys(errand.token)
                else:
                    await self._review(errand.token, errand.question)
            except ToonoError as exc:
                log.debug("asking ahead failed", extra={"err": str(exc)})
            finally:
                self._waiting.task_done()

    async def idle(self) -> None:
        """Return once nothing waits, for tests and drills."""
        await self._waiting.join()

    # -- errands -----------------------------------------------------------------

    async def _fetch_keys(self, token: bytes) -> None:
        code, provider = await self._ask("GET", CONFIGURATION, token, b"")
        if code == 200:
            code, document = await self._ask("GET", JWKS, token, b"")
        if code == 403:
            self._tell_lack()
            return
        if code != 200:
            return
        try:
            issuer = _provider.decode(provider).issuer
            # The first set loads a library: 100 ms that the loop must not wait for.
            keys = await asyncio.to_thread(read_key_set, issuer, document)
        except (CodecError, msgspec.DecodeError) as exc:
            log.warning("the cluster's key set is not used", extra={"err": str(exc)})
            return
        rights = self._rights
        row = KeySetRow(issuer, document, self._clock.wall())
        rights.book.keep_key_set(row)
        rights.verifier.use(keys)
        self.lacks = ""
        checked = rights.verifier.check(token, now=self._clock.wall())
        if checked.trust is Trust.VALID:
            rights.book.move(rights.book.identity_of(token), checked.identity)

    def _tell_lack(self) -> None:
        self._next_fetch = self._clock.monotonic() + WITHOUT_RIGHT_SECONDS
        if not self.lacks:
            log.warning(
                "tokens cannot be checked offline: no caller may read the key set;"
                " bind ClusterRole system:service-account-issuer-discovery to group"
                " system:serviceaccounts"
            )
        self.lacks = "get /openid/v1/jwks"

    async def _review(self, token: bytes, question: Question) -> None:
        checked = self._rights.verifier.check(token, now=self._clock.wall())
        if checked.trust is not Trust.VALID:
            unjudged = self._rights.book.identity_of(token)
            self._asked.pop((unjudged, question), None)
            return
        self._note(checked.identity, question)
        attributes = {
            "verb": question.verb,
            "group": question.group,
            "resource": question.resource,
            "namespace": question.namespace,
        }
        content = msgspec.json.encode(
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
        )
        code, answer = await self._ask("POST", REVIEW, token, content)
        if code not in (200, 201):
            return
        try:
            status = _review.decode(answer).status
        except msgspec.DecodeError:
            return
        if status.evaluation_error and not status.allowed:
            return  # the authorizer does not know; no is no answer here
        self._rights.book.put(
            checked.identity,
            question,
            allowed=status.allowed,
            at=self._clock.wall(),
        )
