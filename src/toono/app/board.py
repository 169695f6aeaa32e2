# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a hub put what they show and what they do unasked.

A part that opens adds its lines here, and the root hands them to the status listener,
the metrics and the task runner: a new part changes no other.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.registry import Collector

from toono.wire.messages import Request, Response

Rows = Sequence[Mapping[str, object]]
Gauge = tuple[str, str, Callable[[], float]]
Duty = Callable[[], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class Board:
    """What every part adds to, while the hub starts."""

    checks: dict[str, Callable[[], bool]] = field(default_factory=dict)
    """What readiness depends on."""
    notes: dict[str, Callable[[], str]] = field(default_factory=dict)
    """What is wrong and no reason to take the hub out of use; empty: nothing is."""
    pages: dict[str, Callable[[], object]] = field(default_factory=dict)
    """Path on the status listener, and what to answer there as JSON."""
    tables: dict[str, Callable[[], Rows]] = field(default_factory=dict)
    """Title on the status page, and the rows under it."""
    actions: dict[str, Callable[[Request], Awaitable[Response]]] = field(
        default_factory=dict
    )
    """Path on the status listener, and what a POST there does."""
    facts: dict[str, Callable[[], object]] = field(default_factory=dict)
    """Lines of the status page."""
    series: list[Collector] = field(default_factory=list)
    """What makes its own series, such as counters, when it is scraped."""
    gauges: list[Gauge] = field(default_factory=list)
    duties: list[tuple[str, Duty]] = field(default_factory=list)
    """Name and coroutine function of what runs from start to drain."""
    newer: list[Callable[[], None]] = field(default_factory=list)
    """Told when there is newer to be had than before, though the link is cut."""
    mode: list[Callable[[bool], None]] = field(default_factory=list)
    """Told True when the link is back, False when it is cut."""
    door: list[Callable[[bool], None]] = field(default_factory=list)
    """Told True when pods can come, False when they cannot."""

    def tell_door(self, *, opened: bool) -> None:
        """Pods can come from now on, or cannot."""
        for told in self.door:
            told(opened)
