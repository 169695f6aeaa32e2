# SPDX-License-Identifier: Apache-2.0
"""The verbs of a resource, asked as a client asks."""

import asyncio
import json

import pytest

from tests.unit.testing.apiserver.kit import (
    MAPS,
    MERGE,
    PODS,
    World,
    config_map,
    names,
    pod,
    run,
)
from toono.testing.apiserver.encodings import ProtobufEncoding
from toono.testing.apiserver.shapes import Whole
from toono.testing.clock import settle

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
CRONTABS = "/apis/x.example.com/v1/namespaces/default/crontabs"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def test_what_is_created_can_be_got_updated_and_deleted() -> None:
    async def scenario(world: World) -> None:
        made = await world.ask("POST", MAPS, config_map("a", k="v"))
        assert made.status == 201
        got = await world.ask("GET", MAPS + "/a")
        assert (got.status, got.body) == (200, made.body)
        head = await world.ask("HEAD", MAPS + "/a")
        assert head.status == 200
        new = await world.ask("PUT", MAPS + "/a", {**made.body, "data": {"k": "w"}})
        assert (new.status, new.body["data"]) == (200, {"k": "w"})
        stale = await world.ask("PUT", MAPS + "/a", made.body)
        assert (stale.status, stale.body["reason"]) == (409, "Conflict")
        gone = await world.ask("DELETE", MAPS + "/a")
        assert gone.body["status"] == "Success"
        assert gone.body["details"] == {
            "name": "a",
            "kind": "configmaps",
            "uid": made.body["metadata"]["uid"],
        }
        assert (await world.ask("GET", MAPS + "/a")).status == 404

    run(scenario)


@pytest.mark.parametrize(
    ("method", "target", "code"),
    [
        ("PUT", MAPS, 405),
        ("PATCH", MAPS, 405),
        ("POST", MAPS + "/a", 405),
        ("OPTIONS", MAPS, 405),
        ("DELETE", PODS + "/a/status", 405),
        ("GET", MAPS + "/a/status", 404),
        ("GET", PODS + "/a/log", 404),
        ("GET", PODS + "/a/eviction", 405),
        ("PUT", MAPS + "/a", 404),
        ("DELETE", "/api/v1/namespaces", 405),
        ("GET", "/apis/authorization.k8s.io/v1/subjectaccessreviews", 405),
        ("GET", "/apis/authorization.k8s.io/v1/subjectaccessreviews?watch=true", 405),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", 404),
        ("GET", "/api/v1/componentstatuses?watch=true", 405),
        ("GET", "/api/v1/componentstatuses", 200),
    ],
)
def test_verbs_that_are_not_there(method: str, target: str, code: int) -> None:
    async def scenario(world: World) -> None:
        assert (await world.ask(method, target, config_map("a"))).status == code

    run(scenario)


def test_leases_are_made_by_a_put() -> None:
    async def scenario(world: World) -> None:
        content = {"metadata": {"name": "a"}, "spec": {"holderIdentity": "n"}}
        made = await world.ask("PUT", LEASES + "/a", content)
        assert (made.status, made.body["metadata"]["namespace"]) == (201, "default")
        assert (await world.ask("PUT", LEASES + "/a", content)).status == 422
        assert (await world.ask("PUT", LEASES + "/a", made.body)).status == 200

    run(scenario)


def test_patches_change_what_is_there() -> None:
    async def scenario(world: World) -> None:
        await world.ask("POST", MAPS, config_map("a", k="v"))
        told = await world.patch(MAPS + "/a", {"data": {"l": "w"}}, MERGE + "; a=b")
        assert told.body["data"] == {"k": "v", "l": "w"}
        told = await world.patch(MAPS + "/a", {"data": {"k": None}}, STRATEGIC)
        assert told.body["data"] == {"l": "w"}
        stale = {"metadata": {"resourceVersion": "1"}}
        assert (await world.patch(MAPS + "/a", stale)).status == 409
        assert (await world.patch(MAPS + "/b", {})).status == 404
        assert (await world.patch(MAPS + "/a", {}, "application/nope")).status == 415
        dry = await world.patch(MAPS + "/a?dryRun=All", {"data": {"l": "x"}})
        assert dry.body["data"] == {"l": "x"}
        assert (await world.ask("GET", MAPS + "/a")).body["data"] == {"l": "w"}

    run(scenario)


