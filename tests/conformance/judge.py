# SPDX-License-Identifier: Apache-2.0
"""Compares an answer with the recorded one: status, headers, bytes."""

from tests.conformance.exchanges import Answer, Exchange
from tests.conformance.legible import legible
from tests.conformance.rules import READ_BY_CLIENTS, normalised, plain_bookmarks, told

AROUND = 160
"""Bytes shown on each side of the first difference."""


def differences(exchange: Exchange, live: Answer) -> list[str]:
    """Say what differs, one line each; nothing where the answers agree."""
    recorded = exchange.answer
    found = []
    if live.status != recorded.status:
        found.append(f"status: recorded {recorded.status}, now {live.status}")
    for name in READ_BY_CLIENTS:
        theirs = told(exchange, name, recorded.fields.get(name))
        ours = told(exchange, name, live.fields.get(name))
        if theirs != ours:
            found.append(f"{name}: recorded {theirs!r}, now {ours!r}")
    theirs, ours = (
        normalised(exchange, legible(recorded)),
        normalised(exchange, legible(live)),
    )
    if recorded.body != live.body and theirs != ours:
        found.append(_where(theirs, ours))
    if exchange.is_watch:
        marks, now = plain_bookmarks(recorded.body), plain_bookmarks(live.body)
        if marks and now and marks != now:
            found.append(f"bookmarks: recorded {marks}, now {now}")
    return found


def _where(theirs: bytes, ours: bytes) -> str:
    pairs = zip(theirs, ours, strict=False)
    same = next(
        (place for place, (a, b) in enumerate(pairs) if a != b),
        min(len(theirs), len(ours)),
    )
    around = slice(max(0, same - AROUND), same + AROUND)
    return f"body at {same}:\n recorded {theirs[around]!r}\n now      {ours[around]!r}"
