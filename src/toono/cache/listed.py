# SPDX-License-Identifier: Apache-2.0
"""Lists taken apart and taken in: what every recording of one needs.

A large body is read in a thread. Which lists are believed is not decided here.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from toono.cache import forms
from toono.cache.coding import unpacked
from toono.cache.forms import Columns
from toono.cache.received import compacted
from toono.cache.scope import Question, Reading, Scope
from toono.codec.base import Codec, ListParts, Object

MAX_CHAINS = 8
THREAD_BYTES = 256 * 1024
"""A body above this is read in a thread: 256 KiB take about 2 ms."""


@dataclass(slots=True)
class Chain:
    """The pages of one list so far; only the whole chain is a list."""

    version: str
    reading: Reading
    items: list[Object]
    size: int


class Chains:
    """Pages that wait for the request that continues them; the oldest go first."""

    def __init__(self) -> None:
        self._chains: OrderedDict[tuple[Question, str], Chain] = OrderedDict()

    def find(self, question: Question, token: str) -> Chain | None:
        """Return the pages that `token` continues."""
        return self._chains.get((question, token))

    def take(self, question: Question, token: str) -> Chain | None:
        """Return them, and forget them."""
        return self._chains.pop((question, token), None)

    def put(self, question: Question, token: str, chain: Chain) -> None:
        """Keep pages."""
        self._chains[question, token] = chain
        while len(self._chains) > MAX_CHAINS:
            self._chains.popitem(last=False)


async def read_list(
    codec: Codec, body: bytes, fields: Mapping[bytes, bytes], *, objects: bool
) -> tuple[ListParts, Columns | None]:
    """Unpack and split a list, `objects` as in `forms`; a large one in a thread."""

    def read() -> tuple[ListParts, Columns | None]:
        text = compacted(unpacked(body, fields))
        return forms.read_list(codec, text, objects=objects)

    large = len(body) > THREAD_BYTES or b"content-encoding" in fields
    return await asyncio.to_thread(read) if large else read()


def expected_of(scope: Scope | None) -> list[Object]:
    """Return what the next answer to a scope's question most likely holds again.

    Whether an object is going was not kept: of each it is said, for that is the worst.
    """
    if scope is None:
        return []
    return [
        Object(*key, row.uid, row.resource_version, True, row.data)
        for key, row in scope.rows.items()
        if row.data is not None
    ]


def note_columns(scope: Scope, columns: Columns | None) -> None:
    if columns is not None:
        scope.columns, scope.no_rows = columns
