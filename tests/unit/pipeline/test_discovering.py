# SPDX-License-Identifier: Apache-2.0
"""What passes tells the mapper; what it knows answers. Without a socket."""

import asyncio
import json

import pytest

from tests.unit.wire.kit import play
from toono.errors import UnreachableError
from toono.kube.request import Caller, parse
from toono.pipeline.discovering import FILE, Discovering, settings_for
from toono.restmapper import GVR, identity_of
from toono.restmapper.yurthub import FILE as YURTHUB_FILE
from toono.runtime.clock import SystemClock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.wire.messages import Response

X = "x.example.com"
DRIVERS = f"/apis/{X}/v1/namespaces/default/drivers"
JSON = [(b"Content-Type", b"application/json")]
CALLER = Caller(connection=1, local=("", 0), remote=("", 0), token=b"", certificate=b"")


def call(target: str, *, method: str = "GET", **fields: str):
    sent = {name.encode(): value.encode() for name, value in fields.items()}
    return parse(method, target.encode(), sent, CALLER)


class CutOff:
    """An upstream that nobody reaches."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes, dict]] = []

    async def send(self, method, target, headers, body, *, credential):
        self.asked.append((method, target, dict(headers)))
        assert credential.is_node
        raise UnreachableError("no API server can be reached")


def discovering(tmp_path, upstream=None) -> Discovering:
    settings = settings_for(tmp_path, None)
    return Discovering(upstream or CutOff(), settings, clock=SystemClock())


def known(tmp_path, **kinds: str) -> Discovering:
    """One that YurtHub's file told of some kinds."""
    file = tmp_path / YURTHUB_FILE
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({f"{X}/v1/{key}": kinds[key] for key in kinds}))
    return discovering(tmp_path)


def run(scenario, host: Discovering) -> None:
    async def scene() -> None:
        task = spawn(host.run(), name="discovering")
        await host._opened.wait()
        await scenario(host.mapper)
        await cancel_and_wait(task)
        await host.aclose()

    play(scene)


def answer(content: bytes, status: int = 200, headers=JSON) -> Response:
    return Response(status=status, headers=list(headers), content=content)


def listed(kind: str, *, api_version: str = f"{X}/v1") -> bytes:
    body = {"apiVersion": api_version, "items": [], "kind": kind, "metadata": {}}
    return json.dumps(body).encode()


