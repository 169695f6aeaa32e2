# SPDX-License-Identifier: Apache-2.0
from toono.admin import metrics
from toono.admin.metrics import Metrics

GET = ("get", "pods", "kubelet", "local", 200)


def test_answers_are_counted_by_verb_resource_component_route_and_code() -> None:
    found = Metrics()
    found.observe(GET, 0.01)
    found.observe(GET, 0.01)
    text = found.text().decode()
    line = (
        'toono_requests_total{code="200",component="kubelet",resource="pods",'
        'route="local",verb="get"} 2.0'
    )
    assert line in text
    assert 'toono_request_duration_seconds_count{route="local",verb="get"} 2.0' in text


def test_durations_fall_into_buckets_that_add_up() -> None:
    found = Metrics()
    for seconds in (0.0005, 0.003, 0.003, 99.0):
        found.observe(GET, seconds)
    text = found.text().decode()
    series = (
        'toono_request_duration_seconds_bucket{le="%s",route="local",verb="get"} %s'
    )
    for bound, count in (("0.001", 1), ("0.0025", 1), ("0.005", 3), ("30.0", 3)):
        assert series % (bound, float(count)) in text
    assert series % ("+Inf", 4.0) in text
    assert 'seconds_sum{route="local",verb="get"} 99.00' in text


def test_watches_have_no_duration() -> None:
    found = Metrics()
    found.observe(("watch", "pods", "kubelet", "local", 200), 900.0)
    assert "toono_request_duration_seconds_count{" not in found.text().decode()


def test_clients_cannot_make_series_without_end(monkeypatch) -> None:
    monkeypatch.setattr(metrics, "MAX_SERIES", 3)
    found = Metrics()
    for number in range(10):
        found.observe(("get", "pods", f"agent-{number}", "forward", 200), 0.1)
    text = found.text().decode()
    assert 'component="other"' in text
    assert "agent-9" not in text


def test_gauges_are_read_when_scraped() -> None:
    found = Metrics()
    values = [1.0]
    found.gauges([("toono_offline", "x", lambda: values[0])])
    values[0] = 5.0
    assert "toono_offline 5.0" in found.text().decode()
