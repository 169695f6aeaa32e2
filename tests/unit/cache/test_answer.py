# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace

import pytest

from tests.unit.cache.kit import (
    Cache,
    Journal,
    call,
    encode,
    event,
    not_found,
    one,
    pod,
    pod_list,
    run,
)
from toono.cache.answer import ServedKind, Unacceptable, Unknown
from toono.cache.received import question_of
from toono.cache.scope import Row
from toono.cache.unknown import DAMAGED, OWN_ABSENT
from toono.codec.transcode import to_protobuf

PODS = "/api/v1/pods"
POD_A = "/api/v1/namespaces/default/pods/a"
NODE = "/api/v1/nodes/edge-1"


def service_list(version: int) -> bytes:
    meta = {"resourceVersion": str(version)}
    head = {"kind": "ServiceList", "apiVersion": "v1", "metadata": meta}
    return encode(head | {"items": []})


def test_a_narrower_question_is_answered_from_one_that_contains_it() -> None:
    async def scenario() -> None:
        cache = Cache()
        red, blue = {"color": "red"}, {"color": "blue"}
        body = pod_list(
            20,
            pod("a", 5, labels=red),
            pod("b", 6, labels=blue),
            pod("c", 7, labels=red, namespace="shop"),
        )
        await cache.take(PODS, body)
        assert await cache.list(PODS + "?labelSelector=color%3Dred") == (20, ["a", "c"])
        shop = "/api/v1/namespaces/shop/pods"
        assert await cache.list(shop) == (20, ["c"])
        assert await cache.list(shop + "?labelSelector=color!%3Dred") == (20, [])
        named = PODS + "?fieldSelector=metadata.name%3Db"
        assert await cache.list(named) == (20, ["b"])
        placed = PODS + "?fieldSelector=spec.nodeName%3Dedge-2"
        assert await cache.list(placed) == (20, [])

    run(scenario)


def test_a_kubelet_s_pods_are_what_it_was_told_itself() -> None:
    """Another's list may be newer and lack them: no guard has asked about that one."""

    async def scenario() -> None:
        cache = Cache()
        mine = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
        await cache.take(mine, pod_list(20, pod("a", 5), pod("b", 6)))
        for target in (mine, PODS):
            await cache.take(target, pod_list(30), agent="agent/v1")
        assert await cache.list(mine) == (20, ["a", "b"])
        assert await cache.list(mine, agent="agent/v1") == (30, [])
        services = "/api/v1/services"
        await cache.take(services, service_list(20))
        await cache.take(services, service_list(30), agent="agent/v1")
        assert await cache.list(services) == (30, [])

    run(scenario)


@pytest.mark.parametrize("kept", ["list", "object"])
def test_no_other_component_s_word_ends_a_pod_for_the_kubelet(kept: str) -> None:
    """Of an empty list or a 404 that another was told: a kubelet drops what is 404."""

    async def scenario() -> None:
        cache = Cache()
        if kept == "list":
            mine = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
            await cache.take(mine, pod_list(20, pod("a", 5)))
        else:
            await cache.take(POD_A, one(pod("a", 5)))
        await cache.take(PODS, pod_list(30), agent="agent/v1")
        await cache.take(POD_A, not_found("a"), status=404, agent="agent/v1")
        assert await cache.get(POD_A) == "5"
        assert await cache.get(POD_A, agent="agent/v1") == "Absent"
        unseen = POD_A + "-2"
        assert await cache.get(unseen) == "Unknown"
        assert await cache.get(unseen, agent="agent/v1") == "Absent"
        await cache.take(POD_A, not_found("a"), status=404)
        assert await cache.get(POD_A) == "Absent"

    run(scenario)


def test_a_wider_question_is_unknown() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS + "?labelSelector=color%3Dred", pod_list(20))
        assert await cache.list(PODS) == "Unknown"
        assert await cache.list(PODS + "?labelSelector=color%3Dblue") == "Unknown"
        one_namespace = "/api/v1/namespaces/shop/pods"
        await cache.take(one_namespace, pod_list(21))
        assert await cache.list(PODS) == "Unknown"

    run(scenario)


