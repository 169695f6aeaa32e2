# SPDX-License-Identifier: Apache-2.0
"""What a hub of a pool does by what it can reach: every rule of a partition, as one
pure function of facts and a table in its test. Asks nobody and changes nothing.
"""

from dataclasses import dataclass
from enum import Enum

from toono.pool.leader import Role


class Reach(Enum):
    """How much of the pool's etcd a hub has."""

    MAJORITY = "majority"
    MINORITY = "minority"
    """A member answers that is cut off from its leader: it tells the past."""
    NONE = "none"


class Source(Enum):
    """Where answers for pool-scope resources come from."""

    CLOUD = "cloud"
    POOL = "pool"
    """From the pool where that is newer than the node's own cache, else from that."""
    DISK = "disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What a hub does just now."""

    source: Source
    may_lead: bool
    """It may try to be elected, and stay so."""
    publishes: bool
    """It writes what the pool shares; etcd still checks every write (guards)."""
    uploads: bool
    """It writes what is its own node's."""
    delegates: bool
    """It renews in the cloud the leases of nodes that are cut off from it."""
    asks_delegation: bool
    """It asks the leader to renew its node's lease."""


def duty(*, cloud: bool, etcd: Reach, role: Role) -> Duty:
    """Return what a hub does that reaches `cloud` or not, and so much of etcd.

    Online the cloud alone answers: no pool is newer. A hub without the cloud has
    nothing to publish, so it does not lead; one without a majority cannot write, and
    what its role was does not matter.
    """
    writes = etcd is Reach.MAJORITY
    leads = writes and cloud and role is Role.LEADER
    offline = Source.DISK if etcd is Reach.NONE else Source.POOL
    return Duty(
        source=Source.CLOUD if cloud else offline,
        may_lead=cloud and writes,
        publishes=leads,
        uploads=writes,
        delegates=leads,
        asks_delegation=writes and not cloud,
    )