def test_what_is_applied_is_made_or_merged() -> None:
    async def scenario(world: World) -> None:
        mine = MAPS + "/a?fieldManager=me"
        made = await world.patch(mine, {"data": {"k": "v"}}, APPLY)
        assert (made.status, made.body["metadata"]["name"]) == (201, "a")
        more = await world.patch(mine, {"data": {"l": "w"}}, APPLY)
        assert (more.status, more.body["data"]) == (200, {"k": "v", "l": "w"})
        nameless = await world.patch(MAPS + "/a", {}, APPLY)
        assert nameless.body["details"]["causes"][0]["field"] == "fieldManager"
        status = await world.patch(PODS + "/a/status?fieldManager=me", {}, APPLY)
        assert status.status == 404

    run(scenario)


def test_status_and_spec_are_two_doors() -> None:
    async def scenario(world: World) -> None:
        await world.ask("POST", PODS, pod("a") | {"status": {"phase": "Pending"}})
        both = {"spec": {"nodeName": "x"}, "status": {"phase": "Running"}}
        told = await world.patch(PODS + "/a", both)
        assert told.body["spec"]["nodeName"] == "x"
        assert told.body["status"]["phase"] == "Pending"
        both["spec"]["nodeName"] = "y"
        told = await world.patch(PODS + "/a/status", both)
        assert told.body["spec"]["nodeName"] == "x"
        assert told.body["status"]["phase"] == "Running"
        got = await world.ask("GET", PODS + "/a/status")
        assert got.body == told.body

    run(scenario)


def test_a_collection_is_deleted_as_it_was_selected() -> None:
    async def scenario(world: World) -> None:
        for name, label in (("a", "x"), ("b", "y"), ("c", "x")):
            content = {"metadata": {"name": name, "labels": {"l": label}}}
            await world.ask("POST", MAPS, content)
        dry = await world.ask("DELETE", MAPS + "?labelSelector=l%3Dx&dryRun=All")
        assert names(dry) == ["a", "c"]
        gone = await world.ask("DELETE", MAPS + "?labelSelector=l%3Dx")
        assert (gone.body["kind"], names(gone)) == ("ConfigMapList", ["a", "c"])
        assert names(await world.ask("GET", MAPS)) == ["b"]

    run(scenario)


def test_an_eviction_deletes_with_grace() -> None:
    async def scenario(world: World) -> None:
        await world.ask("POST", PODS, pod("a"))
        target = PODS + "/a/eviction"
        eviction = {"kind": "Eviction", "metadata": {"name": "a"}}
        dry = await world.ask("POST", target + "?dryRun=All", eviction)
        assert (dry.status, dry.body["status"]) == (201, "Success")
        got = (await world.ask("GET", PODS + "/a")).body
        assert "deletionTimestamp" not in got["metadata"]
        wrong = eviction | {"metadata": {"name": "b"}}
        assert (await world.ask("POST", target, wrong)).status == 400
        assert (await world.ask("POST", target, {"kind": "Pod"})).status == 400
        body = eviction | {"deleteOptions": {"gracePeriodSeconds": 7}}
        assert (await world.ask("POST", target, body)).status == 201
        meta = (await world.ask("GET", PODS + "/a")).body["metadata"]
        assert meta["deletionGracePeriodSeconds"] == 7

    run(scenario)