def test_scopes_share_no_rows() -> None:
    async def scenario() -> None:
        cache = Cache()
        red = PODS + "?labelSelector=color%3Dred"
        await cache.take(PODS, pod_list(20, pod("a", 5, labels={"color": "red"})))
        await cache.take(red, pod_list(20, pod("a", 5, labels={"color": "red"})))
        stream = await cache.watch(red + "&watch=true&resourceVersion=20")
        stream.feed(event("DELETED", pod("a", 21)))  # it left the selector, and lives
        assert await cache.list(red) == (21, [])
        assert await cache.list(PODS) == (20, ["a"])
        assert await cache.get(POD_A) == "5"

    run(scenario)


def test_the_newest_scope_that_covers_the_name_decides() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, one(pod("a", 5)))
        await cache.take(PODS, pod_list(20))
        assert await cache.get(POD_A) == "Absent"
        await cache.take(POD_A, one(pod("a", 30)))
        assert await cache.get(POD_A) == "30"

    run(scenario)


def test_what_a_lost_scope_would_say_of_a_name_is_not_said_by_an_older_one() -> None:
    async def scenario() -> None:
        cache = Cache(Journal())
        await cache.take(POD_A, one(pod("a", 5)))
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        cache.store.full = True
        stream.feed(event("DELETED", pod("a", 21)))
        cache.store.full = False
        assert await cache.get(POD_A) == "Unknown"

    run(scenario)


def test_a_watch_that_only_began_hides_nothing() -> None:
    """Also where it began after the cloud was restored, in an epoch of its own."""

    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, one(pod("a", 5)))
        await cache.take("/api/v1/services", pod_list(50))
        await cache.take("/api/v1/services", pod_list(40))  # it was restored
        await cache.watch(PODS + "?watch=true&resourceVersion=40")
        assert await cache.get(POD_A) == "5"

    run(scenario)


def test_a_list_by_name_covers_that_name_alone() -> None:
    async def scenario() -> None:
        cache = Cache()
        path = "/api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Da"
        await cache.take(path, pod_list(20))
        assert await cache.get(POD_A) == "Absent"
        assert await cache.get(POD_A[:-1] + "b") == "Unknown"

    run(scenario)


def test_a_remembered_404_makes_no_empty_list() -> None:
    """A 404 tells that a name is gone, and not since when: no version fits a list."""

    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, not_found("a"), status=404)
        path = "/api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Da"
        assert await cache.list(path) == "Unknown"
        await cache.take(POD_A, one(pod("a", 30)))
        assert await cache.list(path) == (30, ["a"])

    run(scenario)


def test_a_selector_proves_no_absence_but_shows_what_it_holds() -> None:
    async def scenario() -> None:
        cache = Cache()
        mine = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
        await cache.take(mine, pod_list(20, pod("a", 5)))
        assert await cache.get(POD_A) == "5"
        assert await cache.get(POD_A[:-1] + "b") == "Unknown"

    run(scenario)


def test_a_remembered_404_of_the_node_s_own_objects_is_never_served() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(NODE, not_found("edge-1"), status=404)
        assert await cache.get(NODE) == "Unknown"
        other = "/api/v1/nodes/edge-2"
        await cache.take(other, not_found("edge-2"), status=404)
        assert await cache.get(other) == "Absent"

    run(scenario)


def node_list(version: int, *names: str) -> bytes:
    meta = {"resourceVersion": str(version)}
    items = [{"metadata": {"name": one, "resourceVersion": "5"}} for one in names]
    head = {"kind": "NodeList", "apiVersion": "v1", "metadata": meta}
    return encode(head | {"items": items})


