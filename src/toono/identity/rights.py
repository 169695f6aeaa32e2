# SPDX-License-Identifier: Apache-2.0
"""May this caller have this answer? Asked before anything that the cloud did not say.

The node is a caller on loopback without credentials whose socket belongs to root (or
`--node-uids`) and to no pod, or one with this node's own client certificate. The owner
of a token may read what the API server lately let that very credential read. Whoever
was refused hears the same refusal; of whom nothing is known, nothing is answered.
"""

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from toono.errors import CodecError
from toono.identity.book import ALWAYS, Book, Window
from toono.identity.certificates import is_of_node
from toono.identity.rows import NODE, Question
from toono.identity.sockets import Lookup, Owner, owner_of
from toono.identity.tokens import Checked, Trust, Verifier, read_key_set
from toono.kube.request import Call, Caller
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 4096
ASKERS = 32
"""Threads at most that wait to hear whose a connection is: they share one look."""
LAPSE_SECONDS = 24 * 3600.0
LEEWAY_SECONDS = 300.0
READS = frozenset({"get", "list", "watch"})
OWN_COMPONENT = "kubelet"
"""No token's answer is ever kept under this name: what the node lives by stays its."""


class Verdict(Enum):
    """What follows for a caller, with the code that the API server would give."""

    ALLOWED = 200
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    UNKNOWN = 503


class Judgement(NamedTuple):
    """A verdict, whose it is, and why, in words for the caller."""

    verdict: Verdict
    user: str = ""
    why: str = ""


ALLOWED = Judgement(Verdict.ALLOWED)
NOBODY = "cut off: this identity cannot be checked"
NEVER_ASKED = "cut off: whether this identity may have this was not asked lately"
REFUSED = "the API server has refused this token"
IMPERSONATES = "cut off: only the API server can judge an impersonation"


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsSettings:
    """What an operator says about identities; the defaults need no word."""

    node_name: str = ""
    node_uids: frozenset[int] = frozenset({0})
    lapse: float = LAPSE_SECONDS
    """How long a pod's right holds without being heard again; the node's holds on."""
    leeway: float = LEEWAY_SECONDS
    """For clocks that differ, at a token's begin and end."""
    audiences: frozenset[str] = frozenset()
    """Of the API server, beside the issuer (its --api-audiences)."""
    allowed: frozenset[tuple[str, str]] = field(default=frozenset())
    """(user, resource.group) that may be read offline whatever was asked online."""


