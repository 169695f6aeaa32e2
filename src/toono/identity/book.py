# SPDX-License-Identifier: Apache-2.0
"""What each identity was told online, in memory and durable: the book of verdicts.

It keeps answers and finds the one that decides. Who an identity is, how long a verdict
holds and what follows from it is `rights`' to say.
"""

import asyncio
import hashlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from toono.errors import CodecError, StoreFullError
from toono.identity import rows
from toono.identity.rows import FedRow, KeySetRow, Question, RefusedRow, VerdictRow
from toono.store.base import Batch, Scan, Store

log = logging.getLogger(__name__)

MAX_IDENTITIES = 512
MAX_VERDICTS = 512
"""An identity; the oldest go. A pod that asks for many names pays with its own."""
MAX_LASTING = 8192
"""The node's own: a kubelet asks for each pod, secret and config map by its name."""
MAX_REFUSED = 1024
"""Of the cluster's own tokens, and as many others: who makes some up pushes out none."""
MAX_FED = 1024
REFRESH_SECONDS = 600.0
"""A verdict heard again is written again only after this."""


class Verdict(NamedTuple):
    """One remembered answer."""

    allowed: bool
    at: float


Verdicts = OrderedDict[Question, Verdict]
Window = tuple[float, float]
ALWAYS = (float("-inf"), float("inf"))


