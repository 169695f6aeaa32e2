# SPDX-License-Identifier: Apache-2.0
"""YurtHub's own series, for dashboards that were made for it (`--yurthub-metrics`).

Names, labels and meanings are those of YurtHub 1.6: `client` is the whole User-Agent,
lower-cased, so that series are as many as clients make them. What it counts for a
part that toono does not have (a multiplexer, a key cache that fails) is 0.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from toono import __version__
from toono.kube.request import Call
from toono.pipeline.clients import ClientOf, by_address
from toono.pipeline.limits import InFlight, Limits
from toono.wire.messages import Body, Response

PREFIX = "node_yurthub_"
BY_CALL = ("verb", "resource", "subresources", "client")
MAX_SERIES = 2000
Labels = tuple[str, str, str, str]


class ListedInFlight(InFlight):
    """Limits that know whose requests are under way, too."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        client_of: ClientOf = by_address,
    ) -> None:
        super().__init__(limits, client_of=client_of)
        self.calls: Counter[Labels] = Counter()

    def admit(self, call: Call) -> bool:
        if not super().admit(call):
            return False
        self.calls[labels_of(call)] += 1
        return True

    def leave(self, call: Call) -> None:
        super().leave(call)
        labels = labels_of(call)
        self.calls[labels] -= 1
        if not self.calls[labels]:
            del self.calls[labels]


class Traffic:
    """Counts the bytes of upstream answers by call."""

    def __init__(self) -> None:
        self.bytes: Counter[Labels] = Counter()

    def meter(self, call: Call, response: Response) -> Response:
        """Return `response`, counted as it is read."""
        labels = labels_of(call)
        if labels not in self.bytes and len(self.bytes) >= MAX_SERIES:
            labels = (call.verb, "other", "", "other")
        content = response.content
        whole = content if isinstance(content, bytes) else b"".join(content)
        self.bytes[labels] += len(whole)
        if response.body is not None:
            response.body = _Metered(response.body, self.bytes, labels)
        return response


class _Metered:
    """A body that counts what is read of it."""

    def __init__(self, inner: Body, sums: Counter[Labels], labels: Labels) -> None:
        self._inner = inner
        self._sums = sums
        self._labels = labels
        self.length = inner.length

    async def read(self) -> bytes:
        piece = await self._inner.read()
        self._sums[self._labels] += len(piece)
        return piece

    def close(self) -> None:
        self._inner.close()


class YurtHubSeries(Collector):
    """Makes the series when they are scraped."""

    def __init__(
        self,
        *,
        in_flight: ListedInFlight,
        traffic: Traffic,
        servers: Callable[[], Sequence[tuple[str, bool, int]]],
    ) -> None:
        """`servers` tells of each its address, whether it is healthy, connections."""
        self._in_flight = in_flight
        self._traffic = traffic
        self._servers = servers

    def collect(self) -> Iterator[Metric]:
        """Yield every family, those without a series too."""
        servers = self._servers()
        yield _gauge(
            "server_healthy_status",
            "1 where the server is healthy.",
            ("server",),
            (((server,), float(healthy)) for server, healthy, _ in servers),
        )
        yield _gauge(
            "closable_conns_collector",
            "Open connections to the server.",
            ("server",),
            (((server,), float(count)) for server, _, count in servers),
        )
        yield _gauge(
            "in_flight_requests_collector",
            "Requests under way.",
            BY_CALL,
            self._in_flight.calls.items(),
        )
        yield _single("in_flight_requests_total", self._in_flight.calls.total())
        yield _gauge(
            "aggregated_in_flight_requests_collector",
            "Of shared watches.",
            BY_CALL,
            (),
        )
        yield _single("aggregated_in_flight_requests_total", 0)
        yield _gauge(
            "target_for_multiplexer_requests_collector",
            "Of shared watches.",
            (*BY_CALL, "server"),
            (),
        )
        traffic = CounterMetricFamily(
            PREFIX + "proxy_traffic_collector",
            "Bytes of upstream answers.",
            labels=("client", *BY_CALL[:3]),
        )
        for (verb, resource, subresource, client), count in self._traffic.bytes.items():
            traffic.add_metric([client, verb, resource, subresource], count)
        yield traffic
        yield _single("error_keys_persistency_status", 1)
        yield _single("error_keys_count", 0)
        yield _version()


def labels_of(call: Call) -> Labels:
    """Return YurtHub's labels of a call, in the order of `BY_CALL`."""
    return (call.verb, call.resource, call.subresource, call.user_agent.lower())


def _gauge(
    name: str,
    text: str,
    labels: Sequence[str],
    rows: Iterable[tuple[Sequence[str], float]],
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for values, number in rows:
        family.add_metric(list(values), number)
    return family


def _single(name: str, number: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, "As YurtHub counts it.", value=number)


def _version() -> GaugeMetricFamily:
    facts = {
        "component_name": "yurthub",
        "git_version": __version__,
        "git_commit": "",
        "build_date": "",
        "go_version": "",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
        "nodepoollabelkey": "apps.openyurt.io/nodepool",
    }
    family = GaugeMetricFamily(
        "openyurt_version_info", "What runs here.", labels=list(facts)
    )
    family.add_metric(list(facts.values()), 1)
    return family
