# SPDX-License-Identifier: Apache-2.0
"""Opens a hub's part in its pool. Import this only where there is one: without a pool
no module of `toono.pool` or of etcd is loaded, and no task runs.
"""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from toono.app.agents import Agents
from toono.app.board import Board, Gauge
from toono.app.settings import HubSettings
from toono.app.storage import Storage
from toono.config.live_pool import LiveResources
from toono.config.pool import PoolSettings
from toono.errors import OptionError, StoreError
from toono.kube.request import Call
from toono.pool.cloud import Collection
from toono.pool.delegate import Delegate
from toono.pool.heartbeat import CloudLeases, lease_sender
from toono.pool.keys import StorageKeys
from toono.pool.leader import LeaderSettings, Role
from toono.pool.member import Member, Parts
from toono.pool.shared import Names, version_of
from toono.runtime.clock import Clock
from toono.store.component_keys import ComponentKeys
from toono.store.etcd_client import Etcd
from toono.store.etcd_cluster import EtcdSettings
from toono.store.etcd_components import Components
from toono.store.etcd_errors import BadKeyError
from toono.upstream.pool import Upstream
from toono.wire.tls import Contexts

log = logging.getLogger(__name__)

KUBELET_SECONDS = 40.0
"""A kubelet that said nothing for so long gets no heartbeat by proxy."""
QUICK = EtcdSettings(attempt=2.0, deadline=6.0)


class Heard:
    """When the kubelet spoke last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = float("-inf")

    def note(self, call: Call) -> None:
        """A request came in."""
        if call.component == "kubelet":
            self._at = self._clock.monotonic()

    def recently(self) -> bool:
        """Say whether the kubelet lives, as far as can be heard here."""
        return self._clock.monotonic() - self._at < KUBELET_SECONDS


@dataclass(frozen=True, slots=True)
class Pooling:
    """The member, and what the hub's other parts tell it."""

    member: Member
    heard: Heard


async def open_pool(
    settings: HubSettings,
    pool: PoolSettings,
    board: Board,
    storage: Storage,
    agents: Agents,
    upstream: Upstream,
    *,
    clock: Clock,
    newer: Callable[[str, str], None],
    stack: AsyncExitStack,
) -> Pooling:
    """Take part in a pool from start to drain; etcd is not asked before that."""
    try:
        keys = StorageKeys(pool.prefix)
    except BadKeyError as exc:
        raise OptionError("--coordinator-storage-prefix", str(exc)) from exc
    component_keys = ComponentKeys(storage.store)
    try:
        await component_keys.load()
    except StoreError as exc:
        log.warning("the pool's keys are read from etcd anew", extra={"err": str(exc)})
    contexts = _contexts(pool, clock)
    head = component_keys.head
    etcd = Etcd(
        pool.endpoints,
        tls=lambda _: contexts.current() if contexts else None,
        cluster_id=head.cluster if head is not None else 0,
        settings=QUICK,
    )
    stack.callback(etcd.close)
    heard = Heard(clock)

    def told(group: str, resource: str) -> None:
        newer(group, resource)
        for listener in board.newer:
            listener()

    send = lease_sender(upstream, pool.lease_files, clock=clock)
    leases = CloudLeases(send)
    member = Member(
        Parts(
            etcd=etcd,
            keys=keys,
            component_keys=component_keys,
            components=Components(
                etcd,
                component_keys,
                mark=Names(keys).mark(settings.node_name),
                version=lambda key, value: version_of(keys, key, value),
            ),
            recorder=agents.recorder,
            upstream=upstream,
            clock=clock,
            node=settings.node_name,
            collections=[Collection(*one) for one in pool.resources],
            delegate=Delegate(etcd, keys, leases.renew),
            elect=pool.elect,
            leading=LeaderSettings(
                lease=pool.lease, renew=pool.renew, retry=pool.retry
            ),
            kubelet_lives=heard.recently,
            now_text=lambda: micro_time(clock.wall()),
            newer=told,
        )
    )
    resources = LiveResources(storage.store, changed=member.share)
    await resources.open()
    agents.live.listeners.append(resources.take)
    board.notes["pool-scope-resources"] = lambda: resources.problem
    board.duties.append(("pool", member.run))
    board.mode.append(member.mode_changed)
    board.notes["pool"] = lambda: member.problem
    board.pages["/v1/pool"] = member.page
    board.facts["pool"] = lambda: member.election.now.role.name.lower()
    board.gauges.extend(_gauges(member, etcd))
    if settings.yurthub_metrics:
        board.gauges.extend(_of_yurthub(member))
    return Pooling(member, heard)


def _contexts(pool: PoolSettings, clock: Clock) -> Contexts | None:
    if pool.tls is None:
        return None
    try:
        return Contexts(pool.tls, clock=clock)
    except OSError as exc:
        raise OptionError(
            "--coordinator-ca-file",
            f"{pool.tls.ca} and its like cannot be used: {exc}",
            "name the CA, the certificate and the key of the pool's etcd",
        ) from exc


def micro_time(wall: float) -> str:
    """Return a time as Kubernetes' MicroTime."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _gauges(member: Member, etcd: Etcd) -> list[Gauge]:
    """Return the series of the pool."""
    return [
        (
            "toono_pool_role",
            "1 leader, 2 follower, 3 pending: etcd cannot be asked.",
            lambda: float(member.election.now.role.value),
        ),
        (
            "toono_pool_etcd_reachable",
            "2 a majority of the pool's etcd, 1 a member alone, 0 none.",
            lambda: float({"majority": 2, "minority": 1}.get(member.reach.value, 0)),
        ),
        (
            "toono_pool_problems",
            "Steps that fail just now.",
            lambda: float(len(member.problems)),
        ),
        (
            "toono_pool_etcd_reads",
            "Reads asked of the pool's etcd.",
            lambda: float(etcd.requests.reads),
        ),
        (
            "toono_pool_etcd_writes",
            "Writes asked of the pool's etcd.",
            lambda: float(etcd.requests.writes),
        ),
        (
            "toono_pool_etcd_failures",
            "Requests that the pool's etcd did not answer.",
            lambda: float(etcd.requests.failures),
        ),
        (
            "toono_pool_heartbeats_delegated",
            "Leases of cut-off nodes that this leader renewed in the cloud.",
            lambda: float(member.delegated),
        ),
        (
            "toono_pool_fenced",
            "Writes refused because another hub had taken over.",
            lambda: float(member.fenced),
        ),
    ]


def _of_yurthub(member: Member) -> list[Gauge]:
    """Return what YurtHub v1.5 shows of its coordinator, by the same names."""
    prefix = "node_yurthub_yurt_coordinator_"
    return [
        (
            f"{prefix}yurthub_role",
            "1 leader, 2 follower, 3 pending.",
            lambda: float(member.election.now.role.value),
        ),
        (
            f"{prefix}healthy_status",
            "1 where the pool's etcd can be asked.",
            lambda: float(member.election.now.role is not Role.PENDING),
        ),
        (
            f"{prefix}ready_status",
            "1 where this hub has told the pool what is its node's, too.",
            lambda: float(
                member.election.now.role is not Role.PENDING
                and any(member.lending.versions.values())
            ),
        ),
    ]
