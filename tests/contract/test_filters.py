# SPDX-License-Identifier: Apache-2.0
"""Filters over what a real API server answered: nothing else in an answer changes."""

import pytest
from tests.contract.recordings import JSON, PROTOBUF, connections, recordings

from toono.codec.registry import for_media_type
from toono.codec.transcode import to_json
from toono.errors import CodecError
from toono.filters.base import Door
from toono.filters.discardcloudservice import DiscardCloudService
from toono.filters.fields import FORMS, Field
from toono.filters.forwardkubesvctraffic import ForwardKubeSvcTraffic
from toono.filters.inclusterconfig import InClusterConfig
from toono.filters.masterservice import MasterService
from toono.filters.nodeportisolation import NodePortIsolation
from toono.filters.serviceenvupdater import ServiceEnvUpdater
from toono.filters.servicetopology import Place, ServiceTopology
from toono.filters.sieve import Sieve

DOOR = Door("169.254.2.1", 10268)
EVERY = (
    MasterService(DOOR),
    ServiceEnvUpdater(DOOR),
    InClusterConfig(),
    DiscardCloudService(),
    NodePortIsolation("hangzhou"),
)
SPEC, CLUSTER_IP = Field("spec", 2), Field("clusterIP", 3)


def services(media_type: str) -> list[bytes]:
    """Return all recorded lists of services of a form."""
    return [
        one.body
        for one in (*recordings(), *connections())
        if one.status == 200
        and one.media_type == media_type
        and b"/services" in one.target
        and b"watch=" not in one.target
        and b"ServiceList" in one.body
    ]


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_one_service_of_a_recorded_list_changes_and_all_else_stays(
    media_type: str,
) -> None:
    codec = for_media_type(media_type)
    assert codec is not None
    bodies = services(media_type)
    assert bodies
    for body in bodies:
        before = codec.split_list(body)
        after = codec.split_list(Sieve(EVERY).listed(media_type, body))
        assert after._replace(items=()) == before._replace(items=())
        for old, new in zip(before.items, after.items, strict=True):
            if (old.namespace, old.name) != ("default", "kubernetes"):
                assert new == old
                continue
            data = new.data
            if media_type == PROTOBUF:
                data = to_json(data, kind="Service", api_version="v1")
            assert b'"clusterIP":"169.254.2.1","clusterIPs":["169.254.2.1"]' in data
            assert b'"port":10268' in data


def test_every_recorded_answer_passes_whole_or_is_said_to_be_no_such_answer() -> None:
    place = Place(node="edge-1", zone="z1")
    sieve = Sieve(
        (
            *EVERY,
            ForwardKubeSvcTraffic(DOOR),
            ServiceTopology("endpointslices", {("shop", "cart"): "node"}, place),
        )
    )
    seen = 0
    for one in (*recordings(), *connections()):
        if one.status != 200 or one.media_type not in FORMS or b"watch" in one.target:
            continue
        for sift in (sieve.single, sieve.listed):
            try:
                after = sift(one.media_type, one.body)
            except CodecError:
                continue
            codec = for_media_type(one.media_type)
            assert codec is not None
            if after != one.body:
                seen += 1
                again = sift(one.media_type, after)
                assert again == after
    assert seen