def test_what_is_said_of_the_node_s_own_that_is_absent_is_true() -> None:
    """It is neither damaged nor unknown: it is known to be absent, and not denied."""

    async def scenario() -> None:
        listed, asked, gone = Cache(), Cache(), Cache()
        await listed.take("/api/v1/nodes", node_list(9))
        await asked.take(NODE, not_found("edge-1"), status=404)
        await gone.take("/api/v1/nodes", node_list(9, "edge-1"))
        await gone.take(NODE, not_found("edge-1"), status=404, agent="agent/v1")
        for cache in (listed, asked, gone):
            answer = await cache.answers.get(call(NODE), lambda _: True)
            assert answer == Unknown(OWN_ABSENT)
        stream = await listed.watch("/api/v1/nodes?watch=true&resourceVersion=9")
        stream.feed(b'{"type":"ADDED","object":{}}\n')  # it may have been this one
        answer = await listed.answers.get(call(NODE), lambda _: True)
        assert answer == Unknown(DAMAGED)

    run(scenario)


def test_an_incomplete_scope_lists_nothing_and_still_gives_what_it_has() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        stream.feed(b'{"type":"ADDED","object":{}}\n')
        assert await cache.list(PODS) == "Unknown"
        assert await cache.get(POD_A) == "5"
        assert await cache.get(POD_A[:-1] + "b") == "Unknown"

    run(scenario)


def test_known_in_no_acceptable_form_is_not_unknown() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        nothing = [
            await cache.answers.list(call(PODS), lambda _: False),
            await cache.answers.get(call(POD_A), lambda _: False),
        ]
        assert nothing == [Unacceptable(), Unacceptable()]

    run(scenario)


@pytest.mark.parametrize("version", ["v1beta1", "v2"])
def test_another_version_of_the_api_is_another_question(version: str) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        assert await cache.list(f"/api/{version}/pods") == "Unknown"

    run(scenario)


def test_rows_come_in_the_api_server_s_order() -> None:
    async def scenario() -> None:
        cache = Cache()
        body = pod_list(
            20, pod("x", 5, namespace="a"), pod("x", 6, namespace="a-b"), pod("b", 7)
        )
        await cache.take(PODS, body)
        answer = await cache.answers.list(call(PODS), lambda _: True)
        assert [b'"a-b"' in item for item in answer.items] == [True, False, False]

    run(scenario)


WIDGETS = "/apis/x.example.com/v1/widgets"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PROTOBUF = "application/vnd.kubernetes.protobuf"


async def defined(cache: Cache, form: str, *, names: tuple[str, ...]) -> None:
    """Put definitions into the cache, in one form."""
    question = question_of(call(DEFINITIONS), form)
    scope = cache.scopes.ensure(question)
    scope.kind, scope.api_version = (
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
    )
    for name in names:
        data = b'{"metadata":{"name":"%b"},"spec":{"scope":"Cluster"}}' % name.encode()
        if form == PROTOBUF:
            data = to_protobuf(data, kind=scope.kind, api_version=scope.api_version)
        scope.rows["", name] = Row("u", "5", data, len(data))


@pytest.mark.parametrize("form", ["application/json", PROTOBUF])
def test_a_definition_is_found_in_either_coding(form: str) -> None:
    async def scenario() -> None:
        cache = Cache()
        await defined(cache, form, names=("widgets.x.example.com",))
        found = await cache.answers.definition(call(WIDGETS))
        assert json.loads(found or b"")["spec"]["scope"] == "Cluster"
        other = WIDGETS.replace("widgets", "gadgets")
        assert await cache.answers.definition(call(other)) is None

    run(scenario)


