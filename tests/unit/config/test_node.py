# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.config.node import Paths, identify
from toono.config.options import load
from toono.errors import OptionError
from toono.testing.certificates import Authority

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: b
clusters:
- {name: one, cluster: {server: "https://10.0.0.9:6443"}}
contexts:
- {name: b, context: {cluster: one, user: u}}
"""


@pytest.fixture
def paths(tmp_path) -> Paths:
    """What a kubelet that has joined leaves on its node."""
    authority = Authority(tmp_path)
    node = authority.node("edge-7")
    both = tmp_path / "current.pem"
    both.write_bytes(node.certificate.read_bytes() + node.key.read_bytes())
    kubeconfig = tmp_path / "kubelet.conf"
    kubeconfig.write_text(KUBECONFIG)
    return Paths(kubeconfig=kubeconfig, ca=authority.file, certificate=both)


def test_on_a_node_that_has_joined_nothing_need_be_said(paths: Paths) -> None:
    found = identify(load({}, {}), paths)
    assert found.servers == (("10.0.0.9", 6443),)
    assert found.node_name == "edge-7"
    assert found.files.certificate == paths.certificate


def test_what_is_said_wins(paths: Paths) -> None:
    options = load({"server-addr": "10.1.1.1:1", "node-name": "other"}, {})
    found = identify(options, paths)
    assert (found.servers, found.node_name) == ((("10.1.1.1", 1),), "other")


@pytest.mark.parametrize("text", ["", "[]", "clusters: []", "{", "contexts: 1"])
def test_a_kubeconfig_that_names_no_server_is_named(paths: Paths, text: str) -> None:
    paths.kubeconfig.write_text(text)
    with pytest.raises(OptionError, match="--server-addr"):
        identify(load({}, {}), paths)


def test_a_certificate_of_no_node_asks_for_a_name(paths: Paths, tmp_path) -> None:
    pair = Authority(tmp_path / "other").server("127.0.0.1")
    paths.certificate.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    with pytest.raises(OptionError, match="--node-name"):
        identify(load({}, {}), paths)


def test_of_files_that_cannot_be_used_the_one_to_blame_is_named(paths: Paths) -> None:
    good = paths.ca.read_bytes()
    paths.ca.write_text("no certificate")
    with pytest.raises(OptionError, match="--ca-file"):
        identify(load({}, {}), paths)
    paths.ca.write_bytes(good)
    paths.certificate.write_text("no certificate")
    with pytest.raises(OptionError, match="--client-cert-file"):
        identify(load({}, {}), paths)