def test_a_version_to_come_is_waited_for_a_while() -> None:
    async def scenario(world: World) -> None:
        await world.ask("POST", MAPS, config_map("a"))
        targets = (
            MAPS + "?resourceVersion=102",
            MAPS + "/a?resourceVersion=102",
            MAPS + "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
            "&resourceVersion=102",
        )
        for target in targets:
            asking = asyncio.ensure_future(world.respond("GET", target))
            await settle()
            await world.clock.advance(2.9)
            assert not asking.done()
            await world.clock.advance(0.2)
            response = await asking
            assert response.status == 504
            assert json.loads(response.content)["details"]["retryAfterSeconds"] == 1
        asking = asyncio.ensure_future(world.respond("GET", targets[0]))
        await settle()
        world.server.create("configmaps", config_map("b"), namespace="default")
        await world.clock.advance(3)
        assert (await asking).status == 200

    run(scenario)


def test_a_watch_says_its_type() -> None:
    async def scenario(world: World) -> None:
        for accept, kind in (
            ("", "application/json"),
            (PROTOBUF, PROTOBUF + ";stream=watch"),
        ):
            response = await world.respond("GET", PODS + "?watch=1", accept=accept)
            assert dict(response.headers)[b"Content-Type"] == kind.encode()
            response.body.close()

    run(scenario)


def test_writes_are_answered_in_the_form_that_is_asked() -> None:
    async def scenario(world: World) -> None:
        made = await world.ask("POST", MAPS, config_map("a", k="v"), accept=PARTIAL)
        assert made.body["kind"] == "PartialObjectMetadata"
        unmade = "application/yaml"
        refused = await world.ask("POST", MAPS, config_map("b"), accept=unmade)
        assert refused.status == 406
        assert (await world.ask("GET", MAPS + "/b")).status == 404
        got = await world.respond("GET", MAPS + "/none", accept=PROTOBUF)
        assert got.content.startswith(b"k8s\0")

    run(scenario)


def test_objects_come_in_protobuf_too() -> None:
    async def scenario(world: World) -> None:
        shape = Whole(world.server.resources["", "v1", "configmaps"])
        meta = {"name": "a", "resourceVersion": "1"}
        content = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta}
        body = ProtobufEncoding(shape).one({**content, "data": {"k": "v"}})
        made = await world.ask("POST", MAPS, body)
        assert (made.status, made.body["data"]) == (201, {"k": "v"})

    run(scenario)


def test_custom_resources_are_written_in_their_own_order() -> None:
    async def scenario(world: World) -> None:
        content = {"spec": {"b": 1, "a": 2}, "metadata": {"name": "a"}}
        made = await world.ask("POST", CRONTABS, content)
        assert list(made.body) == ["apiVersion", "kind", "metadata", "spec"]
        changed = await world.patch(CRONTABS + "/a", {"spec": {"a": 3}})
        assert changed.body["metadata"]["generation"] == 2
        assert (await world.patch(CRONTABS + "/a", {}, STRATEGIC)).status == 415

    run(scenario)


def test_an_end_is_told_in_the_media_type_that_is_wanted() -> None:
    async def scenario(world: World) -> None:
        lease = {"metadata": {"name": "a"}}
        for accept in ("application/json", PROTOBUF):
            await world.ask("POST", LEASES, lease)
            gone = await world.respond("DELETE", LEASES + "/a", accept=accept)
            assert dict(gone.headers)[b"Content-Type"] == accept.encode()
            assert b"Success" in gone.content
            assert b"coordination.k8s.io" in gone.content

    run(scenario)


def test_a_pod_s_end_is_told_with_the_pod() -> None:
    async def scenario(world: World) -> None:
        await world.ask("POST", PODS, pod("a"))
        gone = await world.ask("DELETE", PODS + "/a?gracePeriodSeconds=0")
        assert gone.body["metadata"]["deletionGracePeriodSeconds"] == 0
        assert (await world.ask("GET", PODS + "/a")).status == 404

    run(scenario)