def test_custom_resources_are_picked_by_the_fields_that_are_declared() -> None:
    async def scenario() -> None:
        cache = Cache()
        red = {
            "metadata": {"name": "a", "resourceVersion": "5"},
            "spec": {"color": "red"},
        }
        head = {"apiVersion": "x.example.com/v1", "kind": "WidgetList"}
        meta = {"metadata": {"resourceVersion": "9"}}
        typed = {"apiVersion": "x.example.com/v1", "kind": "Widget", **red}
        await cache.take(WIDGETS, encode({**head, "items": [typed], **meta}))
        asked = WIDGETS + "?fieldSelector=spec.color%3D{}"
        assert await cache.list(asked.format("red")) == "Unknown"
        await defined(cache, "application/json", names=("widgets.x.example.com",))
        assert await cache.list(asked.format("red")) == "Unknown"
        scope = cache.scopes.find(question_of(call(DEFINITIONS), "application/json"))
        versions = [{"name": "v1", "selectableFields": [{"jsonPath": ".spec.color"}]}]
        data = encode({"spec": {"versions": versions}})
        scope.rows["", "widgets.x.example.com"] = Row("u", "6", data, len(data))
        assert await cache.list(asked.format("red")) == (9, ["a"])
        assert await cache.list(asked.format("blue")) == (9, [])
        both = asked.format("red") + "%2Cspec.size%3D1"
        assert await cache.list(both) == "Unknown"
        broken = b"[]"
        scope.rows["", "widgets.x.example.com"] = Row("u", "7", broken, len(broken))
        assert await cache.list(asked.format("red")) == "Unknown"

    run(scenario)


def test_metadata_of_a_definition_tells_no_columns() -> None:
    async def scenario() -> None:
        cache = Cache()
        form = "application/json;as=PartialObjectMetadata"
        await defined(cache, form, names=("widgets.x.example.com",))
        assert await cache.answers.definition(call(WIDGETS)) is None

    run(scenario)


CUSTOM = "/apis/x.example.com/v1/{}drivers"


def driver_list(*names: str, namespace: str = "") -> bytes:
    """Return a list of custom resources, its keys in the API server's order."""
    where = {"namespace": namespace} if namespace else {}
    same = {"apiVersion": "x.example.com/v1"}
    items = [
        same
        | {"kind": "Driver"}
        | {"metadata": {"name": name, **where, "resourceVersion": "3"}}
        for name in names
    ]
    meta = {"metadata": {"continue": "", "resourceVersion": "9"}}
    return encode(same | {"items": items, "kind": "DriverList"} | meta)


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (ServedKind("Driver", namespaced=True), (9, [])),
        (ServedKind("Driver", namespaced=False), "Unknown"),
        (ServedKind("Driver", namespaced=None), "Unknown"),
        (None, "Unknown"),
    ],
)
def test_no_list_of_a_namespace_is_empty_unless_there_are_namespaces(
    served, expected
) -> None:
    async def scenario() -> None:
        cache = Cache()
        cache.answers = replace(cache.answers, served=lambda _: served)
        everywhere, here = CUSTOM.format(""), CUSTOM.format("namespaces/shop/")
        await cache.take(everywhere, driver_list())
        assert await cache.list(everywhere) == (9, [])
        assert await cache.list(here) == expected
        await cache.take(here, driver_list())
        assert await cache.list(here) == (9, []), "an empty list that was seen"

    run(scenario)


def test_an_object_in_a_namespace_tells_that_there_are_namespaces() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(CUSTOM.format(""), driver_list("a", namespace="shop"))
        assert await cache.list(CUSTOM.format("namespaces/other/")) == (9, [])

    run(scenario)


def test_an_empty_list_without_a_kind_gets_that_of_its_resource_or_none() -> None:
    async def scenario() -> None:
        cache = Cache()
        target = CUSTOM.format("")
        await cache.take(target, driver_list())
        (scope,) = cache.scopes.all()
        scope.kind = scope.api_version = ""
        assert await cache.list(target) == "Unknown"
        served = ServedKind("Driver", namespaced=True)
        cache.answers = replace(cache.answers, served=lambda _: served)
        assert await cache.list(target) == (9, [])
        assert (scope.kind, scope.api_version) == ("Driver", "x.example.com/v1")
        await cache.take(PODS, pod_list(9))
        (pods,) = cache.scopes.about("kubelet", "", "pods", "")
        pods.kind = pods.api_version = ""
        assert await cache.list(PODS) == (9, [])
        assert (pods.kind, pods.api_version) == ("Pod", "v1")

    run(scenario)
