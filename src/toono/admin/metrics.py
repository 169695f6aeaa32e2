# SPDX-License-Identifier: Apache-2.0
"""The hub's own series, declared once; scraped values are read when asked for."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import generate_latest

from toono import __version__

LONG_RUNNING = frozenset({"watch"})
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
MAX_SERIES = 2000
"""Components come from clients: beyond this they are counted as `other`."""


class Metrics:
    """A registry of its own, so that two hubs in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "toono_requests_total",
            "Requests answered.",
            ("verb", "resource", "component", "route", "code"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "toono_request_duration_seconds",
            "Time to the head of an answer, watches excluded.",
            ("verb", "route"),
            registry=self.registry,
        )
        self._known: dict[tuple[str, ...], Counter] = {}
        self._timed: dict[tuple[str, str], Histogram] = {}
        Info("toono_build", "What runs here.", registry=self.registry).info(
            {"version": __version__}
        )

    def observe(
        self,
        labels: tuple[str, str, str, str, str],
        seconds: float,
    ) -> None:
        """Count one answer: (verb, resource, component, route, code)."""
        child = self._known.get(labels)
        if child is None:
            if len(self._known) >= MAX_SERIES:
                labels = (labels[0], "other", "other", labels[3], labels[4])
            child = self._known[labels] = self._requests.labels(*labels)
        child.inc()
        verb, route = labels[0], labels[3]
        if verb not in LONG_RUNNING:
            timer = self._timed.get((verb, route))
            if timer is None:
                timer = self._timed[verb, route] = self._seconds.labels(verb, route)
            timer.observe(seconds)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Declare a series whose value is read at each scrape."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def gauges(self, rows: Iterable[tuple[str, str, Callable[[], float]]]) -> None:
        """Declare several."""
        for row in rows:
            self.gauge(*row)

    def text(self) -> bytes:
        """Return the text exposition."""
        return generate_latest(self.registry)
