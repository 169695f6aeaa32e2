# SPDX-License-Identifier: Apache-2.0
"""Filters by YurtHub's options."""

import pytest

from toono.config.filter_options import door_shut, filters_off, surroundings_of
from toono.config.options import Options, load
from toono.filters.approval import DEFAULTS, OF_THE_DOOR
from toono.filters.base import Door
from toono.filters.inputs import Surroundings


def options(**given: str) -> Options:
    flags = {name.replace("_", "-"): value for name, value in given.items()}
    return load(flags, {})


POD_FACING = {
    "enable_dummy_if": "false",
    "bind_proxy_address": "169.254.2.1",
    "serving_cert_file": "/a/b.pem",
}


def test_by_default_the_door_is_the_interface_s_and_shut_until_its_certificate() -> (
    None
):
    assert surroundings_of(options()) == Surroundings(door=Door("169.254.2.1", 10268))
    assert filters_off(options()) == frozenset()
    assert door_shut(options())
    assert not door_shut(options(serving_cert_file="/a/b.pem"))


def test_without_a_door_what_leads_to_it_is_off() -> None:
    assert surroundings_of(options(enable_dummy_if="false")) == Surroundings()
    assert filters_off(options(enable_dummy_if="false")) == OF_THE_DOOR


@pytest.mark.parametrize(
    "change",
    [
        {"bind_proxy_address": "127.0.0.1"},
        {"bind_proxy_address": "0.0.0.0"},
        {"bind_proxy_address": "::1"},
        {"bind_proxy_address": "edge.local"},
    ],
)
def test_what_pods_cannot_reach_or_trust_is_no_door(change: dict[str, str]) -> None:
    assert surroundings_of(options(**POD_FACING | change)).door is None


def test_an_address_for_pods_is_the_door() -> None:
    given = options(**POD_FACING, proxy_secure_port="10270")
    assert surroundings_of(given).door == Door("169.254.2.1", 10270)
    assert filters_off(given) == frozenset()


def test_filters_are_switched_off_by_name_or_all() -> None:
    given = options(**POD_FACING, disabled_resource_filters="masterservice,other")
    assert filters_off(given) == {"masterservice"}
    given = options(**POD_FACING, disabled_resource_filters="*")
    assert filters_off(given) == frozenset(DEFAULTS)
    given = options(**POD_FACING, enable_resource_filter="false")
    assert filters_off(given) == frozenset(DEFAULTS)


def test_pools_come_from_pools_buckets_or_nowhere() -> None:
    found = surroundings_of(options(nodepool_name="hangzhou"))
    assert (found.pool, found.pools, found.buckets) == ("hangzhou", True, False)
    found = surroundings_of(
        options(enable_pool_service_topology="true", enable_node_pool="false")
    )
    assert (found.pools, found.buckets) == (True, True)
    assert not surroundings_of(options(enable_node_pool="false")).pools


def test_beside_the_cloud_three_filters_are_off() -> None:
    three = {"discardcloudservice", "forwardkubesvctraffic", "serviceenvupdater"}
    given = options(**POD_FACING, working_mode="cloud")
    assert filters_off(given) == three
    more = options(working_mode="cloud", disabled_resource_filters="nodeportisolation")
    assert filters_off(more) == three | {"nodeportisolation"}
