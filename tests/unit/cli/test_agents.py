# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of agents; against a hub: tests/scenario/test_live_agents."""

import http.server
import json
import threading
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from toono.cli.agents import command

PAGE = {
    "agents": ["coredns", "kubelet"],
    "problem": "",
    "configMap": "yurt-hub-cfg",
    "line": 'cache_agents: "fluent-bit"',
    "notKept": [
        {
            "component": "fluent-bit",
            "requests": 12,
            "lastSeen": 0.0,
            "ownToken": True,
            "resources": ["pods", "deployments.apps"],
        }
    ],
}


@contextmanager
def status_listener(content: bytes, *, status: int = 200, path: str = "/v1/agents"):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == path
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield str(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(port: str, *more: str):
    return CliRunner().invoke(command, ["--serve-port", port, *more])


def test_who_is_not_kept_and_the_line_to_add_are_printed() -> None:
    with status_listener(json.dumps(PAGE).encode()) as port:
        printed = run(port).output
        assert json.loads(run(port, "-o", "json").output) == PAGE
    assert printed.startswith("kept: coredns, kubelet\n")
    assert "fluent-bit" in printed
    assert "itself" in printed
    assert "pods, deployments.apps" in printed
    assert printed.endswith(
        'in ConfigMap yurt-hub-cfg, below data:\n  cache_agents: "fluent-bit"\n'
    )
    assert "not used" not in printed


def test_a_value_that_is_not_used_is_said() -> None:
    page = {**PAGE, "problem": "bad", "notKept": []}
    with status_listener(json.dumps(page).encode()) as port:
        printed = run(port).output
    assert "not used: bad" in printed
    assert "nobody else has asked" in printed


@pytest.mark.parametrize(("content", "status"), [(b"<html>", 200), (b"{}", 404)])
def test_what_is_no_hub_is_said_in_one_line(content: bytes, status: int) -> None:
    with status_listener(content, status=status) as port:
        found = run(port)
    assert found.exit_code == 1
    assert found.output.startswith("Error: ")


def test_no_hub_is_said_with_what_to_look_at() -> None:
    with status_listener(b"") as port:
        pass
    found = run(port)
    assert found.exit_code == 1
    assert "--serve-port" in found.output
