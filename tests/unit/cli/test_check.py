# SPDX-License-Identifier: Apache-2.0
import socket

from click.testing import CliRunner

from toono.cli.check import command
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
    assert f"--proxy-port: 127.0.0.1:{port}" in result.output


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