class Book:
    """Verdicts by identity and question; `open` reads what the last life knew."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._salt = b""
        self._by_identity: OrderedDict[str, Verdicts] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._strange: OrderedDict[bytes, None] = OrderedDict()
        self._fed: set[FedRow] = set()
        self._fed_unknown = False
        self.key_set: KeySetRow | None = None
        self.lost_rows = 0
        self.refusals = 0
        """Grows with each that was not remembered before, whoever was refused what."""

    async def open(self) -> None:
        """Read all rows; what is damaged is forgotten: its owner hears 503."""
        self.take_in(await self._store.scan(rows.PREFIX))
        if self.lost_rows:
            log.warning(
                "remembered rights are lost: their owners are asked to come online",
                extra={"rows": self.lost_rows},
            )
        if not self._salt:
            self._salt = secrets.token_bytes(32)
            self._write(puts=[(rows.SALT, self._salt)])

    def take_in(self, scan: Scan) -> None:
        """Know what these rows say; for who looks, without a store of its own."""
        self.lost_rows = len(scan.damaged)
        verdicts = []
        for key, value in scan.rows:
            try:
                if key.startswith(rows.VERDICT_PREFIX):
                    verdicts.append(rows.decode(VerdictRow, value))
                else:
                    self._take(key, value)
            except CodecError:
                self.lost_rows += 1
        for row in sorted(verdicts, key=_moment):
            assert isinstance(row, VerdictRow)
            self._of(row.identity)[row.question] = Verdict(row.allowed, row.at)
        for key in scan.damaged:
            self._doubt(key)

    def _doubt(self, key: bytes) -> None:
        """Take a damaged row for what gives nobody a right."""
        if key.startswith(rows.FED_PREFIX):
            self._fed_unknown = True
        elif key.startswith(rows.REFUSED_PREFIX):
            self._refused[key.removeprefix(rows.REFUSED_PREFIX)] = 0.0
        elif key == rows.SALT and self._refused:
            # Whose tokens were refused cannot be told any more: every token's owner
            # is asked to come online.
            for identity in list(self._by_identity):
                if identity != rows.NODE:
                    self.forget(identity)

    def _take(self, key: bytes, value: bytes) -> None:
        if key == rows.SALT:
            self._salt = value
        elif key == rows.KEY_SET:
            row = rows.decode(KeySetRow, value)
            self.key_set = row if isinstance(row, KeySetRow) else None
        elif key.startswith(rows.REFUSED_PREFIX):
            refused = rows.decode(RefusedRow, value)
            assert isinstance(refused, RefusedRow)
            self._refused[key.removeprefix(rows.REFUSED_PREFIX)] = refused.at
        elif key.startswith(rows.FED_PREFIX):
            fed = rows.decode(FedRow, value)
            assert isinstance(fed, FedRow)
            self._fed.add(fed)

    # -- identities of tokens that nobody here can judge ---------------------------

    def identity_of(self, token: bytes) -> str:
        """Return the identity of a token by itself: a keyed hash, never the token."""
        digest = hashlib.blake2b(token, key=self._salt, digest_size=16)
        return "token/" + digest.hexdigest()

    # -- verdicts --------------------------------------------------------------------

    def find(
        self, identity: str, question: Question, *, window: Window = ALWAYS
    ) -> Verdict | None:
        """Return the verdict that decides: the exact one, else what allows all of it.

        Only what was heard within `window` counts.

        A refusal decides its own question alone; a right to all names, or to all
        namespaces, is one to each (an authorizer is asked the same, with less said).
        """
        known = self._by_identity.get(identity)
        if known is None:
            return None
        first, last = window
        exact = known.get(question)
        if exact is not None and first <= exact.at <= last:
            return exact
        for wider in _wider(question):
            verdict = known.get(wider)
            if verdict is None or not verdict.allowed:
                continue
            if first <= verdict.at <= last:
                return verdict
        return None

    def put(
        self,
        identity: str,
        question: Question,
        *,
        allowed: bool,
        at: float,
        lasts: bool = False,
    ) -> None:
        """Remember an answer; a refusal ends every wider right that it disproves.

        What `lasts` does not lapse, and is written again only when it changes.
        """
        known = self._of(identity)
        old = known.get(question)
        disproved = [] if allowed else _allowed_in(known, _wider(question))
        said = old is not None and old.allowed is allowed and not disproved
        if said and old is not None and (lasts or 0 <= at - old.at < REFRESH_SECONDS):
            known.move_to_end(question)  # what is asked often is not the oldest
            return
        if not allowed:
            self.refusals += 1
        for wider in disproved:
            del known[wider]
        deletes = [rows.verdict_key(identity, wider) for wider in disproved]
        known[question] = Verdict(allowed, at)
        known.move_to_end(question)
        if len(known) > (MAX_LASTING if lasts else MAX_VERDICTS):
            oldest, _ = known.popitem(last=False)
            deletes.append(rows.verdict_key(identity, oldest))
        key = rows.verdict_key(identity, question)
        value = rows.encode(VerdictRow(identity, question, allowed, at))
        self._write(puts=[(key, value)], deletes=deletes)

    def move(self, old: str, new: str) -> None:
        """Give what was learned under a token's hash to the owner it turned out to be."""
        known = self._by_identity.pop(old, None)
        if known is None:
            return
        self._write(deletes=[rows.verdict_key(old, one) for one in known])
        there = dict(self._by_identity.get(new, Verdicts()))
        disproved = _disproved(there)
        for question, verdict in sorted(known.items(), key=lambda item: item[1].at):
            newer = there.get(question)
            if newer is not None and newer.at > verdict.at:
                continue
            if verdict.allowed and disproved.get(question, -1.0) >= verdict.at:
                continue
            self.put(new, question, allowed=verdict.allowed, at=verdict.at)

    def forget(self, identity: str) -> None:
        """Forget all that an identity was told."""
        self.refusals += 1
        known = self._by_identity.pop(identity, None)
        if known is not None:
            self._write(deletes=[rows.verdict_key(identity, one) for one in known])

    @property
    def identities(self) -> int:
        """How many identities were told something."""
        return len(self._by_identity)

    def told(self, identity: str) -> Iterator[tuple[Question, Verdict]]:
        """Yield all that an identity was told."""
        yield from self._by_identity.get(identity, Verdicts()).items()

    def _of(self, identity: str) -> Verdicts:
        known = self._by_identity.get(identity)
        if known is None:
            known = self._by_identity[identity] = Verdicts()
            if len(self._by_identity) > MAX_IDENTITIES:
                # Never the node: what it was told is the oldest after a restart.
                old = (one for one in self._by_identity if one != rows.NODE)
                self.forget(next(old))
        else:
            self._by_identity.move_to_end(identity)
        return known

    # -- tokens that are refused -----------------------------------------------------

    def refuse(self, token: bytes, *, at: float, genuine: bool) -> None:
        """Remember that the API server takes a token no longer.

        A genuine one is written down, by what is signed: a signature has more than one
        spelling. Of any other only these very bytes are refused, or anybody could
        have somebody's token refused by sending its claims with a signature made up.
        """
        self.refusals += 1
        if not genuine:
            self._strange[self._mark(token)] = None
            if len(self._strange) > MAX_REFUSED:
                self._strange.popitem(last=False)
            return
        mark = self._mark(_signed(token))
        self._refused[mark] = at
        self._write(puts=[(rows.REFUSED_PREFIX + mark, rows.encode(RefusedRow(at)))])
        if len(self._refused) > MAX_REFUSED:
            oldest, _ = self._refused.popitem(last=False)
            self._write(deletes=[rows.REFUSED_PREFIX + oldest])

    def accept(self, token: bytes) -> None:
        """Forget a refusal: the API server takes the token again."""
        if not self.is_refused(token):
            return
        mark = self._mark(_signed(token))
        self._strange.pop(self._mark(token), None)
        if self._refused.pop(mark, None) is not None:
            self._write(deletes=[rows.REFUSED_PREFIX + mark])

    def is_refused(self, token: bytes) -> bool:
        """Say whether the API server has refused this token."""
        if self._strange and self._mark(token) in self._strange:
            return True
        return bool(self._refused) and self._mark(_signed(token)) in self._refused

    def _mark(self, what: bytes) -> bytes:
        return hashlib.blake2b(what, key=self._salt, digest_size=16).digest()

    # -- resources that token owners feed ----------------------------------------------

    def feed(self, group: str, resource: str) -> None:
        """Remember that something is kept which a token's owner was told."""
        row = FedRow(group, resource)
        if row not in self._fed and len(self._fed) < MAX_FED:
            self._fed.add(row)
            self._write(puts=[(rows.fed_key(row), rows.encode(row))])

    def is_fed(self, group: str, resource: str) -> bool:
        """Say whether what is kept of a resource may be somebody's with a token."""
        if self._fed_unknown or len(self._fed) >= MAX_FED:
            return True
        return FedRow(group, resource) in self._fed

    def fed(self) -> list[FedRow]:
        """Return the resources of which something may be somebody's with a token."""
        return sorted(self._fed, key=lambda row: (row.group, row.resource))

    # -- the key set -------------------------------------------------------------------

    def keep_key_set(self, row: KeySetRow) -> None:
        """Keep the cluster's key set."""
        self.key_set = row
        self._write(puts=[(rows.KEY_SET, rows.encode(row))])

    def _write(
        self,
        *,
        puts: list[tuple[bytes, bytes]] | None = None,
        deletes: list[bytes] | None = None,
    ) -> None:
        try:
            kept = self._store.apply(Batch(puts=puts or (), deletes=deletes or ()))
        except StoreFullError:
            log.warning("a right could not be written down: the disk does not keep up")
            return
        kept.add_done_callback(_seen)


def _seen(kept: asyncio.Future[None]) -> None:
    if not kept.cancelled():
        kept.exception()  # the store has told; memory is right until it ends


def _signed(token: bytes) -> bytes:
    return token.rpartition(b".")[0] or token


def _allowed_in(known: Verdicts, questions: Iterator[Question]) -> list[Question]:
    return [one for one in questions if one in known and known[one].allowed]


def _disproved(known: Mapping[Question, Verdict]) -> dict[Question, float]:
    """Return until when no right to these questions was one, by what was refused."""
    found: dict[Question, float] = {}
    for question, verdict in known.items():
        for wider in () if verdict.allowed else _wider(question):
            found[wider] = max(verdict.at, found.get(wider, verdict.at))
    return found


def _moment(row: rows.Row) -> float:
    return row.at if isinstance(row, VerdictRow) else 0.0


def _wider(question: Question) -> Iterator[Question]:
    """Yield the questions that contain this one, the narrowest first."""
    kept = [question._replace(name="")] if question.name else []
    if question.namespace:
        kept.append(question._replace(name="", namespace=""))
    yield from kept
    if question.selector:
        for one in (question, *kept):
            yield one._replace(selector="")
