# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.upstream.health import Hysteresis, Probe, judge

READY, UNREADY, SILENT = Probe.READY, Probe.UNREADY, Probe.SILENT


def story(*probes: Probe, up_after: int = 2) -> list[bool]:
    health = Hysteresis(up_after=up_after)
    found = []
    for probe in probes:
        health.observe(probe)
        found.append(health.healthy)
    return found


def test_the_first_probe_counts_at_once() -> None:
    assert story(READY) == [True]
    assert story(SILENT) == [False]


def test_one_silent_probe_is_down_and_enough_good_ones_are_up() -> None:
    assert story(READY, SILENT, READY, READY) == [True, False, False, True]


def test_good_probes_must_follow_one_another() -> None:
    assert story(SILENT, READY, SILENT, READY) == [False, False, False, False]


def test_a_server_that_is_not_ready_can_be_reached() -> None:
    health = Hysteresis(up_after=1)
    health.observe(UNREADY)
    assert (health.healthy, health.ready) == (True, False)


def test_flips_are_told() -> None:
    health = Hysteresis(up_after=1)
    flips = [health.observe(p) for p in (READY, READY, SILENT, SILENT, READY)]
    assert flips == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("status", "probe"),
    [
        (200, READY),
        (401, READY),
        (403, READY),
        (429, READY),
        (500, UNREADY),
        (503, UNREADY),
        (None, SILENT),
    ],
)
def test_any_answer_proves_the_link(status: int | None, probe: Probe) -> None:
    assert judge(status) is probe
