# SPDX-License-Identifier: Apache-2.0
"""What a caller may read while the node is cut off, and why: for people.

Every row is decided by `Rights` itself, by the rules that decide requests; nothing is
decided here, and what is looked at is a copy: looking teaches a hub nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from toono.identity import rows
from toono.identity.book import Book
from toono.identity.rights import READS, Rights, RightsSettings, Verdict
from toono.identity.rows import NODE, Question
from toono.identity.tokens import Trust
from toono.runtime.clock import Clock
from toono.store.inspect import read_rows
from toono.store.memory import MemoryStore

ALL = "*"
LAPSED = "not heard lately: the right has lapsed"
THE_NODE = "the node: all else that is kept, and for good"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One line: what is asked, the code that answers it cut off, and why."""

    verbs: tuple[str, ...]
    resource: str
    """pods, pods/log, widgets.example.org; * is every one; else a path."""
    namespace: str
    name: str
    selector: str
    answer: int
    why: str
    heard_at: float | None = None
    lapses_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One caller."""

    user: str
    answer: int
    """What it hears whatever it asks; 200 where the rights decide."""
    why: str
    token: str = ""
    """What its token is worth."""
    pod: str = ""
    ends_at: float | None = None
    rights: tuple[Right, ...] = ()


def kept_rights(database: Path, *, settings: RightsSettings, clock: Clock) -> Rights:
    """Return the rights that a hub's database holds; StoreUnavailableError for none."""
    book = Book(MemoryStore())
    book.take_in(read_rows(database, rows.PREFIX))
    rights = Rights(book, clock=clock, settings=settings)
    rights.believe_kept_keys()
    return rights


def explain_token(rights: Rights, token: bytes, *, now: float) -> Explained:
    """Say what the owner of a token may read."""
    checked = rights.verifier.check(token, now=now)
    overall = rights.judge_token(token, Question("get", "", ""))
    refused = overall.verdict is Verdict.UNAUTHENTICATED
    early = checked.trust is Trust.EARLY
    rest = Explained(
        user=checked.user,
        answer=overall.verdict.value if refused or early else 200,
        why=overall.why if refused or early else checked.why,
        token=checked.trust.value,
        pod=checked.pod,
        ends_at=checked.expires_at or None,
    )
    if refused or early:
        return rest
    identity = rights.identity_of(token, checked)
    found = [*_listed(rights, checked.user if checked.trust is Trust.VALID else "")]
    first, last = rights.window(now)
    for question, verdict in rights.book.told(identity):
        judged = rights.judge_token(token, question)
        current = first <= verdict.at <= last
        found.append(
            _right(
                question,
                answer=judged.verdict.value,
                why=judged.why
                if current or judged.verdict is Verdict.ALLOWED
                else LAPSED,
                heard_at=verdict.at,
                lapses_at=verdict.at + rights.settings.lapse if current else None,
            )
        )
    return _with(rest, found)


def explain_node(rights: Rights) -> Explained:
    """Say what the node may read: all that is kept but what a token's owner fed."""
    fed = {(row.group, row.resource) for row in rights.book.fed()}
    found = [
        _right(
            question,
            answer=200 if verdict.allowed else 403,
            why="allowed online" if verdict.allowed else "refused online",
            heard_at=verdict.at,
        )
        for question, verdict in rights.book.told(NODE)
        if (question.group, question.resource) in fed
    ]
    found.append(_right(Question(ALL, "", ALL), answer=200, why=THE_NODE))
    return _with(Explained(user=NODE, answer=200, why=""), found)


def explain_nobody(why: str) -> Explained:
    """Say what becomes of a caller that is not the node and has no token."""
    return Explained(user="nobody", answer=503, why=why)


def _listed(rights: Rights, user: str) -> Iterator[Right]:
    for who, resource in sorted(rights.settings.allowed):
        if user and who == user:
            yield Right(
                verbs=tuple(sorted(READS)),
                resource=resource,
                namespace=ALL,
                name=ALL,
                selector="",
                answer=200,
                why="the operator's list",
            )


def _right(
    question: Question,
    *,
    answer: int,
    why: str,
    heard_at: float | None = None,
    lapses_at: float | None = None,
) -> Right:
    resource = ".".join(filter(None, (question.resource, question.group)))
    if question.subresource:
        resource = f"{resource}/{question.subresource}"
    return Right(
        verbs=(question.verb,),
        resource=resource or question.name,
        namespace=question.namespace or ALL if question.resource else "",
        name=question.name or ALL if question.resource else "",
        selector=question.selector,
        answer=answer,
        why=why,
        heard_at=heard_at,
        lapses_at=lapses_at,
    )


def _with(one: Explained, found: Iterable[Right]) -> Explained:
    """Add rights, those that differ in the verb alone as one, heard at the earliest."""
    groups: dict[tuple[object, ...], list[Right]] = {}
    for right in found:
        asked = (right.resource, right.namespace, right.name, right.selector)
        key = (*asked, right.answer, right.why)
        groups.setdefault(key, []).append(right)
    joined = [
        replace(
            same[0],
            verbs=tuple(sorted({verb for right in same for verb in right.verbs})),
            heard_at=_earliest(right.heard_at for right in same),
            lapses_at=_earliest(right.lapses_at for right in same),
        )
        for _, same in sorted(groups.items(), key=lambda item: str(item[0]))
    ]
    return replace(one, rights=tuple(joined))


def _earliest(moments: Iterable[float | None]) -> float | None:
    return min((one for one in moments if one is not None), default=None)
