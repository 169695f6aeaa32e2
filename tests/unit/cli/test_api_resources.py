# SPDX-License-Identifier: Apache-2.0
"""`toono api-resources` against the embedded API server on loopback."""

import asyncio
import json
import threading

import httpx
import pytest
from click.testing import CliRunner

from toono.cli import toono
from toono.pipeline.discovering import FILE
from toono.restmapper import MapperSettings, RESTMapper
from toono.restmapper.transports.httpx import HttpxTransport
from toono.testing import APIServer
from toono.wire.messages import Response

X = "x.example.com"
CRD = {
    "metadata": {"name": f"drivers.{X}"},
    "spec": {
        "group": X,
        "scope": "Cluster",
        "names": {
            "plural": "drivers",
            "singular": "driver",
            "kind": "Driver",
            "shortNames": ["dr"],
            "categories": ["cars"],
        },
        "versions": [{"name": "v1", "served": True}],
    },
}


class Stage:
    """A server on a thread's own loop: the command has one of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server = self.do(self._start())

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def _start(self):
        server = APIServer()
        await server.start()
        server.create("customresourcedefinitions", CRD)
        await server.definitions.settled()
        return server

    def close(self):
        self.do(self.server.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def server():
    stage = Stage()
    yield stage.server
    stage.close()


def call(server, *arguments):
    url = server if isinstance(server, str) else server.url
    return CliRunner().invoke(toono, ["api-resources", f"--server={url}", *arguments])


@pytest.mark.parametrize("aggregated", [True, False])
def test_every_resource_is_listed_in_json(server, aggregated):
    server.discovery.aggregated = aggregated
    result = call(server, "-o", "json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    served = {
        (each.api_version, each.plural) for each in server.definitions.all_shown()
    }
    assert {(row["apiVersion"], row["name"]) for row in rows} == served
    (driver,) = [row for row in rows if row["kind"] == "Driver"]
    verbs = driver.pop("verbs")
    assert {"get", "list", "watch"} <= set(verbs)
    assert driver == {
        "name": "drivers",
        "singularName": "driver",
        "shortNames": ["dr"],
        "apiVersion": f"{X}/v1",
        "namespaced": False,
        "kind": "Driver",
        "categories": ["cars"],
        "stale": False,
    }


def test_the_table_has_the_columns_of_kubectl(server):
    lines = call(server).stdout.splitlines()
    assert lines[0].split() == [
        "NAME",
        "SHORTNAMES",
        "APIVERSION",
        "NAMESPACED",
        "KIND",
    ]
    rows = [line.split() for line in lines[1:]]
    assert ["drivers", "dr", f"{X}/v1", "false", "Driver"] in rows
    assert ["pods", "po", "v1", "true", "Pod"] in rows


def test_wide_adds_verbs_and_categories(server):
    lines = call(server, "--api-group", X, "-o", "wide").stdout.splitlines()
    assert lines[0].split()[-2:] == ["VERBS", "CATEGORIES"]
    assert lines[1].split()[-1] == "cars"
    assert len(lines) == 2


def test_only_the_core_group(server):
    rows = json.loads(call(server, "--api-group", "", "-o", "json").stdout)
    assert {row["apiVersion"] for row in rows} == {"v1"}


def test_what_cannot_be_told_is_named_and_the_rest_is_listed(server):
    server.set_available(X, "v1", available=False)
    result = call(server, "-o", "json")
    assert result.exit_code == 1
    assert f"{X}/v1 unavailable" in result.stderr
    assert "pods" in {row["name"] for row in json.loads(result.stdout)}


def test_nobody_there(tmp_path):
    nobody = "http://127.0.0.1:1"
    result = call(nobody, "-o", "json", f"--disk-cache-path={tmp_path}")
    assert result.exit_code == 1
    said = result.stderr.splitlines()
    kept = tmp_path / "_internal/toono/discovery"
    assert len(said) == 1, "one sentence, and no line of a log"
    assert said[0].startswith(f"toono: no hub answers at {nobody} (Connect call failed")
    assert said[0].endswith(f", and nothing is kept in {kept}")
    assert json.loads(result.stdout) == []


def test_where_no_hub_runs_what_it_kept_is_listed(server, tmp_path):
    async def keep():
        kept = MapperSettings(file=tmp_path / FILE, identity="a-cluster", watch=False)
        async with (
            httpx.AsyncClient(base_url=server.url) as client,
            RESTMapper(HttpxTransport(client), settings=kept) as mapper,
        ):
            await mapper.load()

    asyncio.run(keep())
    result = call("http://127.0.0.1:1", f"--disk-cache-path={tmp_path}", "-o", "json")
    assert result.exit_code == 0
    assert f"this is what was kept in {tmp_path / FILE}" in result.stderr
    assert "drivers" in {row["name"] for row in json.loads(result.stdout)}


def test_a_hub_that_knows_nothing(server, tmp_path):
    async def refuse(request):
        return Response(status=503, content=b"{}")

    server.fault = refuse
    result = call(server, f"--disk-cache-path={tmp_path}")
    assert result.exit_code == 1
    assert "answers HTTP 503: it knows nothing of what is served" in result.stderr


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:1", "127.0.0.1:10261", "http://127.0.0.1/x"]
)
def test_a_url_that_it_cannot_ask_is_a_mistake_of_use(url):
    result = call(url)
    assert result.exit_code == 2
    assert "http://HOST:PORT" in result.stderr
