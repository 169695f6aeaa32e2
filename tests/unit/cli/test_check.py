# SPDX-License-Identifier: Apache-2.0
import datetime
import socket

import pytest
from click.testing import CliRunner

from toono.cli.check import _kubelet, _lasts, command
from toono.config.options import load
from toono.testing.certificates import Authority


def files(tmp_path) -> list[str]:
    authority = Authority(tmp_path / "pki")
    node = authority.node("edge-7")
    return [
        f"--ca-file={authority.file}",
        f"--client-cert-file={node.certificate}",
        f"--client-key-file={node.key}",
        f"--disk-cache-path={tmp_path / 'cache'}",
        "--proxy-port=0",
        "--serve-port=0",
    ]


def test_what_is_missing_is_said_with_what_to_do() -> None:
    result = CliRunner().invoke(command, ["--proxy-port=0", "--serve-port=0"])
    assert result.exit_code == 1
    assert "--server-addr: not given" in result.output


def test_an_unreachable_cloud_is_no_obstacle(tmp_path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = f"--server-addr=https://127.0.0.1:{port}"
    result = CliRunner().invoke(command, [server, *files(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "this node is edge-7" in result.output
    assert "the hub starts cut off" in result.output


def test_a_port_in_use_is_named(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = [*files(tmp_path), f"--proxy-port={port}"]
        result = CliRunner().invoke(command, ["--server-addr=127.0.0.1:1", *arguments])
    assert result.exit_code == 1
    said = (
        f"--proxy-port: 127.0.0.1:{port} cannot be listened on: address already in use"
    )
    assert f"{said}\n" in result.output


def test_a_cache_of_yurthub_s_is_noticed(tmp_path) -> None:
    (tmp_path / "cache" / "kubelet").mkdir(parents=True)
    result = CliRunner().invoke(
        command, ["--server-addr=127.0.0.1:1", *files(tmp_path)]
    )
    assert "YurtHub wrote: ['kubelet']" in result.output


def test_a_copy_of_our_own_is_no_cache_of_yurthub_s(tmp_path) -> None:
    (tmp_path / "cache" / "kubelet").mkdir(parents=True)
    own = tmp_path / "cache" / "_internal" / "toono"
    own.mkdir(parents=True)
    (own / "scopes.json").write_text("")
    result = CliRunner().invoke(
        command, ["--server-addr=127.0.0.1:1", *files(tmp_path)]
    )
    assert "YurtHub wrote" not in result.output


def test_the_end_of_the_client_certificate_is_told(tmp_path) -> None:
    arguments = ["--server-addr=127.0.0.1:1", *files(tmp_path)]
    result = CliRunner().invoke(command, arguments)
    assert "ok       " + str(tmp_path / "pki" / "node-edge-7.crt") in result.output


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [
        (-1, "ok", "29 days"),
        (20, "note", "renews it while the link is up"),
        (31, "missing", "must join again"),
    ],
)
def test_a_certificate_that_ends_soon_is_noted(tmp_path, days, level, text) -> None:
    node = Authority(tmp_path).node("edge-7", days=30 if days >= 0 else 29)
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=max(days, 0))
    found = _lasts(node.certificate, now=moment.timestamp() - 60.0)
    assert found.level == level
    assert text in found.text


@pytest.mark.parametrize(
    ("content", "level", "text"),
    [
        (None, "note", "toono node-setup --print"),
        ("clusters: 1\n", "note", "names no server"),
        ("http://127.0.0.1:10261", "ok", "leads to the hub"),
        ("https://10.0.0.1:6443", "missing", "leads to https://10.0.0.1:6443, the hub"),
    ],
)
def test_where_the_kubelet_goes_is_told(tmp_path, content, level, text) -> None:
    path = tmp_path / "kubelet.conf"
    if content is not None:
        path.write_text(
            "contexts: [{name: d, context: {cluster: d}}]\n"
            f"clusters: [{{name: d, cluster: {{server: '{content}'}}}}]\n"
            if content.startswith("http")
            else content
        )
    found = _kubelet(path, load({}, {}))
    assert found.level == level
    assert text in found.text
