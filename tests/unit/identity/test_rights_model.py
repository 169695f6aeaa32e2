# SPDX-License-Identifier: Apache-2.0
"""Random clusters whose rights change: cut off nobody may what was never allowed.

Against a model that keeps every word of the API server and forgets none: an answer
needs a time, within the lapse, at which this very question would have been allowed,
and no later word that it is not.
"""

import asyncio
import itertools
import os
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from toono.identity.book import Book
from toono.identity.rights import Rights, RightsSettings, Verdict
from toono.identity.rows import Question
from toono.identity.tokens import read_key_set
from toono.store.memory import MemoryStore
from toono.testing.apiserver.tokens import TokenKeys
from toono.testing.clock import VirtualClock

NOW = 1_800_000_000.0
LAPSE = 1000.0
CASES = 60 * int(os.environ.get("TOONO_PROVE", "1"))
KEYS = TokenKeys(algorithm="ES256")
KEY_SET = read_key_set(KEYS.issuer, KEYS.jwks())
OWNERS = ("web", "web", "reader")
TOKENS = {
    owner: KEYS.mint("shop", owner, now=NOW, seconds=10**7).encode() for owner in OWNERS
}

PLACES = [("", ""), ("a", ""), ("a", "x"), ("a", "y"), ("b", "")]
EVERY = [
    Question("list", "", "pods", "", *place, selector)
    for place, selector in itertools.product(PLACES, ("", "s=t"))
]
questions = st.sampled_from(EVERY)
rules = st.sampled_from(
    [set(), {EVERY[0]}, {EVERY[1]}, {EVERY[2]}, {EVERY[3], EVERY[4]}, {EVERY[8]}]
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("rules"), st.sampled_from(OWNERS), rules),
        st.tuples(st.just("ask"), st.sampled_from(OWNERS), questions),
        st.tuples(st.just("ask"), st.sampled_from(OWNERS), questions),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([1, 500, 1001])),
        st.tuples(st.just("restart"), st.just(""), st.none()),
    ),
    min_size=8,
    max_size=30,
)


def covers(rule: Question, asked: Question) -> bool:
    """Whether an authorizer with this rule allows what is asked."""
    return all(
        mine in ("", yours)
        for mine, yours in (
            (rule.namespace, asked.namespace),
            (rule.name, asked.name),
            (rule.selector, asked.selector),
        )
    )


@dataclass
class Model:
    """What the cluster says, and all it ever said to anybody."""

    rules: dict[str, set[Question]] = field(
        default_factory=lambda: {owner: set() for owner in OWNERS}
    )
    heard: list[tuple[float, str, Question, bool]] = field(default_factory=list)

    def allows(self, owner: str, asked: Question) -> bool:
        return any(covers(rule, asked) for rule in self.rules[owner])

    def may_be_answered(self, owner: str, asked: Question, now: float) -> bool:
        """Whether some word within the lapse allows it, and none after it refuses."""
        allowed = False
        for at, who, question, verdict in self.heard:
            if who != owner:
                continue
            if verdict and covers(question, asked) and at >= now - LAPSE:
                allowed = True
            elif not verdict and covers(asked, question):
                allowed = False  # a part that is refused disproves the whole
        return allowed


@settings(max_examples=CASES, deadline=None)
@given(steps)
def test_cut_off_nobody_may_what_was_not_allowed(story) -> None:
    asyncio.run(play(story))


async def play(story) -> None:
    clock, store, model = VirtualClock(NOW), MemoryStore(), Model()
    rights = await opened(store, clock)
    for what, owner, value in story:
        if what == "rules":
            model.rules[owner] = value
        elif what == "wait":
            await clock.advance(value)
        elif what == "restart":
            rights = await opened(store, clock)
        else:
            allowed = model.allows(owner, value)
            now = clock.wall()
            model.heard.append((now, owner, value, allowed))
            checked = rights.verifier.check(TOKENS[owner], now=now)
            rights.book.put(checked.identity, value, allowed=allowed, at=now)
    for owner, question in itertools.product(TOKENS, EVERY):
        verdict = rights.judge_token(TOKENS[owner], question).verdict
        if verdict is Verdict.ALLOWED:
            assert model.may_be_answered(owner, question, clock.wall())
    # Not vacuous: what was just allowed is answered.
    for at, owner, question, allowed in model.heard[-1:]:
        if at == clock.wall():
            expected = Verdict.ALLOWED if allowed else Verdict.FORBIDDEN
            assert rights.judge_token(TOKENS[owner], question).verdict is expected


async def opened(store: MemoryStore, clock: VirtualClock) -> Rights:
    rights = Rights(Book(store), clock=clock, settings=RightsSettings(lapse=LAPSE))
    await rights.open()
    rights.verifier.use(KEY_SET)
    return rights
