# SPDX-License-Identifier: Apache-2.0
"""Services that are the cloud's alone."""

import pytest

from toono.filters.discardcloudservice import DiscardCloudService
from toono.filters.fields import FORMS

from .kit import JSON, filtered, meta

FILTER = DiscardCloudService()


def service(kind: str, **annotations: str) -> dict[str, object]:
    notes = {f"svc.openyurt.io/{key}": value for key, value in annotations.items()}
    return {"metadata": meta("web", annotations=notes), "spec": {"type": kind}}


def test_a_load_balancer_that_is_marked_is_dropped() -> None:
    assert filtered(FILTER, "Service", service("LoadBalancer", discard="true")) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [("ClusterIP", "true"), ("NodePort", "true"), ("LoadBalancer", "\x00yes, TRUE")],
)
def test_others_stay(kind: str, value: str) -> None:
    assert filtered(FILTER, "Service", service(kind, discard=value)) == "same"


def test_the_tunnel_is_dropped_by_its_name_in_its_namespace() -> None:
    name = "x-tunnel-server-internal-svc"
    tunnel = {"metadata": meta(name, "kube-system"), "spec": {}}
    assert filtered(FILTER, "Service", tunnel) is None
    assert filtered(FILTER, "Service", {"metadata": meta(name), "spec": {}}) == "same"


def test_a_service_without_annotations_or_spec_stays() -> None:
    bare = b'{"metadata":{"name":"a","annotations":null}}'
    assert FILTER(FORMS[JSON], bare) is bare
