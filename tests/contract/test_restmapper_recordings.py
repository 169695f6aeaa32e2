# SPDX-License-Identifier: Apache-2.0
"""The mapper against what a real kube-apiserver 1.34 said."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from tests.contract.recordings import WIRE, recording

from toono.restmapper import (
    GVK,
    GVR,
    GroupKind,
    Reply,
    RESTMapper,
    is_not_served,
)
from toono.restmapper.crds import read_definition
from toono.restmapper.discovery import ACCEPT_AGGREGATED, AggregatedReader
from toono.restmapper.fetch import Page, read_legacy

CRONTAB = GroupKind("x.example.com", "CronTab")


class Recorded:
    """A transport that answers from recordings: path → name."""

    def __init__(self, **names):
        self.names = names
        self.asked = []

    @asynccontextmanager
    async def get(self, target, headers):
        self.asked.append(target)
        name = self.names[target.strip("/").replace("/", "_").replace(".", "_")]
        exchange = recording(name)
        if headers.get("if-none-match") == etag_of(exchange):
            exchange = recording("discovery-apis-aggregated-304")
        yield Reply(
            status=exchange.status,
            headers=answered(exchange),
            chunks=_once(exchange.body),
        )


async def _once(body):
    yield body


def answered(exchange):
    """The fields of the answer, by lower-case name."""
    head = (WIRE / "exchanges" / f"{exchange.name}.response").read_bytes()
    lines = head.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    pairs = (line.partition(": ")[::2] for line in lines)
    return {name.lower(): value for name, value in pairs}


def etag_of(exchange):
    return answered(exchange).get("etag", "")


AGGREGATED = {
    "api": "discovery-api-aggregated",
    "apis": "discovery-apis-aggregated",
}
LEGACY = {
    "api": "discovery-api-legacy",
    "apis": "discovery-apis-legacy",
    "api_v1": "discovery-core-v1",
    "apis_x_example_com": "discovery-group",
    "apis_x_example_com_v1": "discovery-group-version",
    "apis_apiextensions_k8s_io_v1": "discovery-apiextensions",
}


def test_both_forms_tell_the_same_of_what_is_recorded_in_both():
    async def main():
        found = []
        for names in (AGGREGATED, LEGACY):
            mapper = RESTMapper(Recorded(**names))
            await mapper.rest_mapping(GroupKind("", "Pod"), "v1")
            await mapper.rest_mapping(CRONTAB, "v1")
            crds = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")
            await mapper.kind_for(crds)
            found.append(
                {
                    (each.resource, each.kind, each.scope, each.api.singular)
                    for each in mapper.snapshot.all_mappings()
                    if each.kind.group in ("", "x.example.com", "apiextensions.k8s.io")
                }
            )
        assert found[0] == found[1]
        assert len(found[0]) > 15

    asyncio.run(main())


def test_a_new_version_of_a_crd_is_found_at_the_first_ask():
    async def main():
        transport = Recorded(**AGGREGATED)
        mapper = RESTMapper(transport)
        assert (await mapper.rest_mapping(CRONTAB)).kind.version == "v1"
        transport.names["apis"] = "after-v2-discovery-apis-aggregated"
        sent = len(transport.asked)
        assert (await mapper.rest_mapping(CRONTAB, "v2")).kind.version == "v2"
        assert (await mapper.rest_mapping(CRONTAB)).kind.version == "v2"
        assert len(transport.asked) - sent == 1

    asyncio.run(main())


def test_the_recorded_304_keeps_the_snapshot():
    async def main():
        mapper = RESTMapper(Recorded(**AGGREGATED))
        await mapper.rest_mapping(CRONTAB)
        before = mapper.snapshot
        await mapper.refresh("x.example.com")
        assert mapper.snapshot is before

    asyncio.run(main())


@pytest.mark.parametrize("path", ["api", "apis"])
def test_the_aggregated_form_made_from_a_snapshot_is_the_servers(path):
    async def main():
        mapper = RESTMapper(Recorded(**AGGREGATED))
        await mapper.resources_for(GVR("", "", "pods"))
        served = mapper.serve("/" + path, accept=ACCEPT_AGGREGATED)
        assert served.body == recording(AGGREGATED[path]).body
        beta = ACCEPT_AGGREGATED.partition(",")[2]
        made = json.loads(mapper.serve("/" + path, accept=beta).body)
        made["apiVersion"] = "apidiscovery.k8s.io/v2"
        real = _filled_in(json.loads(recording(AGGREGATED[path]).body))
        assert json.dumps(made) == json.dumps(real)

    asyncio.run(main())


def _filled_in(content):
    """Built-in kinds leave out the group-version that is around them."""
    for item in content["items"]:
        group = item["metadata"].get("name", "")
        for version in item["versions"]:
            for resource in version.get("resources", ()):
                for told in (resource, *resource.get("subresources", ())):
                    kind = told.get("responseKind")
                    if kind and not kind["group"] and not kind["version"]:
                        kind |= {"group": group, "version": version["version"]}
    return content


MADE = {
    "/apis": "discovery-apis-legacy",
    "/apis/x.example.com": "discovery-group",
    "/apis/x.example.com/v1": "discovery-group-version",
    "/apis/apiextensions.k8s.io/v1": "discovery-apiextensions",
    "/api/v1": "discovery-core-v1",
    "/api": "discovery-api-legacy",
}


@pytest.mark.parametrize("path", MADE)
def test_the_legacy_form_made_from_the_aggregated_is_the_servers(path):
    async def main():
        mapper = RESTMapper(Recorded(**AGGREGATED))
        await mapper.resources_for(GVR("", "", "pods"))
        served = mapper.serve(path, accept="application/json")
        made, real = json.loads(served.body), json.loads(recording(MADE[path]).body)
        for each in real.get("resources", ()):
            each.pop("storageVersionHash", None)
        for content in (made, real):
            content.pop("serverAddressByClientCIDRs", None)
            content.get("resources", []).sort(key=lambda each: each["name"])
        assert made == real

    asyncio.run(main())


def test_protobuf_made_from_a_snapshot_has_the_servers_bytes():
    async def main():
        mapper = RESTMapper(Recorded(**LEGACY))
        await mapper.rest_mapping(GroupKind("", "Pod"))
        accept = "application/vnd.kubernetes.protobuf,application/json"
        served = mapper.serve("/api/v1", accept=accept)
        assert served.headers["content-type"] == "application/vnd.kubernetes.protobuf"
        return served.body

    made = asyncio.run(main())
    expected = recording("discovery-protobuf").body
    assert _without_hashes(made) == _without_hashes(expected)


def _fields(message):
    """(number, value) of a message; nested messages stay bytes."""
    at, found = 0, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            found.append((tag >> 3, varint()))
        else:
            length = varint()
            found.append((tag >> 3, message[at : at + length]))
            at += length
    return found


def _without_hashes(body):
    """The storage version hash (10) is in no aggregated document."""
    assert body.startswith(b"k8s\x00")
    envelope = _fields(body[4:])
    listing = _fields(dict(envelope)[2])
    rows = [
        [pair for pair in _fields(value) if pair[0] != 10]
        for number, value in listing
        if number == 2
    ]
    head = [pair for pair in envelope if pair[0] != 2]
    return head, dict(listing)[1], sorted(rows, key=str)


NOT_SERVED = {
    "discovery-group-404": True,
    "discovery-group-version-404": True,
    "get-resource-404": True,
    "after-crd-delete-list": True,
    "after-crd-delete-group": True,
    "get-pod-404": False,
    "get-pod-404-protobuf": False,
    "delete-configmap-404": False,
    "discovery-group": False,
}


@pytest.mark.parametrize(("name", "expected"), NOT_SERVED.items())
def test_what_says_that_a_resource_is_not_served(name, expected):
    exchange = recording(name)
    content_type = answered(exchange)["content-type"]
    assert is_not_served(exchange.status, content_type, exchange.body) is expected


def test_a_recorded_404_and_a_body_move_the_mapper():
    async def main():
        transport = Recorded(**AGGREGATED)
        mapper = RESTMapper(transport)
        await mapper.rest_mapping(CRONTAB)
        transport.names["apis"] = "after-v2-discovery-apis-aggregated"
        path = "/apis/x.example.com/v2/crontabs"
        mapper.observe.body(path, "x.example.com/v2", "CronTabList")
        assert mapper.lookup(GVK("x.example.com", "v2", "CronTab"))
        assert (await mapper.rest_mapping(CRONTAB)).kind.version == "v2"

    asyncio.run(main())


def test_every_recorded_document_is_read_without_loss():
    body = recording("discovery-apis-aggregated").body
    groups = AggregatedReader().read(body)
    told = json.loads(body)["items"]
    assert [group.name for group in groups] == [
        each["metadata"]["name"] for each in told
    ]
    for group, item in zip(groups, told, strict=True):
        for version, real in zip(group.versions, item["versions"], strict=True):
            names = [each["resource"] for each in real.get("resources", [])]
            assert [each.resource for each in version.resources] == names
    legacy = read_legacy(Page("/apis"), recording("discovery-apis-legacy").body)
    assert [group.name for group in legacy] == [group.name for group in groups]


@pytest.mark.parametrize("document", [AGGREGATED, LEGACY], ids=["aggregated", "legacy"])
def test_a_recorded_crd_says_what_recorded_discovery_shows(document):
    """So that nothing changes again once discovery has caught up with a watch."""

    async def main():
        (content,) = json.loads(recording("list-crds-json").body)["items"]
        told = read_definition(json.dumps(content).encode())
        assert told.is_served
        mapper = RESTMapper(Recorded(**document))
        ((gv, resource),) = told.resources
        shown = await mapper.rest_mapping(GroupKind(gv.group, resource.kind.kind))
        assert shown.api.essence == resource.essence
        assert shown.api.subresources == resource.subresources

    asyncio.run(main())
