# SPDX-License-Identifier: Apache-2.0
"""What the cloud's ConfigMap says while the hub runs: which agents are cached.

The ConfigMap yurt-hub-cfg (yurthub-cfg, or whatever bears YurtHub's label) adds names
to those of the options. Several are read as one. A value that cannot be used changes
nothing and is shown; what was last good survives a restart, with and without a link.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from toono.autonomy.follow import Followed, Follower
from toono.cache.policy import EVERYONE, Policy, component_named
from toono.cache.scopes import Scopes
from toono.errors import StoreError, StoreFullError
from toono.kube.accounts import PREFIX, account_named
from toono.runtime.clock import Clock
from toono.store.base import Batch, Store
from toono.upstream.pool import Upstream

log = logging.getLogger(__name__)

NAMES = ("yurt-hub-cfg", "yurthub-cfg")
LABEL = "openyurt.io/configmap-name"
KEY = "cache_agents"
ACCOUNTS_KEY = "cache_service_accounts"
"""The second rule, ours: NAMESPACE/NAME, whatever the program calls itself."""
MAX_NAMES = 512
MAX_CHARS = 64 * 1024
ROW_KEY = b"cagents"


@dataclass(frozen=True, slots=True)
class BadAgents:
    """Why a value of `cache_agents` cannot be used, for whoever wrote it."""

    why: str
    key: str = KEY


def parse_agents(text: str) -> frozenset[str] | BadAgents:
    """Return the components that a `cache_agents` names, `*` among them.

    A list with one name that means nothing is bad as a whole: half of it would be
    neither what was there before nor what somebody wanted.
    """
    if len(text) > MAX_CHARS:
        return BadAgents(f"longer than {MAX_CHARS} characters")
    names = [name.strip() for name in text.split(",")]
    found = set()
    for name in filter(None, names):
        if name == EVERYONE:
            found.add(EVERYONE)
            continue
        why = _fault(name)
        component = component_named(name)
        if why or not component:
            return BadAgents(f"{name[:64]!r} {why or 'names no product'}")
        found.add(component)
    if len(found) > MAX_NAMES:
        return BadAgents(f"more than {MAX_NAMES} names")
    return frozenset(found)


def parse_accounts(text: str) -> frozenset[str] | BadAgents:
    """Return the users that a `cache_service_accounts` names; bad as a whole, too."""
    if len(text) > MAX_CHARS:
        return BadAgents(f"longer than {MAX_CHARS} characters", ACCOUNTS_KEY)
    found = set()
    for name in filter(None, (one.strip() for one in text.split(","))):
        account = account_named(name)
        if not account:
            why = f"{name[:64]!r} is no service account: NAMESPACE/NAME"
            return BadAgents(why, ACCOUNTS_KEY)
        found.add(account)
    if len(found) > MAX_NAMES:
        return BadAgents(f"more than {MAX_NAMES} names", ACCOUNTS_KEY)
    return frozenset(found)


def _fault(name: str) -> str:
    if any(char.isspace() for char in name):
        return "holds white space: separate names by commas"
    if not name.isprintable():
        return "holds characters that cannot be seen"
    if EVERYONE in name:
        return "is no pattern: `*` alone means everyone"
    return ""


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


class _Row(msgspec.Struct, array_like=True, frozen=True):
    """What survives a restart: what was last good, and all that was kept with it."""

    live: dict[str, tuple[str, ...]]
    effective: tuple[str, ...]


_configmap = msgspec.json.Decoder(_ConfigMap).decode
_encode = msgspec.msgpack.Encoder().encode
_row = msgspec.msgpack.Decoder(_Row).decode


def _agents_of(content: bytes) -> frozenset[str] | BadAgents:
    try:
        data = _configmap(content).data or {}
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return BadAgents("this is no ConfigMap")
    agents = parse_agents(data.get(KEY, ""))
    accounts = parse_accounts(data.get(ACCOUNTS_KEY, ""))
    if isinstance(agents, BadAgents):
        return agents
    return accounts if isinstance(accounts, BadAgents) else agents | accounts


class LiveAgents:
    """The agents of options and ConfigMaps together; calls `changed` with each policy."""

    def __init__(
        self,
        store: Store,
        scopes: Scopes,
        *,
        fixed: Sequence[str],
        changed: Callable[[Policy], None],
    ) -> None:
        self._store = store
        self._scopes = scopes
        self._fixed = Policy.of(*fixed).agents
        self._changed = changed
        self._live: dict[str, frozenset[str]] = {}
        self._problems: dict[str, str] = {}
        self._followers: list[Follower] = []
        self.listeners: list[Callable[[str, Mapping[str, bytes]], None]] = []
        """Told (source, ConfigMaps by name) at each word of the cloud."""
        self.policy = Policy(self._fixed)
        self.bad_values = 0

    @property
    def names(self) -> frozenset[str]:
        """What the ConfigMaps name, without the options' names."""
        return frozenset().union(*self._live.values())

    @property
    def forbidden(self) -> int:
        """How many sources the node may not read."""
        return sum(one.forbidden for one in self._followers)

    @property
    def problem(self) -> str:
        """Why the newest value is not used; empty while it is."""
        return "; ".join(sorted(set(self._problems.values())))

    async def open(self) -> None:
        """Take up what was last good before the hub stopped."""
        try:
            content = await self._store.get(ROW_KEY)
            row = _row(content) if content is not None else None
        except (StoreError, msgspec.MsgspecError) as exc:
            log.warning("the agents last read from the cloud are lost", exc_info=exc)
            return
        if row is not None:
            self._live = {
                source: frozenset(names) for source, names in row.live.items()
            }
            self._enter(frozenset(row.effective))

    def followers(
        self, upstream: Upstream, *, namespace: str, clock: Clock
    ) -> list[Follower]:
        """Return what follows the ConfigMaps, each source by its own right."""
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        sources = [
            (
                f"fieldSelector=metadata.name={name}",
                f"get, list, watch configmaps {name} in {namespace}",
            )
            for name in NAMES
        ]
        sources.append(
            (
                f"labelSelector={LABEL} in ({','.join(NAMES)})",
                f"list, watch configmaps in {namespace}: only for a ConfigMap of"
                " another name that bears YurtHub's label",
            )
        )
        self._followers = [
            Follower(
                upstream,
                Followed(path=path, selector=selector, rule=rule),
                clock=clock,
                taken=partial(self.take, selector),
            )
            for selector, rule in sources
        ]
        return self._followers

    def take(self, source: str, objects: Mapping[str, bytes]) -> None:
        """Take all ConfigMaps of one source, as JSON by name.

        Each source has its own last good value: one that is not heard yet, or may not
        be read, takes nothing back.
        """
        for listener in self.listeners:
            listener(source, objects)
        live: frozenset[str] = frozenset()
        for name, content in objects.items():
            found = _agents_of(content)
            if isinstance(found, BadAgents):
                self._refuse(source, name, found)
                return
            live |= found
        self._problems.pop(source, None)
        if live != self._live.get(source, frozenset()):
            self._live[source] = live
            self._enter(self.policy.agents)

    def _refuse(self, source: str, name: str, bad: BadAgents) -> None:
        problem = f"ConfigMap {name}: {bad.key}: {bad.why}"
        if problem == self._problems.get(source):
            return
        self._problems[source] = problem
        self.bad_values += 1
        log.warning(
            "cache_agents cannot be used: the last good ones stay",
            extra={"configmap": name, "why": bad.why},
        )

    def _enter(self, before: frozenset[str]) -> None:
        """Make the policy of now the one that counts, and retire who left it."""
        self.policy = Policy(self._fixed | self.names)
        now = self.policy.agents
        log.info(
            "agents that are cached",
            extra={"added": sorted(now - before), "removed": sorted(before - now)},
        )
        self._changed(self.policy)
        self._retire(before)
        live = {source: tuple(sorted(names)) for source, names in self._live.items()}
        row = _Row(live, tuple(sorted(now)))
        try:
            self._store.apply(Batch(puts=[(ROW_KEY, _encode(row))]))
        except StoreFullError:
            log.warning("the agents read from the cloud are not kept: the disk is slow")

    def _retire(self, before: frozenset[str]) -> None:
        """Give up the data of components that were kept by name or `*`, and are not now.

        Others were kept for their header, or were kept by hand: they stay. Which ones a
        service account had asked for is not known: with one, all that are not named go.
        """
        now = self.policy.agents
        if EVERYONE in now:
            return
        left = before - now
        unnamed = EVERYONE in left or any(one.startswith(PREFIX) for one in left)
        for scope in list(self._scopes.all()):
            component = scope.question.component
            if component not in now and (component in left or unnamed):
                self._scopes.drop(scope)
