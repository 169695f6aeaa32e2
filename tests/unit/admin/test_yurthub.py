# SPDX-License-Identifier: Apache-2.0
import asyncio

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from tests.unit.cache.kit import call
from toono.admin.yurthub import ListedInFlight, Traffic, YurtHubSeries
from toono.wire.messages import BytesBody, Response

PODS = call("/api/v1/pods", agent="Kubelet/v1.34 (linux)")
LABELS = 'client="kubelet/v1.34 (linux)",resource="pods",subresources="",verb="list"'


def scraped(in_flight: ListedInFlight, traffic: Traffic) -> str:
    registry = CollectorRegistry()
    registry.register(
        YurtHubSeries(
            in_flight=in_flight,
            traffic=traffic,
            servers=lambda: [("10.0.0.1:6443", True, 3), ("10.0.0.2:6443", False, 0)],
        )
    )
    return generate_latest(registry).decode()


def test_servers_have_their_health_and_connections() -> None:
    text = scraped(ListedInFlight(), Traffic())
    assert 'node_yurthub_server_healthy_status{server="10.0.0.1:6443"} 1.0' in text
    assert 'node_yurthub_server_healthy_status{server="10.0.0.2:6443"} 0.0' in text
    assert 'node_yurthub_closable_conns_collector{server="10.0.0.1:6443"} 3.0' in text


def test_requests_under_way_come_and_go_with_their_labels() -> None:
    in_flight = ListedInFlight()
    series = f"node_yurthub_in_flight_requests_collector{{{LABELS}}} 1.0"
    assert in_flight.admit(PODS)
    text = scraped(in_flight, Traffic())
    assert series in text
    assert "node_yurthub_in_flight_requests_total 1.0" in text
    in_flight.leave(PODS)
    text = scraped(in_flight, Traffic())
    assert series not in text
    assert "node_yurthub_in_flight_requests_total 0.0" in text


def test_traffic_counts_whole_and_streamed_answers() -> None:
    traffic = Traffic()
    traffic.meter(PODS, Response(status=200, content=b"12345"))
    traffic.meter(PODS, Response(status=200, content=[b"1", b"2"]))
    body = BytesBody(b"1234567")
    response = traffic.meter(PODS, Response(status=200, body=body))
    assert response.body is not None
    assert response.body.length == 7
    assert asyncio.run(response.body.read()) == b"1234567"
    response.body.close()
    series = f"node_yurthub_proxy_traffic_collector_total{{{LABELS}}} 14.0"
    assert series in scraped(ListedInFlight(), traffic)


def test_every_name_of_yurthub_is_there() -> None:
    text = scraped(ListedInFlight(), Traffic())
    for name in (
        "server_healthy_status",
        "in_flight_requests_collector",
        "in_flight_requests_total",
        "aggregated_in_flight_requests_collector",
        "aggregated_in_flight_requests_total",
        "target_for_multiplexer_requests_collector",
        "closable_conns_collector",
        "proxy_traffic_collector",
        "error_keys_persistency_status",
        "error_keys_count",
    ):
        assert f"# TYPE node_yurthub_{name}" in text
    assert 'openyurt_version_info{build_date="",compiler="CPython"' in text
