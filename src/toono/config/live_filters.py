# SPDX-License-Identifier: Apache-2.0
"""For whom filters are on beside their defaults, as the cloud's ConfigMap says.

A key that is a filter's name lists further components. What was last good survives a
restart; with it lies where pods found the hub, so that a change of that is seen: pods
that name the API server by environment are then started anew by their kubelet.
"""

import logging
from collections.abc import Callable, Mapping

import msgspec

from toono.config.live import BadAgents, parse_agents
from toono.errors import StoreError, StoreFullError
from toono.filters.approval import ALL, DEFAULTS, OF_THE_DOOR, Approval
from toono.filters.base import Door
from toono.store.base import Batch, Store

log = logging.getLogger(__name__)

ROW_KEY = b"cfilters"
Added = Mapping[str, frozenset[str]]


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


class _Row(msgspec.Struct, array_like=True, frozen=True):
    """What survives a restart."""

    live: dict[str, dict[str, tuple[str, ...]]]
    off: tuple[str, ...]
    door: str


_configmap = msgspec.json.Decoder(_ConfigMap).decode
_encode = msgspec.msgpack.Encoder().encode
_row = msgspec.msgpack.Decoder(_Row).decode


def parse_filters(content: bytes) -> Added | BadAgents:
    """Return the components that a ConfigMap adds to filters."""
    try:
        data = _configmap(content).data or {}
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return BadAgents("this is no ConfigMap")
    found = {}
    for name in DEFAULTS:
        names = parse_agents(data.get(name, ""))
        if isinstance(names, BadAgents):
            return BadAgents(f"{name}: {names.why}")
        if ALL in names:
            return BadAgents(f"{name}: '*' is nobody's name")
        if names:
            found[name] = names
    return found


class LiveFilters:
    """The approval of options and ConfigMaps together."""

    def __init__(
        self,
        store: Store,
        *,
        off: frozenset[str],
        door: Door | None,
        shut: bool | None = False,
    ) -> None:
        """`shut`: pods cannot come in now; None: not known yet, so as it was last."""
        self._store = store
        self._chosen = off
        self._as_last = shut is None
        self._off = off if shut is False else off | OF_THE_DOOR
        self._door = f"{door.host}:{door.port}" if door else ""
        self._live: dict[str, Added] = {}
        self._problems: dict[str, str] = {}
        self.approval = Approval(off)
        self.anew = True
        """Answers given before this process began may have been filtered otherwise."""
        self.changed: Callable[[Approval], None] = lambda _: None

    @property
    def problem(self) -> str:
        """Why the newest value is not used; empty while it is."""
        return "; ".join(sorted(set(self._problems.values())))

    async def open(self) -> None:
        """Take up what was last good, and say what has changed since."""
        try:
            content = await self._store.get(ROW_KEY)
            row = _row(content) if content is not None else None
        except (StoreError, msgspec.MsgspecError) as exc:
            log.warning("the filters last read from the cloud are lost", exc_info=exc)
            row = None
        if row is not None:
            self._live = {
                source: {name: frozenset(names) for name, names in added.items()}
                for source, added in row.live.items()
            }
            if self._as_last and not OF_THE_DOOR.issubset(row.off):
                self._off = self._chosen
            self.anew = (row.off, row.door) != (tuple(sorted(self._off)), self._door)
            self._announce(row)
        self.approval = Approval(self._off, _together(self._live))
        if self.anew:
            self._keep()

    def _announce(self, row: _Row) -> None:
        name = "serviceenvupdater"
        before = "" if name in row.off else row.door
        now = "" if name in self._off else self._door
        if before != now:
            log.warning(
                "the hub's address for pods has changed: pods that name the API"
                " server by environment restart",
                extra={"before": before or "none", "now": now or "none"},
            )

    def take(self, source: str, objects: Mapping[str, bytes]) -> None:
        """Take all ConfigMaps of one source, as JSON by name."""
        live: dict[str, frozenset[str]] = {}
        for configmap, content in objects.items():
            found = parse_filters(content)
            if isinstance(found, BadAgents):
                self._refuse(source, configmap, found)
                return
            for name, names in found.items():
                live[name] = live.get(name, frozenset()) | names
        self._problems.pop(source, None)
        if live == self._live.get(source, {}):
            return
        self._live[source] = live
        self._approve()

    def door_opened(self, opened: bool) -> None:
        """Pods can come in from now on, or cannot: send them here, or not."""
        off = self._chosen if opened else self._chosen | OF_THE_DOOR
        if off == self._off:
            return
        before = self._row()
        self._off = off
        self._announce(before)
        self._approve()

    def _approve(self) -> None:
        self.approval = Approval(self._off, _together(self._live))
        self._keep()
        self.changed(self.approval)

    def _refuse(self, source: str, configmap: str, bad: BadAgents) -> None:
        problem = f"ConfigMap {configmap}: {bad.why}"
        if self._problems.get(source) == problem:
            return
        self._problems[source] = problem
        log.warning(
            "a filter's components cannot be used: the last good ones stay",
            extra={"configmap": configmap, "why": bad.why},
        )

    def _row(self) -> _Row:
        live = {
            source: {name: tuple(sorted(names)) for name, names in added.items()}
            for source, added in self._live.items()
        }
        return _Row(live, tuple(sorted(self._off)), self._door)

    def _keep(self) -> None:
        try:
            self._store.apply(Batch(puts=[(ROW_KEY, _encode(self._row()))]))
        except StoreFullError:
            log.warning(
                "the filters read from the cloud are not kept: the disk is slow"
            )


def _together(live: Mapping[str, Added]) -> Added:
    found: dict[str, frozenset[str]] = {}
    for added in live.values():
        for name, names in added.items():
            found[name] = found.get(name, frozenset()) | names
    return found
