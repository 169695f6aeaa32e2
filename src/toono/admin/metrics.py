# SPDX-License-Identifier: Apache-2.0
"""The hub's own series, declared once; scraped values are read when asked for."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, Info
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from toono import __version__

LONG_RUNNING = frozenset({"watch"})
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
MAX_SERIES = 2000
"""Components come from clients: beyond this they are counted as `other`."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Upper bounds in seconds. From the cache an answer takes one millisecond."""
Labels = tuple[str, str, str, str, int]
"""(verb, resource, component, route, status code)"""


class Times:
    """A histogram of one kind of request."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0


class Count:
    """How often one kind of request was answered."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Requests(Collector):
    """Counts answers in plain numbers, which become series when they are scraped.

    A counter and a histogram of the library's own cost 4 us for each answer, a tenth
    of what an answer from the cache costs in all.
    """

    def __init__(self) -> None:
        self._counts: dict[Labels, Count] = {}
        self._times: dict[tuple[str, str], Times] = {}

    def observe(self, labels: Labels, seconds: float) -> None:
        """Count one answer."""
        count = self._counts.get(labels) or self._place(labels)
        count.count += 1
        verb, route = labels[0], labels[3]
        if verb not in LONG_RUNNING:
            times = self._times.get((verb, route)) or self._time(verb, route)
            times.counts[bisect_left(BUCKETS, seconds)] += 1
            times.sum += seconds

    def places(self, labels: Labels) -> tuple[Count, Times]:
        """Return where answers of one kind, none long-running, are counted."""
        count = self._counts.get(labels) or self._place(labels)
        verb, route = labels[0], labels[3]
        return count, self._times.get((verb, route)) or self._time(verb, route)

    def _place(self, labels: Labels) -> Count:
        """Return where a kind of answer is counted that was never seen."""
        if len(self._counts) >= MAX_SERIES:
            labels = (labels[0], "other", "other", labels[3], labels[4])
        return self._counts.setdefault(labels, Count())

    def _time(self, verb: str, route: str) -> Times:
        return self._times.setdefault((verb, route), Times())

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """Make the series."""
        requests = CounterMetricFamily(
            "toono_requests",
            "Requests answered.",
            labels=("verb", "resource", "component", "route", "code"),
        )
        for labels, count in self._counts.items():
            requests.add_metric([str(label) for label in labels], count.count)
        yield requests
        seconds = HistogramMetricFamily(
            "toono_request_duration_seconds",
            "Time to the head of an answer, watches excluded.",
            labels=("verb", "route"),
        )
        bounds = [*map(str, map(float, BUCKETS)), "+Inf"]
        for key, times in self._times.items():
            sums = [float(each) for each in accumulate(times.counts)]
            seconds.add_metric(
                list(key), list(zip(bounds, sums, strict=True)), times.sum
            )
        yield seconds


class Metrics:
    """A registry of its own, so that two hubs in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Requests()
        self.registry.register(self._requests)
        self.observe = self._requests.observe
        self.places = self._requests.places
        Info("toono_build", "What runs here.", registry=self.registry).info(
            {"version": __version__}
        )

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