def test_files_stand_below_the_cache_and_belong_to_the_ca(tmp_path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_bytes(b"a certificate")
    settings = settings_for(tmp_path, ca)
    assert settings.file == tmp_path / FILE
    assert settings.yurthub_file == tmp_path / YURTHUB_FILE
    assert settings.identity == identity_of(b"a certificate")
    assert settings_for(tmp_path, tmp_path / "none").identity == ""


def test_it_asks_with_the_node_s_certificate_and_its_own_name(tmp_path) -> None:
    upstream = CutOff()
    host = discovering(tmp_path, upstream)

    async def scenario(mapper) -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        assert not upstream.asked, "nobody is asked before the link was there once"
        host.mode_changed(True)
        while {b"/api", b"/apis"} - {target for _, target, _ in upstream.asked}:
            await asyncio.sleep(0)
        assert {method for method, _, _ in upstream.asked} == {"GET"}
        agents = {headers[b"User-Agent"] for _, _, headers in upstream.asked}
        assert agents == {b"toono"}

    run(scenario, host)


def test_nothing_is_known_before_the_files_were_read(tmp_path) -> None:
    host = discovering(tmp_path)
    host.hear(call(DRIVERS), answer(listed("DriverList")))
    host.mode_changed(True)
    assert host.kind_of(call(DRIVERS)) is None
    assert host.statistics().requests == 0


def test_a_kind_in_passing_is_learned_and_looked_at_once(tmp_path) -> None:
    host = discovering(tmp_path)

    async def scenario(mapper) -> None:
        host.hear(call(DRIVERS), answer(listed("DriverList")))
        found = host.kind_of(call(DRIVERS))
        assert (found.kind, found.namespaced) == ("Driver", True)
        host.hear(call(DRIVERS), answer(listed("DriverList")))
        signals = host.statistics().signals
        host.hear(call(DRIVERS), answer(listed("OtherList")))
        assert host.statistics().signals == signals, "one look a snapshot"

    run(scenario, host)


@pytest.mark.parametrize(
    "response",
    [
        answer(listed("DriverList"), 500),
        answer(b""),
        answer(b"{"),
        answer(b'{"kind": 3}'),
        answer(b'"kind"'),
        answer(b"k8s\0" + bytes(20)),
        answer(listed("Driver" * 20_000)),
        answer(listed("DriverList", api_version="meta.k8s.io/v1")),
        answer(listed("Table", api_version="meta.k8s.io/v1")),
        Response(status=200, content=[listed("DriverList")]),
    ],
    ids=lambda one: repr(one.content)[:20] if isinstance(one, Response) else "",
)
def test_what_tells_no_kind_is_passed_over(tmp_path, response) -> None:
    host = discovering(tmp_path)

    async def scenario(mapper) -> None:
        host.hear(call(DRIVERS), response)
        assert host.kind_of(call(DRIVERS)) is None

    run(scenario, host)


@pytest.mark.parametrize(
    ("method", "target", "status", "signals"),
    [
        ("PUT", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/d.x", 200, 1),
        ("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", 201, 1),
        ("DELETE", "/apis/apiregistration.k8s.io/v1/apiservices/v1.x", 200, 1),
        ("PUT", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/d.x", 409, 0),
        ("PUT", "/api/v1/namespaces/default/pods/a", 200, 0),
        (
            "GET",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?watch=1",
            200,
            0,
        ),
    ],
)
def test_writes_to_what_defines_resources_are_signals(
    tmp_path, method, target, status, signals
) -> None:
    host = discovering(tmp_path)

    async def scenario(mapper) -> None:
        before = host.statistics().signals
        host.hear(call(target, method=method), answer(b"", status))
        assert host.statistics().signals == before + signals

    run(scenario, host)


@pytest.mark.parametrize(
    ("content", "headers", "signals"),
    [
        (b"404 page not found\n", [(b"content-type", b"text/plain")], 1),
        (b'{"kind":"Status","reason":"NotFound","details":{}}', JSON, 1),
        (b'{"kind":"Status","reason":"NotFound","details":{"name":"a"}}', JSON, 0),
        (b"<html>", [(b"Content-Type", b"text/html")], 0),
        (b"404 page not found", [], 0),
        (b" " * 70_000 + b"404 page not found", [(b"Content-Type", b"text/plain")], 0),
        ([b"404 page not found"], [(b"Content-Type", b"text/plain")], 0),
    ],
)
def test_a_resource_that_is_not_served_is_a_signal(
    tmp_path, content, headers, signals
) -> None:
    host = known(tmp_path, drivers="Driver")

    async def scenario(mapper) -> None:
        before = host.statistics().signals
        host.hear(call(DRIVERS), Response(status=404, headers=headers, content=content))
        assert host.statistics().signals == before + signals

    run(scenario, host)


def test_the_version_in_passing_is_kept(tmp_path) -> None:
    host = discovering(tmp_path)
    body = b'{"gitVersion":"v1.34.0"}'

    async def scenario(mapper) -> None:
        assert await host.document(call("/version")) is None
        for _ in range(2):
            host.hear(call("/version"), answer(body))
        made = await host.document(call("/version"))
        assert (made.status, made.content) == (200, body)
        assert (b"Content-Type", b"application/json") in made.headers
        assert b"cache-control" not in {name.lower() for name, _ in made.headers}

    run(scenario, host)


def test_a_kind_of_which_yurthub_told_has_no_known_scope(tmp_path) -> None:
    host = known(tmp_path, drivers="Driver", driver="Driver")

    async def scenario(mapper) -> None:
        assert mapper.snapshot.served(GVR(X, "v1", "drivers"))
        assert host.kind_of(call(DRIVERS)).namespaced is None
        made = await host.document(call(f"/apis/{X}/v1"))
        told = json.loads(made.content)["resources"]
        assert [one["kind"] for one in told] == ["Driver"]

    run(scenario, host)


def test_the_form_that_is_asked_for_reaches_the_mapper(tmp_path) -> None:
    host = known(tmp_path, drivers="Driver")
    v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

    async def scenario(mapper) -> None:
        asked = call("/apis", accept=f"{v2},application/json;q=0.5")
        made = await host.document(asked)
        assert json.loads(made.content)["kind"] == "APIGroupDiscoveryList"
        etag = dict(made.headers)[b"Etag"].decode()
        again = call("/apis", **{"accept": v2, "if-none-match": etag})
        assert (await host.document(again)).status == 304
        plain = await host.document(call("/apis", accept="application/json"))
        assert json.loads(plain.content)["kind"] == "APIGroupList"
        assert (await host.document(call("/apis", accept="text/html"))).status == 406

    run(scenario, host)
