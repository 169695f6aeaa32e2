# SPDX-License-Identifier: Apache-2.0
"""Which objects' bytes stay in memory: a map bounded in bytes, kubelet's last to go."""

from collections import OrderedDict

from toono.cache.scope import Row, RowKey

HOT_BYTES = 16 * 1024 * 1024
"""Enough for the pods, secrets and config maps of a node with 110 pods many times."""

Spot = tuple[int, RowKey]
"""(scope id, row key)"""


class Hot:
    """Rows whose bytes are in memory, least recently used first to lose them.

    Only rows that a store holds may be kept here: eviction forgets their bytes.
    """

    __slots__ = ("_first", "_last", "_limit", "size")

    def __init__(self, limit: int = HOT_BYTES) -> None:
        self._limit = limit
        self._first: OrderedDict[Spot, Row] = OrderedDict()
        self._last: OrderedDict[Spot, Row] = OrderedDict()
        self.size = 0

    def keep(self, spot: Spot, row: Row, *, protected: bool) -> None:
        """Account for `row`, which has its bytes; `protected` rows go last."""
        rows = self._last if protected else self._first
        old = rows.pop(spot, None)
        if old is not None:
            self.size -= old.size
        rows[spot] = row
        self.size += row.size
        while self.size > self._limit:
            victims = self._first or self._last
            _, victim = victims.popitem(last=False)
            victim.data = None
            self.size -= victim.size

    def touch(self, spot: Spot) -> None:
        """Note that a row's bytes were used."""
        for rows in (self._last, self._first):
            if spot in rows:
                rows.move_to_end(spot)
                return

    def drop(self, spot: Spot) -> None:
        """Forget a row that is gone."""
        for rows in (self._last, self._first):
            row = rows.pop(spot, None)
            if row is not None:
                self.size -= row.size
                return
