# SPDX-License-Identifier: Apache-2.0
"""The mapper's own series for Prometheus; read when they are scraped.

    registry.register(MapperSeries(mapper.statistics))

Not imported by the package itself: prometheus_client is its host's to have.
"""

import math
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from toono.restmapper.answers import Statistics

Read = Callable[[Statistics], float | None]

COUNTERS: tuple[tuple[str, str, Read], ...] = (
    ("requests", "Requests for discovery sent.", lambda s: s.requests),
    ("misses", "Questions that the snapshot could not answer.", lambda s: s.misses),
    ("signals", "Signs that something may have changed.", lambda s: s.signals),
    ("changes", "Snapshots that replaced another.", lambda s: s.generation),
)
GAUGES: tuple[tuple[str, str, Read], ...] = (
    ("kinds", "Kinds known, each version counted.", lambda s: s.kinds),
    (
        "stale_versions",
        "Group-versions nobody can tell of.",
        lambda s: s.stale_versions,
    ),
    ("age_seconds", "Since all was last confirmed; NaN: never.", lambda s: s.age),
    ("watching", "1 while CRDs and APIServices are watched.", lambda s: s.watching),
)


class MapperSeries(Collector):
    """`toono_restmapper_*` out of a mapper's statistics."""

    def __init__(self, statistics: Callable[[], Statistics]) -> None:
        self._statistics = statistics

    def collect(self) -> Iterator[Metric]:
        """Make the series."""
        now = self._statistics()
        for name, text, read in COUNTERS:
            value = read(now)
            yield CounterMetricFamily(f"toono_restmapper_{name}", text, value)
        for name, text, read in GAUGES:
            value = read(now)
            known = math.nan if value is None else value
            yield GaugeMetricFamily(f"toono_restmapper_{name}", text, known)
