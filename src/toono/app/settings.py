# SPDX-License-Identifier: Apache-2.0
"""What one hub needs to know, as plain values; no option and no file is read here."""

from dataclasses import dataclass, field
from pathlib import Path

from toono.autonomy.lease import DURATION_SECONDS, Interception
from toono.autonomy.reviews import KEPT_SECONDS
from toono.autonomy.spool import SpoolSettings
from toono.autonomy.writes import WriteTable
from toono.cache.watch import MIN_WATCH_SECONDS
from toono.config.certificates import CertificateSettings
from toono.config.pool import PoolSettings
from toono.filters.approval import OF_THE_DOOR
from toono.filters.inputs import Surroundings
from toono.identity.rights import RightsSettings
from toono.multiplex.shared import Resource
from toono.upstream.health import HealthSettings
from toono.wire.dummy import DummyLink
from toono.wire.tls import ClientFiles, ServerFiles

LEADER = "leader-yurthub"
"""The component that a pool's own questions belong to, as YurtHub names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """What one hub needs to know, decided by whoever starts it."""

    servers: tuple[tuple[str, int], ...]
    tls: ClientFiles | None
    """None speaks plain HTTP to the servers: only tests on loopback do."""
    node_name: str
    cache_path: Path
    keeps: bool = True
    """False: a node beside its cloud. Nothing is kept, and nothing answered alone."""
    listen: tuple[tuple[str, int], ...] = (("127.0.0.1", 10261),)
    status_listen: tuple[str, int] | None = ("127.0.0.1", 10267)
    agents: tuple[str, ...] = ()
    namespace: str = "kube-system"
    """Where the hub's ConfigMaps are."""
    lb_mode: str = "rr"
    node_uids: frozenset[int] = frozenset({0})
    rights: RightsSettings = field(default_factory=RightsSettings)
    serving: ServerFiles | None = None
    """The certificate of the TLS listeners; None: there are none."""
    dummy: DummyLink | None = None
    """The interface that pods call; None: they call `listen_tls` as it is."""
    certificates: CertificateSettings | None = None
    """Those that the hub keeps itself; None: all are somebody else's."""
    kubelet_pki: Path | None = None
    """Where the kubelet keeps its own; None: nobody looks when those end."""
    listen_tls: tuple[tuple[str, int], ...] = ()
    health: HealthSettings = field(default_factory=HealthSettings)
    lease_interception: Interception = "auto"
    kubelet_grace: float = DURATION_SECONDS
    """How long a kubelet may not renew until the hub lets its Lease run out, too."""
    gc_seconds: float = 7200.0
    """Between sweeps for what the cloud no longer has; 0: there are none."""
    least_watch: float = MIN_WATCH_SECONDS
    """How long a watch that the hub holds lasts at least, if its client names no time."""
    yurthub_metrics: bool = False
    surroundings: Surroundings = field(default_factory=Surroundings)
    """Of the filters; the node's name is put in."""
    filters_off: frozenset[str] = OF_THE_DOOR
    """Without a door for pods, what leads to it is off."""
    door_shut: bool = False
    """Pods cannot come in yet: what sends them here is on once they can."""
    shared: tuple[Resource, ...] = ()
    """What all readers of the node share one watch of."""
    correct_addresses: bool = True
    """Offline, this node's endpoints have the addresses that its pods have now."""
    pool: PoolSettings | None = None
    writes: WriteTable = field(default_factory=WriteTable)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    review_lifetime: float = KEPT_SECONDS
    """How long a verdict on a caller of the kubelet holds offline; 0: not at all."""

    @property
    def kept_agents(self) -> tuple[str, ...]:
        """Components that are kept beside the defaults."""
        return self.agents if self.pool is None else (*self.agents, LEADER)
