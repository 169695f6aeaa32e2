# SPDX-License-Identifier: Apache-2.0
import yaml
from click.testing import CliRunner

from toono.cli.node_setup import KUBECONFIG, command


def test_nothing_is_done_without_being_asked_to_print() -> None:
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 2
    assert "--print" in result.output


def test_the_steps_hold_the_service_the_kubeconfig_and_the_way_back() -> None:
    printed = CliRunner().invoke(command, ["--print"]).output
    for word in ("toono.service", "90-toono.conf", "The way back", "restart kubelet"):
        assert word in printed


def test_the_kubeconfig_points_at_the_hub_without_a_user() -> None:
    content = yaml.safe_load(KUBECONFIG.format(address="127.0.0.1:10261"))
    (cluster,) = content["clusters"]
    (context,) = content["contexts"]
    assert cluster["cluster"]["server"] == "http://127.0.0.1:10261"
    assert context["context"]["user"] == ""


def test_another_address_is_the_hub_s_too() -> None:
    given = ["--print", "--address", "[::1]:20261"]
    printed = CliRunner().invoke(command, given).output
    assert "run --bind-proxy-address=::1 --proxy-port=20261\n" in printed
    assert printed.count("http://[::1]:20261") == 2
    usual = CliRunner().invoke(command, ["--print"]).output
    assert " run\n" in usual


def test_an_address_that_is_none_is_named() -> None:
    for text in ("10261", ":10261", "localhost:http", ""):
        result = CliRunner().invoke(command, ["--print", "--address", text])
        assert result.exit_code == 2
        assert "--address" in result.output