class Rights:
    """Answers `is_node`, `judge` and `may`, and learns from the API server's answers."""

    def __init__(
        self,
        book: Book,
        *,
        clock: Clock,
        settings: RightsSettings | None = None,
        owner: Lookup = owner_of,
        keeps: Callable[[Call], bool] = lambda _: True,
    ) -> None:
        self.settings = settings or RightsSettings()
        self.book = book
        self.verifier = Verifier(
            leeway=self.settings.leeway, audiences=self.settings.audiences
        )
        self.learned: Callable[[Caller, Question, Checked], None] | None = None
        """Told of each answer to a token, for who asks ahead."""
        self._clock = clock
        self._owner = owner
        self._askers = ThreadPoolExecutor(ASKERS, thread_name_prefix="who-calls")
        self._keeps = keeps
        self.nodes: OrderedDict[int, bool] = OrderedDict()
        """Connections that were looked at: the node's or not, but for their tokens."""

    async def open(self) -> None:
        """Read what the last life knew."""
        await self.book.open()
        self.believe_kept_keys()

    def believe_kept_keys(self) -> None:
        """Check tokens by the key set that is kept, until a newer one is there."""
        row = self.book.key_set
        if row is None:
            return
        try:
            self.verifier.use(read_key_set(row.issuer, row.document))
        except CodecError as exc:
            log.warning("the kept key set cannot be used", extra={"err": str(exc)})

    # -- the one gate ------------------------------------------------------------

    async def may(self, caller: Caller, call: Call) -> bool:
        """Say whether `caller` may have an answer to `call` from what is kept."""
        return (await self.judge(caller, call)).verdict is Verdict.ALLOWED

    async def judge(self, caller: Caller, call: Call) -> Judgement:
        """Say what `caller` gets for `call` while nobody else can be asked."""
        if await self.is_node(caller):
            return self.judge_node(call)
        if caller.impersonates:
            return Judgement(Verdict.UNKNOWN, why=IMPERSONATES)
        if not caller.token:
            return Judgement(Verdict.UNKNOWN, why=NOBODY)
        return self.judge_token(caller.token, question_of(call))

    def judge_node(self, call: Call) -> Judgement:
        """Say what the node itself gets for a call."""
        if not self.book.is_fed(call.group, call.resource):
            return ALLOWED
        # A token's owner was told of these: what is kept may not be the node's.
        return self._remembered(NODE, question_of(call), ALWAYS, user=NODE)

    def judge_token(self, token: bytes, question: Question) -> Judgement:
        """Say what a token's owner gets for a question."""
        now = self._clock.wall()
        checked = self.verifier.check(token, now=now)
        if checked.trust in (Trust.FORGED, Trust.EXPIRED):
            return Judgement(Verdict.UNAUTHENTICATED, checked.user, checked.why)
        if self.book.is_refused(token):
            return Judgement(Verdict.UNAUTHENTICATED, checked.user, REFUSED)
        if checked.trust is Trust.EARLY:
            why = f"cut off: this token cannot be taken: {checked.why}"
            return Judgement(Verdict.UNKNOWN, checked.user, why)
        if checked.trust is Trust.VALID and self._is_listed(checked.user, question):
            return Judgement(Verdict.ALLOWED, checked.user, "the operator's list")
        window = self.window(now)
        identity = self.identity_of(token, checked)
        if checked.trust is Trust.VALID:  # maybe since a key set that came later
            self.book.move(self.book.identity_of(token), identity)
        found = self._remembered(identity, question, window, user=checked.user)
        if found.verdict is Verdict.UNKNOWN and checked.trust is Trust.UNJUDGED:
            why = f"cut off: this token cannot be checked: {checked.why}"
            return found._replace(why=why)
        return found

    def may_be_taken(self, token: bytes) -> bool:
        """Say whether the API server takes a token: it is good, or was taken before.

        Of one that cannot be judged here only the API server's own word counts: any
        pod can make up some.
        """
        if self.book.is_refused(token):
            return False
        trust = self.verifier.check(token, now=self._clock.wall()).trust
        if trust is not Trust.UNJUDGED:
            return trust not in (Trust.FORGED, Trust.EXPIRED)
        return any(self.book.told(self.book.identity_of(token)))

    def owner_of(self, token: bytes) -> str:
        """Return whose a token is, "" where nobody but its bearer says so."""
        if not self.may_be_taken(token):
            return ""
        checked = self.verifier.check(token, now=self._clock.wall())
        return self.identity_of(token, checked)

    def _is_listed(self, user: str, question: Question) -> bool:
        if not self.settings.allowed or question.verb not in READS:
            return False
        named = ".".join(filter(None, (question.resource, question.group)))
        return bool(self.settings.allowed & {(user, named), (user, "*")})

    def _remembered(
        self, identity: str, question: Question, window: Window, *, user: str
    ) -> Judgement:
        verdict = self.book.find(identity, question, window=window)
        if verdict is None:
            return Judgement(Verdict.UNKNOWN, user, NEVER_ASKED)
        if verdict.allowed:
            return Judgement(Verdict.ALLOWED, user, "allowed online")
        return Judgement(Verdict.FORBIDDEN, user, "refused online")

    def window(self, now: float) -> Window:
        """Return the times at which a token's owner must have been heard to count."""
        return (now - self.settings.lapse, now + self.settings.leeway)

    def identity_of(self, token: bytes, checked: Checked) -> str:
        """Return whose rights a token's are: its owner's, or its own where unjudged."""
        if checked.trust is Trust.VALID:
            return checked.identity
        return self.book.identity_of(token)

    def heard_lately(self, caller: Caller, call: Call, seconds: float) -> bool:
        """Say whether the API server itself has lately told a token's owner yes.

        For who may share an answer online: what is remembered for a cut is too old.
        """
        if caller.impersonates or not caller.token:
            return False
        now = self._clock.wall()
        checked = self.verifier.check(caller.token, now=now)
        if checked.trust not in (Trust.VALID, Trust.UNJUDGED):
            return False
        if self.book.is_refused(caller.token):
            return False
        window = (now - seconds, now + self.settings.leeway)
        identity = self.identity_of(caller.token, checked)
        found = self.book.find(identity, question_of(call), window=window)
        return found is not None and found.allowed

    # -- learning ------------------------------------------------------------------

    def learn(self, caller: Caller, call: Call, code: int, *, node: bool) -> None:
        """Take in what the API server answered to this very credential.

        Only 2xx, 304, 401 and 403 say anything of rights, and of reads alone: a write's 403
        may be an admission's.
        """
        if caller.impersonates:
            return
        if node:
            if says_something(call, code):
                self._put(NODE, call, code)
            return
        if not caller.token:
            return
        if code == 401:
            self._refuse(caller.token)
            return
        if not says_something(call, code):
            return
        self.book.accept(caller.token)
        checked = self.verifier.check(caller.token, now=self._clock.wall())
        identity = self.identity_of(caller.token, checked)
        if checked.trust is Trust.VALID:
            self.book.move(self.book.identity_of(caller.token), identity)
        self._put(identity, call, code)
        if (
            code != 403
            and call.resource
            and self._keeps(call)
            and keeps_for_token(call)
        ):
            self.book.feed(call.group, call.resource)
        if self.learned is not None:
            self.learned(caller, question_of(call), checked)

    def _put(self, identity: str, call: Call, code: int) -> None:
        self.book.put(
            identity,
            question_of(call),
            allowed=code != 403,
            at=self._clock.wall(),
            lasts=identity == NODE,
        )

    def _refuse(self, token: bytes) -> None:
        """A 401: this token is worth nothing any more; its owner may have another.

        What fails by itself need not be remembered, and what is not valid yet may
        be some day.
        """
        now = self._clock.wall()
        trust = self.verifier.check(token, now=now).trust
        if trust in (Trust.VALID, Trust.UNJUDGED):
            self.book.refuse(token, at=now, genuine=trust is Trust.VALID)
        self.book.forget(self.book.identity_of(token))

    # -- the node --------------------------------------------------------------------

    def knows_node(self, caller: Caller) -> bool | None:
        """Say whether `caller` is the node, None where that is still to be looked up."""
        if caller.token or caller.impersonates:
            return False
        return self.nodes.get(caller.connection)

    async def is_node(self, caller: Caller) -> bool:
        """Say whether `caller` is the node itself; any doubt is a no.

        Looked up once a connection: a socket that is handed to another process
        keeps the word of the one that opened it, as a file would.
        """
        known = self.knows_node(caller)
        if known is not None:
            return known
        verdict = False
        if caller.certificate:
            name = self.settings.node_name
            verdict = await asyncio.to_thread(is_of_node, caller.certificate, name)
        elif is_loopback(caller.remote[0]) and is_loopback(caller.local[0]):
            loop = asyncio.get_running_loop()
            verdict = await loop.run_in_executor(self._askers, self._look_up, caller)
        self.nodes[caller.connection] = verdict
        if len(self.nodes) > MAX_CONNECTIONS:
            self.nodes.popitem(last=False)
        return verdict

    def _look_up(self, caller: Caller) -> bool:
        try:
            uids = self.settings.node_uids
            owner = self._owner(caller.remote, caller.local, uids)
        except (OSError, ValueError) as exc:
            log.info("a caller could not be identified", extra={"err": str(exc)})
            return False
        return not self.why_not_node(owner)

    def why_not_node(self, owner: Owner) -> str:
        """Say what keeps the owner of a loopback socket from being the node."""
        if owner.uid not in self.settings.node_uids:
            return f"user {owner.uid} is none of --node-uids"
        pods = sorted(filter(is_of_pod, owner.cgroups))
        if pods:
            return f"it runs in a pod ({pods[0]})"
        # Seen from a control group namespace of the hub's own, a path above it begins
        # with /.., and a pod beside it may lack the word (cgroup_namespaces(7)).
        hidden = sorted(one for one in owner.cgroups if ".." in one.split("/"))
        return f"its control group is hidden ({hidden[0]})" if hidden else ""


def question_of(call: Call) -> Question:
    """Return what an authorizer is asked for a call.

    As RequestInfo: a selector that pins a name makes it a question of that name. What
    is no resource (discovery, the version) is asked for by its path.
    """
    if not call.resource:
        return Question(call.verb, "", "", "", "", call.path)
    name = call.name or call.pinned_name
    labels, fields = call.label_selector, call.field_selector
    if call.pinned_name and fields == f"metadata.name={name}":
        fields = ""  # the name says it all
    return Question(
        call.verb,
        call.group,
        call.resource,
        call.subresource,
        call.namespace,
        name,
        f"{labels}&{fields}" if labels and fields else labels or fields,
    )


def says_something(call: Call, code: int) -> bool:
    """Say whether an answer tells of the right to read: 304 does, as 200."""
    return call.verb in READS and (200 <= code < 300 or code in (304, 403))


def keeps_for_token(call: Call) -> bool:
    """Say whether the answer to a token's owner may be kept, for who has the right."""
    return call.component != OWN_COMPONENT and not call.caller.impersonates


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
