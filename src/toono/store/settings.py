# SPDX-License-Identifier: Apache-2.0
"""What an operator or a test may choose about the store, and what it counts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLiteSettings:
    """Values for one store; seconds and bytes."""

    allow_tmpfs: bool = False
    queue_bytes: int = 8 * 1024 * 1024
    group_bytes: int = 1024 * 1024
    """Of batches in one transaction: a barrier behind it must not wait for long."""
    sync_after: float = 0.03
    """Leaves 20 ms of the 50 that are promised to the sync itself."""
    checkpoint_bytes: int = 4 * 1024 * 1024
    retry_first: float = 1.0
    retry_most: float = 30.0
    replenish_after: float = 60.0
    """How long the disk must work before the reserve takes room of it again."""
    verify_after: float = 60.0
    """When the whole database is checked, behind the rush of a start."""


@dataclass(slots=True)
class Counters:
    """What happened since the start, for telemetry to read."""

    commits: int = 0
    syncs: int = 0
    checkpoints: int = 0
    bytes: int = 0
    """Of keys and values committed."""
    drops: int = 0
    """Batches refused because the queue was full."""
    failures: int = 0
    """Of the disk, each further attempt included."""
    recoveries: int = 0
    barrier_stalls: int = 0
    """Barriers that took longer than `BARRIER_SECONDS`."""
    quarantined: int = 0
    losses: int = 0
    """How often rows may have been lost while running; scopes are then incomplete."""


BARRIER_SECONDS = 0.2
"""How long a caller waits for a barrier before it passes without."""
