# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.autonomy.writes import WriteTable
from toono.kube.request import Call, Caller
from toono.pipeline.route import Facts, Route, choose_route

CALLER = Caller(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))
ONLINE = Facts(online=True, node_name="edge-1")
OFFLINE = Facts(online=False, node_name="edge-1")


def call(verb: str, resource: str = "pods", **fields) -> Call:
    return Call(
        method="GET",
        target=b"/",
        path="/",
        verb=verb,
        version="v1",
        resource=resource,
        caller=CALLER,
        **fields,
    )


BESIDE_THE_CLOUD = Facts(online=False, node_name="edge-1", keeps=False)

ROWS = [
    (call("get"), Route.LOCAL),
    (call("list"), Route.LOCAL),
    (call("watch"), Route.LOCAL),
    (call("get", subresource="status"), Route.LOCAL),
    (call("get", subresource="log"), Route.REFUSE),
    (call("get", ""), Route.REFUSE),
    (call("create"), Route.REFUSE),
    (call("create", "nodes"), Route.LOCAL),
    (call("create", "nodes", group="metrics.k8s.io"), Route.REFUSE),
    (call("create", "nodes", subresource="proxy"), Route.REFUSE),
    (call("update", "leases", group="coordination.k8s.io"), Route.REFUSE),
    (call("patch"), Route.REFUSE),
    (call("delete"), Route.REFUSE),
    (call("deletecollection"), Route.REFUSE),
    (call("create", "events", namespace="a"), Route.ALONE),
    (call("create", "serviceaccounts", subresource="token"), Route.ALONE),
    (call("create", "serviceaccounts"), Route.REFUSE),
    (
        call("create", "tokenreviews", group="authentication.k8s.io"),
        Route.ALONE,
    ),
]


@pytest.mark.parametrize(("one", "cut_off"), ROWS)
def test_route(one: Call, cut_off: Route) -> None:
    assert choose_route(one, ONLINE) is Route.FORWARD
    assert choose_route(one, OFFLINE) is cut_off


def test_a_status_waits_only_where_that_was_chosen() -> None:
    kind = "application/strategic-merge-patch+json"
    patch = call("patch", subresource="status", name="a", content_type=kind)
    assert choose_route(patch, OFFLINE) is Route.REFUSE
    chosen = Facts(
        online=False, node_name="edge-1", writes=WriteTable(statuses="spool")
    )
    assert choose_route(patch, chosen) is Route.ALONE


def test_an_unchanged_node_of_ones_own_is_answered_here() -> None:
    own = call("get", "nodes", name="edge-1")
    online = Facts(online=True, node_name="edge-1", unchanged=True)
    assert choose_route(own, online) is Route.LOCAL
    offline = Facts(online=False, node_name="edge-1", unchanged=True)
    assert choose_route(call("delete"), offline) is Route.REFUSE


@pytest.mark.parametrize("asked", [row[0] for row in ROWS], ids=str)
def test_a_hub_that_keeps_nothing_answers_nothing_alone(asked: Call) -> None:
    assert choose_route(asked, BESIDE_THE_CLOUD) is Route.REFUSE
    online = Facts(online=True, node_name="edge-1", keeps=False)
    assert choose_route(asked, online) is Route.FORWARD
