# SPDX-License-Identifier: Apache-2.0
import asyncio
import json

import pytest

from toono.admin.handler import Admin
from toono.admin.metrics import Metrics
from toono.wire.messages import BytesBody, Peer, Request, Response

PEER = Peer(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))


async def act(request: Request) -> Response:
    return Response(status=202, content=request.method.encode())


def ask(
    target: str,
    *,
    ready: bool = True,
    method: str = "GET",
    accept=b"",
    note: str = "",
    peer: Peer = PEER,
    **fields: bytes,
) -> Response:
    admin = Admin(
        checks={"listeners": lambda: True, "cache": lambda: ready},
        status=lambda: {"mode": "offline"},
        metrics=Metrics(),
        notes={"agents": lambda: note, "other": lambda: ""},
        pages={"/v1/agents": lambda: {"agents": ["kubelet"]}},
        actions={"/v1/act": act},
        tables={"Remembered": lambda: [{"component": "kubelet"}]},
    )
    request = Request(
        method=method,
        target=target.encode(),
        headers=[],
        fields={name.encode(): value for name, value in fields.items()}
        | ({b"accept": accept} if accept else {}),
        body=BytesBody(),
        peer=peer,
    )
    return asyncio.run(admin.serve(request))


@pytest.mark.parametrize(
    ("target", "content"),
    [
        ("/livez", b"ok"),
        ("/healthz", b"ok"),
        ("/readyz", b"ok"),
        ("/readyz/cache", b"ok"),
        ("/v1/healthz", b"OK"),
        ("/v1/readyz", b"OK"),
    ],
)
def test_a_hub_that_is_cut_off_is_alive_and_ready(target: str, content: bytes) -> None:
    response = ask(target)
    assert (response.status, response.content) == (200, content)


def test_an_action_is_a_post_to_its_path_and_nothing_else() -> None:
    done = ask("/v1/act?x=1", method="POST")
    assert (done.status, done.content) == (202, b"POST")
    assert ask("/v1/act").status == 404
    assert ask("/v1/agents", method="POST").status == 405
    assert ask("/v1/act", method="PUT").status == 202  # as YurtHub takes /v1/token
    assert ask("/v1/act", method="DELETE").status == 405


def test_no_page_in_a_browser_may_act() -> None:
    """It needs no answer, and its browser may be the node's own root."""
    page = ask("/v1/act", method="POST", origin=b"http://127.0.0.1:10267")
    assert (page.status, b"browser" in page.content) == (403, True)
    assert ask("/livez", origin=b"null").status == 200


def test_alive_does_not_hang_on_ready() -> None:
    assert ask("/livez", ready=False).status == 200
    assert ask("/v1/healthz", ready=False).status == 200


def test_what_is_not_ready_is_named() -> None:
    response = ask("/readyz", ready=False)
    assert response.status == 500
    assert b"[-]cache" in response.content
    assert ask("/v1/readyz", ready=False).content == b"cache is not ready"
    assert ask("/readyz?exclude=cache", ready=False).status == 200
    assert ask("/readyz/listeners", ready=False).status == 200
    assert ask("/readyz/cache", ready=False).status == 500


def test_verbose_shows_every_check() -> None:
    content = ask("/readyz?verbose").content
    assert content == b"[+]listeners\n[+]cache\nreadyz check passed\n"


def test_unknown_paths_and_methods_are_refused() -> None:
    assert ask("/nope").status == 404
    assert ask("/readyz/nope").status == 404
    assert ask("/livez", method="POST").status == 405


def test_status_is_text_for_people_and_json_for_programs() -> None:
    assert b"mode: offline" in ask("/statusz").content
    found = json.loads(ask("/statusz", accept=b"application/json").content)
    assert found["mode"] == "offline"


def test_metrics_are_exposed() -> None:
    assert b"toono_build_info" in ask("/metrics").content


def test_what_is_wrong_but_no_reason_to_stop_is_shown_and_leaves_it_ready() -> None:
    assert ask("/readyz", note="a bad value").content == b"ok"
    response = ask("/readyz?verbose", note="a bad value")
    assert response.status == 200
    assert b"\n[!]agents: a bad value\nreadyz check passed" in response.content
    assert b"other" not in response.content
    assert b"agents" not in ask("/readyz/cache?verbose", note="bad").content


def test_a_page_is_answered_as_json() -> None:
    response = ask("/v1/agents")
    assert json.loads(response.content) == {"agents": ["kubelet"]}
    assert (b"Content-Type", b"application/json") in response.headers


@pytest.mark.parametrize("target", ["/", "/statusz"])
def test_a_browser_is_shown_a_page(target: str) -> None:
    response = ask(target, accept=b"text/html,*/*;q=0.8", note="is not well")
    assert dict(response.headers)[b"Content-Type"].startswith(b"text/html")
    assert b"script" not in dict(response.headers)[b"Content-Security-Policy"]
    for piece in (b"offline", b"is not well", b"Remembered", b"kubelet"):
        assert piece in response.content
    assert b"other" not in response.content


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"host": b"evil.example:10267", "authorization": b"Bearer x"}, 403),
        ({"host": b"127.0.0.1:10267", "sec-fetch-site": b"cross-site"}, 403),
        ({"host": b"127.0.0.1:10267", "sec-fetch-site": b"none"}, 200),
    ],
)
def test_page_whose_name_leads_here_reads_nothing(fields, code: int) -> None:
    assert ask("/livez", **fields).status == code
    elsewhere = Peer(connection=1, local=("10.0.0.1", 1), remote=("10.0.0.2", 2))
    assert ask("/livez", peer=elsewhere, **fields).status == 200
