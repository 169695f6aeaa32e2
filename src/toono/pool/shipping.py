# SPDX-License-Identifier: Apache-2.0
"""From a scope of the hub's cache to what the pool must be told of it.

What was told last is kept as names and versions, so that a change among ten thousand
objects costs a look at their versions and the bytes of that one. Pure but for the
reading of bytes; who takes a parcel, and whether that succeeded, is the caller's.
"""

from collections.abc import Sequence
from typing import NamedTuple

from toono.cache.scope import RowKey, Scope
from toono.cache.scopes import Scopes
from toono.codec.base import Object
from toono.errors import CodecError, DamagedRowError
from toono.pool.shared import Form


class Parcel(NamedTuple):
    """What changed in a scope since the last parcel, or all of it."""

    whole: bool
    form: Form
    objects: Sequence[Object]
    gone: Sequence[RowKey]
    version: int
    names: dict[RowKey, str]
    """What the scope held: name → resourceVersion."""


class Shipping:
    """What was told of one scope, and what is to be told next."""

    def __init__(self) -> None:
        self.anew()

    def anew(self) -> None:
        """Forget what was told: the next parcel holds all."""
        self._told: dict[RowKey, str] | None = None
        self._place: tuple[int, int] = (0, 0)
        self.version = 0

    def is_due(self, scope: Scope) -> bool:
        """Say whether there is anything to tell."""
        return (
            self._told is None
            or self._place != (scope.id, scope.epoch)
            or scope.version > self.version
        )

    async def pack(self, scopes: Scopes, scope: Scope) -> Parcel | None:
        """Return the next parcel; None where a row's bytes cannot be had just now."""
        rows, version = dict(scope.rows), scope.version
        names = {key: row.resource_version for key, row in rows.items()}
        told = self._told if self._place == (scope.id, scope.epoch) else None
        wanted = [key for key in names if told is None or told.get(key) != names[key]]
        gone = [key for key in told or () if key not in names]
        try:
            found = await scopes.contents(scope, {key: rows[key] for key in wanted})
        except (DamagedRowError, CodecError):
            return None
        objects = [
            Object(*key, rows[key].uid, names[key], False, found[key]) for key in wanted
        ]
        form = Form(
            scope.question.media_type, scope.kind, scope.api_version, scope.style
        )
        return Parcel(told is None, form, objects, gone, version, names)

    def taken(self, scope: Scope, parcel: Parcel) -> None:
        """Note that a parcel arrived."""
        self._told, self.version = parcel.names, parcel.version
        self._place = (scope.id, scope.epoch)
