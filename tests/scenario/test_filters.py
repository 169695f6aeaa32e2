# SPDX-License-Identifier: Apache-2.0
"""A kubelet's and a kube-proxy's questions as they were recorded, cell by cell: every
filter, in lists, watches and GETs, JSON and protobuf, online, cut off and restarted."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.rig import ask, begin, body, get, hub_over, status_of, until
from toono.codec.registry import for_media_type
from toono.codec.transcode import to_json
from toono.filters.base import Door
from toono.filters.inputs import Surroundings
from toono.testing import APIServer

MINE = frozenset({os.getuid()})
JSON, PROTOBUF = "application/json", "application/vnd.kubernetes.protobuf"
DOOR = Door("169.254.2.1", 10268)
SETTINGS = {
    "node_uids": MINE,
    "surroundings": Surroundings(door=DOOR, pool="hangzhou", pools=False),
    "filters_off": frozenset(),
}
TOPOLOGY = {"openyurt.io/topologyKeys": "kubernetes.io/hostname"}
HOST = "KUBERNETES_SERVICE_HOST"


def service(name: str, kind: str = "ClusterIP", ip: str = "", **notes: str) -> dict:
    known = {
        "discard": "svc.openyurt.io/discard",
        "listen": "nodeport.openyurt.io/listen",
        "topology": "openyurt.io/topologyKeys",
    }
    annotations = {known[key]: value for key, value in notes.items()}
    spec = {"type": kind, "clusterIP": ip, "clusterIPs": [ip] if ip else []}
    ports = [{"name": "https", "port": 443, "targetPort": 6443, "protocol": "TCP"}]
    return {
        "metadata": {"name": name, "annotations": annotations},
        "spec": spec | {"ports": ports},
    }


def slice_of(name: str, owner: str, *nodes: str | None) -> dict:
    endpoints = [
        {"addresses": [f"10.1.0.{at}"], **({"nodeName": node} if node else {})}
        for at, node in enumerate(nodes, 1)
    ]
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": owner}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
    }


def pod(name: str, *env: tuple[str, str]) -> dict:
    named = [{"name": key, "value": value} for key, value in env]
    container = {"name": "a", "image": "a", "env": named}
    return {
        "metadata": {"name": name},
        "spec": {"nodeName": "edge-1", "containers": [container]},
    }


def fill(server: APIServer) -> None:
    for one in (
        service("kubernetes", ip="10.0.0.1"),
        service("web", ip="10.0.0.2", topology="kubernetes.io/hostname"),
        service("cloud", "LoadBalancer", "10.0.0.3", discard="true"),
        service("away", "NodePort", "10.0.0.4", listen="shanghai"),
        service("odd", ip="10.0.0.5", topology="\x01garbage", listen=",,"),
    ):
        server.create("services", one, namespace="default")
    for one in (
        slice_of("kubernetes", "kubernetes", None),
        slice_of("web-1", "web", "edge-1", "edge-2", None),
        slice_of("odd-1", "odd", "edge-2"),
    ):
        server.create("endpointslices.discovery.k8s.io", one, namespace="default")
    for one in (pod("plain", ("A", "1")), pod("named", (HOST, "10.0.0.1"), ("B", "2"))):
        server.create("pods", one, namespace="default")
    conf = {"config.conf": 'a:\n  kubeconfig: /k\n  b: ""\n'}
    server.create(
        "configmaps",
        {"metadata": {"name": "kube-proxy"}, "data": conf},
        namespace="kube-system",
    )


class Question(NamedTuple):
    """One question and what its reader sees of each object, by name."""

    agent: str
    path: str
    query: str
    kind: tuple[str, str]
    seen: dict[str, object]

    def look(self, one: dict) -> object:
        match self.kind[1]:
            case "Service":
                spec = one["spec"]
                return spec["clusterIP"], spec["clusterIPs"], spec["ports"][0]["port"]
            case "EndpointSlice":
                return (
                    [end["addresses"][0] for end in one["endpoints"] or ()],
                    one["ports"][0]["port"],
                )
            case "Pod":
                return {
                    entry["name"]: entry["value"]
                    for entry in one["spec"]["containers"][0]["env"]
                }
            case _:
                return one["data"]["config.conf"]


HUB = "169.254.2.1"
KUBELET, PROXY = "kubelet/v1.34.0", "kube-proxy/v1.34.0"
NOT_HEADLESS = "fieldSelector=spec.clusterIP%21%3DNone"
NOT_PROXIED = (
    "labelSelector=%21service.kubernetes.io%2Fheadless"
    "%2C%21service.kubernetes.io%2Fservice-proxy-name"
)
QUESTIONS = {
    "the kubelet's services": Question(
        KUBELET,
        "/api/v1/services",
        NOT_HEADLESS,
        ("v1", "Service"),
        {
            "kubernetes": (HUB, [HUB], 10268),
            "web": ("10.0.0.2", ["10.0.0.2"], 443),
            "cloud": ("10.0.0.3", ["10.0.0.3"], 443),
            "away": ("10.0.0.4", ["10.0.0.4"], 443),
            "odd": ("10.0.0.5", ["10.0.0.5"], 443),
        },
    ),
    "the kubelet's pods": Question(
        KUBELET,
        "/api/v1/pods",
        "fieldSelector=spec.nodeName%3Dedge-1",
        ("v1", "Pod"),
        {"plain": {"A": "1"}, "named": {HOST: HUB, "B": "2"}},
    ),
    "the kubelet's config map": Question(
        KUBELET,
        "/api/v1/namespaces/kube-system/configmaps",
        "fieldSelector=metadata.name%3Dkube-proxy",
        ("v1", "ConfigMap"),
        {"kube-proxy": 'a:\n  #kubeconfig: /k\n  b: ""\n'},
    ),
    "kube-proxy's services": Question(
        PROXY,
        "/api/v1/services",
        NOT_PROXIED,
        ("v1", "Service"),
        {
            "kubernetes": ("10.0.0.1", ["10.0.0.1"], 443),
            "web": ("10.0.0.2", ["10.0.0.2"], 443),
            "odd": ("10.0.0.5", ["10.0.0.5"], 443),
        },
    ),
    "kube-proxy's slices": Question(
        PROXY,
        "/apis/discovery.k8s.io/v1/endpointslices",
        NOT_PROXIED,
        ("discovery.k8s.io/v1", "EndpointSlice"),
        {
            "kubernetes": ([HUB], 10268),
            "web-1": (["10.1.0.1"], 6443),
            "odd-1": (["10.1.0.1"], 6443),
        },
    ),
    "an agent's services": Question(
        "flanneld/1",
        "/api/v1/services",
        "limit=500",
        ("v1", "Service"),
        {
            "kubernetes": ("10.0.0.1", ["10.0.0.1"], 443),
            "web": ("10.0.0.2", ["10.0.0.2"], 443),
            "cloud": ("10.0.0.3", ["10.0.0.3"], 443),
            "away": ("10.0.0.4", ["10.0.0.4"], 443),
            "odd": ("10.0.0.5", ["10.0.0.5"], 443),
        },
    ),
}


def decoded(question: Question, media_type: str, data: bytes) -> dict:
    if media_type == PROTOBUF:
        api_version, kind = question.kind
        data = to_json(data, kind=kind, api_version=api_version)
    found = json.loads(data)
    assert isinstance(found, dict)
    return found


def listed(media_type: str, answer: bytes) -> dict[str, bytes]:
    codec = for_media_type(media_type)
    assert codec is not None
    assert status_of(answer) == 200, answer
    return {one.name: one.data for one in codec.split_list(body(answer)).items}


def events(media_type: str, stream: bytes) -> Iterator[tuple[str, str, bytes]]:
    codec = for_media_type(media_type)
    assert codec is not None
    for frame in codec.frames().feed(stream):
        event = codec.read_event(frame)
        if event.object is not None and event.type != "BOOKMARK":
            yield event.type, event.object.name, event.object.data


def looked(question: Question, media_type: str, found: dict[str, bytes]) -> dict:
    return {
        name: question.look(decoded(question, media_type, data))
        for name, data in found.items()
    }


async def every_form(hub, question: Question) -> dict[str, dict[str, bytes]]:
    """Return what is seen in lists and watches of a question."""
    cells = [
        (media_type, options)
        for media_type in (JSON, PROTOBUF)
        for options in (LISTED, *BURSTS)
    ]
    found = await asyncio.gather(*(one_cell(hub, question, *cell) for cell in cells))
    return {
        f"{options} {media_type}": seen
        for (media_type, options), seen in zip(cells, found, strict=True)
    }


LISTED = "resourceVersion=0"
WATCHED = "watch=true&allowWatchBookmarks=true&timeoutSeconds=1"
BURSTS = (
    f"{WATCHED}&resourceVersion=0",
    f"{WATCHED}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
)


async def one_cell(
    hub, question: Question, media_type: str, options: str
) -> dict[str, bytes]:
    """Return what one answer shows, by name."""
    accept = JSON if media_type == JSON else f"{PROTOBUF}, */*"
    target = f"{question.path}?{question.query}&{options}"
    answer = await ask(hub, get(target, agent=question.agent, accept=accept))
    if options == LISTED:
        return listed(media_type, answer)
    seen = list(events(media_type, body(answer)))
    gone = {name for event_type, name, _ in seen if event_type == "DELETED"}
    assert gone.isdisjoint(question.seen)
    return {name: data for event_type, name, data in seen if event_type == "ADDED"}


async def everything(hub) -> dict[str, dict[str, dict[str, bytes]]]:
    found = await asyncio.gather(*(every_form(hub, one) for one in QUESTIONS.values()))
    return dict(zip(QUESTIONS, found, strict=True))


def check(question: Question, found: dict[str, dict[str, bytes]]) -> None:
    for cell, objects in found.items():
        media_type = cell.rpartition(" ")[2]
        assert looked(question, media_type, objects) == question.seen, cell
        # Byte for byte what the list of the same form says.
        assert objects == found[f"{LISTED} {media_type}"], cell


def check_all(found: dict[str, dict[str, dict[str, bytes]]]) -> None:
    for name, cells in found.items():
        check(QUESTIONS[name], cells)


def test_every_cell_online_cut_off_and_restarted(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = APIServer()
        await server.start()
        fill(server)
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until(lambda: hub.upstream.online)
            online = await everything(hub)
            check_all(online)
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            check_all(await everything(hub))
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            check_all(await everything(hub))

    asyncio.run(scenario())


def test_a_pod_s_environment_is_the_same_in_every_answer(tmp_path: Path) -> None:
    pods = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
    one = "/api/v1/namespaces/default/pods/named"

    async def answers(hub) -> dict[str, bytes]:
        found = {}
        for media_type in (JSON, PROTOBUF):
            codec = for_media_type(media_type)
            assert codec is not None
            answer = await ask(hub, get(pods, accept=media_type))
            (whole,) = (
                item.data
                for item in codec.split_list(body(answer)).items
                if item.name == "named"
            )
            answer = await ask(hub, get(one, accept=media_type))
            assert codec.read_single(body(answer)).object.data == whole
            found[media_type] = whole
        # The embedded server keeps what a client sent, and Go's empty values apart.
        as_json = json.loads(to_json(found[PROTOBUF], kind="Pod", api_version="v1"))
        env = [one["env"] for one in as_json["spec"]["containers"]]
        of_json = json.loads(found[JSON])["spec"]["containers"]
        assert env == [one["env"] for one in of_json]
        return found

    async def scenario() -> None:
        server = APIServer()
        await server.start()
        fill(server)
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until(lambda: hub.upstream.online)
            online = await answers(hub)
            patch = b'{"status":{"phase":"Running"}}'
            head = get(f"{one}/status").replace(b"GET", b"PATCH", 1)[:-2]
            head += b"Content-Type: application/merge-patch+json\r\n"
            head += b"Content-Length: %d\r\n\r\n" % len(patch)
            answer = json.loads(body(await ask(hub, head + patch)))
            assert answer["spec"] == json.loads(online[JSON])["spec"]
            assert answer["status"]["phase"] == "Running"
            online = await answers(hub)
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            assert await answers(hub) == online
        # The cache keeps what the cloud sent.
        off = SETTINGS | {"filters_off": frozenset({"serviceenvupdater"})}
        async with hub_over([server.address], tmp_path, **off) as hub:
            answer = await ask(hub, get(pods))
            assert b'"value":"10.0.0.1"' in body(answer)

    asyncio.run(scenario())


def test_what_a_filter_needs_and_nobody_knows_is_503(tmp_path: Path) -> None:
    slices = "/apis/discovery.k8s.io/v1/endpointslices"

    async def scenario() -> None:
        server = APIServer()
        await server.start()
        fill(server)
        # As an agent that is not filtered asks it: the slices are known, the wishes not.
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(slices, agent="flanneld/1"))
        await server.aclose()
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            answer = await ask(hub, get(slices, agent=PROXY))
            assert status_of(answer) == 503
            assert b"never known" in answer
            assert status_of(await ask(hub, get(slices, agent="flanneld/1"))) == 200

    asyncio.run(scenario())


def test_a_change_of_what_filters_know_ends_the_streams_it_touches(tmp_path) -> None:
    slices = "/apis/discovery.k8s.io/v1/endpointslices"

    async def scenario() -> None:
        server = APIServer()
        await server.start()
        fill(server)
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get("/api/v1/services", agent=PROXY))
            first = body(await ask(hub, get(slices, agent=PROXY)))
            version = json.loads(first)["metadata"]["resourceVersion"]
            resume = f"{slices}?watch=true&resourceVersion={version}&timeoutSeconds=30"
            services = f"/api/v1/services?watch=true&resourceVersion={version}"
            reader, writer = await begin(hub, get(resume, agent=PROXY))
            other, leaving = await begin(hub, get(services, agent=PROXY))
            await until(lambda: hub.chain.filters.watches == 2)
            web = service("web", ip="10.0.0.2", topology="gone")
            server.update("services", web, namespace="default")
            ended = await asyncio.wait_for(reader.read(), 10)
            (line,) = (x for x in body(ended).splitlines() if b'"ERROR"' in x)
            assert json.loads(line)["object"]["code"] == 410
            assert b'"ADDED"' not in ended
            # One that resumes from what was listed before is told the same.
            again = await ask(hub, get(resume, agent=PROXY))
            assert b'"code":410' in again
            second = json.loads(body(await ask(hub, get(slices, agent=PROXY))))
            found = {
                one["metadata"]["name"]: len(one["endpoints"])
                for one in second["items"]
            }
            assert found["web-1"] == 3
            version = second["metadata"]["resourceVersion"]
            resume = f"{slices}?watch=true&resourceVersion={version}&timeoutSeconds=1"
            assert b'"ERROR"' not in await ask(hub, get(resume, agent=PROXY))
            writer.close()
            assert not other.at_eof()
            leaving.close()
            assert hub.chain.filters.ended == 1
        await server.aclose()

    asyncio.run(scenario())


def test_the_cloud_s_config_map_adds_a_component(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = APIServer()
        await server.start()
        fill(server)
        config = {
            "metadata": {"name": "yurt-hub-cfg"},
            "data": {"discardcloudservice": " flanneld , x", "masterservice": ""},
        }
        services = get("/api/v1/services", agent="flanneld/1")
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until(lambda: hub.upstream.online)
            assert b'"name":"cloud"' in await ask(hub, services)
            server.create("configmaps", config, namespace="kube-system")
            await until(lambda: hub.chain.filters.approval.added)
            assert b'"name":"cloud"' not in await ask(hub, services)
            await server.aclose()
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            assert b'"name":"cloud"' not in await ask(hub, services)

    asyncio.run(scenario())


def status_write(name: str, uid: str, address: str) -> bytes:
    content = {"metadata": {"uid": uid}, "status": {"podIP": address}}
    patch = json.dumps(content).encode()
    target = f"/api/v1/namespaces/default/pods/{name}/status"
    head = get(target).replace(b"GET", b"PATCH", 1)[:-2]
    head += b"Content-Type: application/strategic-merge-patch+json\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(patch) + patch


def test_a_reboot_while_cut_off_leaves_no_stale_endpoints(tmp_path: Path) -> None:
    """The pod is back under another address, and its Service leads there again."""
    slices = "/apis/discovery.k8s.io/v1/endpointslices"
    uid = "a9e6b466-787d-4a29-ade8-a9eae545f7df"

    def addresses(answer: bytes) -> list[list[str]]:
        (one,) = (
            item
            for item in json.loads(body(answer))["items"]
            if item["metadata"]["name"] == "here"
        )
        return [end["addresses"] for end in one["endpoints"]]

    async def scenario() -> None:
        server = APIServer()
        await server.start()
        fill(server)
        here = slice_of("here", "api", "edge-1", "edge-2")
        here["endpoints"][0]["targetRef"] = {
            "kind": "Pod",
            "namespace": "default",
            "name": "api-0",
            "uid": uid,
        }
        server.create("endpointslices.discovery.k8s.io", here, namespace="default")
        agents = {"kube-proxy/1": None, "coredns/1": None}
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            await until(lambda: hub.upstream.online)
            for agent in agents:
                await ask(hub, get(slices, agent=agent))
        await server.aclose()
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            answer = await ask(hub, get(slices, agent=PROXY))
            assert addresses(answer) == [["10.1.0.1"], ["10.1.0.2"]]
            version = json.loads(body(answer))["metadata"]["resourceVersion"]
            resume = f"{slices}?watch=true&resourceVersion={version}&timeoutSeconds=60"
            reader, writer = await begin(hub, get(resume, agent=PROXY))
            await until(lambda: hub.chain.filters.watches == 1)
            await ask(hub, status_write("api-0", uid, "10.1.0.77"))
            ended = await asyncio.wait_for(reader.read(), 10)
            assert b'"code":410' in ended
            for agent in agents:
                answer = await ask(hub, get(slices, agent=agent))
                assert addresses(answer) == [["10.1.0.77"], ["10.1.0.2"]]
                assert b'"toono.io/addresses-corrected":"true"' in body(answer)
            writer.close()
        off = SETTINGS | {"correct_addresses": False}
        async with hub_over([server.address], tmp_path, **SETTINGS) as hub:
            answer = await ask(hub, get(slices, agent=PROXY))
            assert addresses(answer)[0] == ["10.1.0.77"]
        async with hub_over([server.address], tmp_path, **off) as hub:
            answer = await ask(hub, get(slices, agent=PROXY))
            assert addresses(answer)[0] == ["10.1.0.1"]

    asyncio.run(scenario())
