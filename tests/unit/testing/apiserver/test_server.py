# SPDX-License-Identifier: Apache-2.0
"""One server: its doors for tests, its paths, its faults, its life."""

import asyncio
import json

import pytest

from tests.unit.testing.apiserver.kit import MAPS, World, config_map, names, run
from toono.testing import APIServer
from toono.wire.messages import Response


def test_tests_may_change_objects_without_a_client() -> None:
    async def scenario(world: World) -> None:
        server = world.server
        made = server.create("configmaps", config_map("a", k="v"), namespace="default")
        assert made["metadata"]["resourceVersion"] == "101"
        server.update("configmaps", config_map("a", k="w"), namespace="default")
        assert (await world.ask("GET", MAPS + "/a")).body["data"] == {"k": "w"}
        server.delete("configmaps", "a", namespace="default")
        assert names(await world.ask("GET", MAPS)) == []
        with pytest.raises(KeyError):
            server.create("nothings", {})

    run(scenario)


def test_an_update_without_a_status_keeps_it() -> None:
    async def scenario(world: World) -> None:
        meta = {"metadata": {"name": "a"}}
        world.server.create("nodes", meta | {"status": {"phase": "x"}})
        told = world.server.update("nodes", meta | {"spec": {"podCIDR": "y"}})
        assert told["status"]["phase"] == "x"
        told = world.server.update("nodes", meta | {"status": {"phase": "z"}})
        assert told["status"]["phase"] == "z"

    run(scenario)


def test_what_another_server_told_is_taken_in_as_it_is() -> None:
    async def scenario(world: World) -> None:
        meta = {"uid": "u", "resourceVersion": "120", "name": "a"}
        content = {
            "data": {},
            "metadata": meta,
            "apiVersion": "v1",
            "kind": "ConfigMap",
        }
        told = world.server.load("configmaps", content)
        assert list(told["metadata"].items()) == [
            ("name", "a"),
            ("uid", "u"),
            ("resourceVersion", "120"),
        ]
        assert world.storage.version == 120

    run(scenario)


@pytest.mark.parametrize(
    ("target", "status", "kind"),
    [
        ("/healthz", 200, b"text/plain; charset=utf-8"),
        ("/readyz?verbose", 200, b"text/plain; charset=utf-8"),
        ("/version", 200, b"application/json"),
        ("/api", 200, b"application/json"),
        ("/apis/", 200, b"application/json"),
        ("/nope", 404, b"text/plain; charset=utf-8"),
        ("/apis/nope.example.com/v1/things", 404, b"text/plain; charset=utf-8"),
        ("/apis/x.example.com/v2/crontabs", 404, b"text/plain; charset=utf-8"),
        ("/api/v1/widgets", 404, b"application/json"),
        ("/apis/apps/v2/deployments", 404, b"application/json"),
    ],
)
def test_every_path_has_its_answer(target: str, status: int, kind: bytes) -> None:
    async def scenario(world: World) -> None:
        response = await world.respond("GET", target)
        assert response.status == status
        assert dict(response.headers)[b"Content-Type"] == kind

    run(scenario)


def test_an_aggregated_api_may_be_down() -> None:
    async def scenario(world: World) -> None:
        server = world.server
        server.set_available("x.example.com", "v1", available=False)
        target = "/apis/x.example.com/v1/crontabs"
        assert (await world.respond("GET", target)).status == 503
        services = world.storage.collection("apiservices.apiregistration.k8s.io").now
        (service,) = services.values()
        assert service.object["status"]["conditions"][0]["status"] == "False"
        server.set_available("x.example.com", "v1", available=True)
        assert (await world.respond("GET", target)).status == 200

    run(scenario)


def test_a_server_that_is_not_ready_says_so() -> None:
    async def scenario(world: World) -> None:
        world.server.ready = False
        assert (await world.respond("GET", "/readyz")).status == 500
        assert (await world.respond("GET", "/livez")).status == 200

    run(scenario)


def test_a_fault_answers_or_lets_pass() -> None:
    async def scenario(world: World) -> None:
        async def fault(request) -> Response | None:
            return Response(status=429) if b"configmaps" in request.target else None

        world.server.fault = fault
        assert (await world.respond("GET", MAPS)).status == 429
        assert (await world.respond("GET", "/healthz")).status == 200
        assert world.server.requests == [("GET", MAPS), ("GET", "/healthz")]

    run(scenario)


async def over_a_socket(server: APIServer, target: str) -> bytes:
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(
        f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    return answer


def test_a_server_listens_until_it_is_closed() -> None:
    async def scenario() -> None:
        server = APIServer()
        await server.aclose()  # before it ever listened
        await server.start()
        assert server.url == f"http://127.0.0.1:{server.address[1]}"
        answer = await over_a_socket(server, "/api/v1/pods")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["kind"] == "PodList"
        await server.aclose()
        with pytest.raises(OSError, match="."):
            await over_a_socket(server, "/healthz")

    asyncio.run(scenario())


def test_servers_of_one_storage_tell_the_same() -> None:
    async def scenario(world: World) -> None:
        second = World()
        second.server = APIServer(world.storage, clock=world.clock)
        await world.ask("POST", MAPS, config_map("a"))
        assert names(await second.ask("GET", MAPS)) == ["a"]

    run(scenario)
