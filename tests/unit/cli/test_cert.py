# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of certificates; a hub of its own: tests/scenario."""

import http.server
import json
import threading
from contextlib import contextmanager

import pytest
from bench.peers import lay_root
from click.testing import CliRunner

from toono.cli.cert import command
from toono.errors import OptionError
from toono.testing.certificates import Authority
from toono.testing.real import free_port

PAGE = {
    "yurthub-server": {
        "file": "/var/lib/yurthub/pki/yurthub-server-current.pem",
        "state": "missing",
        "pending": "toono-serving-1",
        "note": "waits for approval: kubectl certificate approve toono-serving-1",
        "names": ["10.96.0.1", "kubernetes"],
    }
}


@contextmanager
def hub(content: bytes, *, status: int = 200):
    asked = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.command, self.path))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"--serve-port={server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(*arguments: str):
    return CliRunner().invoke(command, arguments)


def test_what_a_request_waits_for_is_printed_and_fails():
    with hub(json.dumps(PAGE).encode()) as (port, asked):
        result = run("show", port)
    assert asked == [("GET", "/v1/certificates")]
    assert "kubectl certificate approve toono-serving-1" in result.output
    assert "10.96.0.1, kubernetes" in result.output
    assert result.exit_code == 1


def test_page_is_for_programs_too():
    with hub(json.dumps(PAGE).encode()) as (port, _):
        result = run("show", "-o", "json", port)
    assert json.loads(result.output) == PAGE


def test_hub_that_keeps_none_says_so():
    with hub(b"404 page not found", status=404) as (port, _):
        result = run("show", port)
    assert "keeps no certificate" in result.output
    assert result.exit_code == 0


def test_without_a_hub_the_files_are_read(tmp_path):
    authority = Authority(tmp_path / "ca")
    root = tmp_path / "root"
    lay_root(root, authority=authority, address="https://h:1", node="edge-1")
    port = f"--serve-port={free_port()}"
    result = run("show", port, f"--root-dir={root}")
    assert "CN=system:node:edge-1" in result.output
    assert "PRIVATE KEY" not in result.output
    assert result.exit_code == 0
    (root / "pki" / "yurthub-current.pem").write_text("junk")
    result = run("show", port, f"--root-dir={root}")
    assert "unusable" in result.output
    assert result.exit_code == 1


def test_renewal_is_asked_of_the_hub():
    with hub(b"", status=202) as (port, asked):
        result = run("renew", port)
    assert asked == [("POST", "/v1/certificates/renew")]
    assert "asked for" in result.output


@pytest.mark.parametrize(
    ("status", "named"), [(403, "only for this node"), (405, "keeps no certificate")]
)
def test_refused_renewal_is_said(status, named):
    with hub(b"only for this node\n", status=status) as (port, _):
        result = run("renew", port)
    assert isinstance(result.exception, OptionError)
    assert named in str(result.exception)


def test_no_hub_is_said():
    result = run("renew", f"--serve-port={free_port()}")
    assert "no hub answers" in str(result.exception)
