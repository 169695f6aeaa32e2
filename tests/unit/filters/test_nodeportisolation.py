# SPDX-License-Identifier: Apache-2.0
"""In which pools a node port is opened."""

import pytest

from toono.filters.nodeportisolation import NodePortIsolation, listens

from .kit import filtered, meta


def service(kind: str, listen: str | None) -> dict[str, object]:
    notes = {} if listen is None else {"nodeport.openyurt.io/listen": listen}
    return {"metadata": meta("web", annotations=notes), "spec": {"type": kind}}


@pytest.mark.parametrize(
    ("listen", "there"),
    [
        ("hangzhou", True),
        ("shanghai", False),
        ("shanghai, hangzhou", True),
        ("*", True),
        ("-hangzhou,*", False),
        ("*,-hangzhou", False),
        ("-shanghai,*", True),
        ("-shanghai", False),
        ("hangzhou,-hangzhou", True),
        ("-hangzhou,hangzhou", False),
        ("- hangzhou , *", False),
        ("-*", False),
        ("", True),
        (" , ,-", True),
        ("\x00\u2028;;", False),
    ],
)
def test_by_the_annotation(listen: str, there: bool) -> None:
    assert listens(listen, "hangzhou") is there
    found = filtered(
        NodePortIsolation("hangzhou"), "Service", service("NodePort", listen)
    )
    assert found == ("same" if there else None)


def test_a_load_balancer_has_node_ports_and_a_cluster_ip_has_none() -> None:
    one = NodePortIsolation("hangzhou")
    assert filtered(one, "Service", service("LoadBalancer", "shanghai")) is None
    assert filtered(one, "Service", service("ClusterIP", "shanghai")) == "same"


def test_without_an_annotation_or_a_pool_all_stays() -> None:
    one = NodePortIsolation("hangzhou")
    assert filtered(one, "Service", service("NodePort", None)) == "same"
    nowhere = NodePortIsolation("")
    assert filtered(nowhere, "Service", service("NodePort", "-hangzhou")) == "same"
