# SPDX-License-Identifier: Apache-2.0
"""What a pool shares beyond its options, as the hub's ConfigMap says while it runs.

`pool_scope_resources` is YurtHub v1.5's: a JSON array of group, version and resource.
A value that cannot be used changes nothing and is shown; what was last good survives
a restart, so that a hub that starts cut off still takes all of its pool.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from toono.errors import StoreError
from toono.kube.names import is_path_segment
from toono.store.base import Batch, Store

log = logging.getLogger(__name__)

KEY = "pool_scope_resources"
MAX_RESOURCES = 64
ROW_KEY = b"cpool"

Resource = tuple[str, str, str]
"""(group, version, resource)."""


class _Named(msgspec.Struct):
    group: str
    version: str
    resource: str


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


_configmap = msgspec.json.Decoder(_ConfigMap).decode
_named = msgspec.json.Decoder(list[_Named]).decode
_row = msgspec.msgpack.Decoder(dict[str, list[Resource]]).decode


def parse_resources(text: str) -> frozenset[Resource] | str:
    """Return what a value names, or why it cannot be used; one bad name is all bad."""
    if not text.strip():
        return frozenset()
    try:
        named = _named(text)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        return f"is no JSON array of group, version and resource: {exc}"
    if len(named) > MAX_RESOURCES:
        return f"names more than {MAX_RESOURCES}"
    for one in named:
        parts = (*filter(None, (one.group,)), one.version, one.resource)
        if not all(map(is_path_segment, parts)) or one.resource.lower() != one.resource:
            return f"names {one.resource!r}, which is no resource"
    return frozenset((one.group, one.version, one.resource) for one in named)


class LiveResources:
    """What the ConfigMaps name; calls `changed` with all of it at each change."""

    def __init__(
        self, store: Store, *, changed: Callable[[Sequence[Resource]], None]
    ) -> None:
        self._store = store
        self._changed = changed
        self._live: dict[str, frozenset[Resource]] = {}
        self.problem = ""
        """Why the newest value is not used; empty while it is."""

    async def open(self) -> None:
        """Take up what was last good before the hub stopped."""
        try:
            content = await self._store.get(ROW_KEY)
            row = _row(content) if content is not None else {}
        except (StoreError, msgspec.MsgspecError) as exc:
            log.warning("what the pool shares is read anew", extra={"err": str(exc)})
            return
        self._live = {source: frozenset(named) for source, named in row.items()}
        if self._live:
            self._changed(self._all())

    def take(self, source: str, objects: Mapping[str, bytes]) -> None:
        """Take all ConfigMaps of one source, as JSON by name."""
        live: frozenset[Resource] = frozenset()
        for name, content in objects.items():
            try:
                text = (_configmap(content).data or {}).get(KEY, "")
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue  # who reads the agents tells
            found = parse_resources(text)
            if isinstance(found, str):
                problem = f"ConfigMap {name}: {KEY} {found}"
                if problem != self.problem:
                    log.warning(
                        "pool_scope_resources cannot be used: the last good ones stay",
                        extra={"configmap": name, "why": found},
                    )
                self.problem = problem
                return
            live |= found
        self.problem = ""
        if live == self._live.get(source, frozenset()):
            return
        self._live[source] = live
        self._keep()
        self._changed(self._all())

    def _all(self) -> list[Resource]:
        return sorted(frozenset().union(*self._live.values()))

    def _keep(self) -> None:
        row = {source: sorted(named) for source, named in self._live.items()}
        try:
            content = msgspec.msgpack.encode(row)
            self._store.apply(Batch(puts=[(ROW_KEY, content)]))
        except StoreError as exc:
            log.warning("what the pool shares is not kept", extra={"err": str(exc)})
