# SPDX-License-Identifier: Apache-2.0
import asyncio
import stat

import pytest

from tests.unit.certs.test_discovery import cluster_info, kubeconfig, pin_of
from toono.certs.files import Bootstrap, Root, read_bootstrap, write_bootstrap
from toono.config.join import join
from toono.config.options import load
from toono.errors import OptionError
from toono.testing.apiserver.server import APIServer
from toono.testing.certificates import Authority
from toono.testing.clock import VirtualClock
from toono.wire.tls import ServerFiles, make_context

TOKEN = "abcdef.0123456789abcdef"
PIN = "sha256:" + "0" * 64
UNSAFE = "discovery-token-unsafe-skip-ca-verification"


class NoWait(VirtualClock):
    """Pauses take no time."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")


def joined(root, server="https://127.0.0.1:1", **given):
    flags = {
        "bootstrap-mode": "token",
        "root-dir": str(root.path),
        "node-name": "edge-1",
        "server-addr": server,
    }
    given = {name.replace("_", "-"): value for name, value in given.items()}
    options = load({k: v for k, v in (flags | given).items() if v}, {})
    return asyncio.run(join(options, clock=NoWait()))


def over_the_wire(authority, root, **given):
    async def go():
        pair = authority.server("127.0.0.1")
        files = ServerFiles(certificate=pair.certificate, key=pair.key)
        server = APIServer()
        await server.start(tls=make_context(files))
        content = cluster_info(kubeconfig(authority.file.read_bytes()))
        server.create("configmaps", content, namespace="kube-public")
        flags = {"bootstrap-mode": "token", "root-dir": str(root.path)}
        flags |= {"node-name": "edge-1", "server-addr": server.url, **given}
        try:
            return await join(load(flags, {}), clock=NoWait())
        finally:
            await server.aclose()

    return asyncio.run(go())


def test_first_join_leaves_yurthub_s_files(authority, root):
    pin = {"discovery-token-ca-cert-hash": pin_of(authority)}
    found = over_the_wire(authority, root, **{"join-token": TOKEN} | pin)
    assert found.node_name == "edge-1"
    assert found.files.awaited
    assert root.ca.read_bytes() == authority.file.read_bytes()
    kept = read_bootstrap(root.bootstrap)
    assert (kept.token, kept.ca) == (TOKEN, authority.file.read_bytes())
    assert stat.S_IMODE(root.bootstrap.stat().st_mode) == 0o600


def test_wrong_pin_joins_nothing(authority, root):
    with pytest.raises(OptionError, match=pin_of(authority)):
        over_the_wire(
            authority,
            root,
            **{
                "join-token": TOKEN,
                "discovery-token-ca-cert-hash": "sha256:" + "0" * 64,
            },
        )
    assert not root.ca.exists()
    assert not root.bootstrap.exists()


def test_later_start_needs_neither_cloud_nor_token(authority, root):
    ca = authority.file.read_bytes()
    told = Bootstrap(server="https://10.0.0.1:6443", ca=ca, token=TOKEN)
    write_bootstrap(root.bootstrap, told)
    found = joined(root, server="")
    assert found.servers == (("10.0.0.1", 6443),)
    assert root.ca.read_bytes() == ca


def test_new_token_replaces_the_old_one(authority, root):
    ca = authority.file.read_bytes()
    old = Bootstrap(server="https://127.0.0.1:1", ca=ca, token=TOKEN)
    write_bootstrap(root.bootstrap, old)
    joined(root, join_token="fedcba.fedcba9876543210")
    assert read_bootstrap(root.bootstrap).token == "fedcba.fedcba9876543210"


def test_named_kubeconfig_is_used_as_it_is(authority, root, tmp_path):
    ca = authority.file.read_bytes()
    told = Bootstrap(server="https://h:1", ca=ca, token=TOKEN)
    write_bootstrap(tmp_path / "mine.conf", told)
    found = joined(root, server="", bootstrap_file=str(tmp_path / "mine.conf"))
    assert found.servers == (("h", 1),)
    assert not root.bootstrap.exists()


def test_name_comes_from_a_certificate_that_is_there(authority, root):
    ca = authority.file.read_bytes()
    told = Bootstrap(server="https://h:1", ca=ca, token=TOKEN)
    write_bootstrap(root.bootstrap, told)
    root.pki.mkdir(parents=True)
    node = authority.node("edge-7").certificate.read_bytes()
    root.current("yurthub").write_bytes(node)
    assert joined(root, node_name="").node_name == "edge-7"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "--join-token or --bootstrap-file"),
        ({"server": ""}, "--server-addr"),
        ({"node_name": ""}, "--node-name"),
        ({"join_token": "slip"}, "abcdef.0123456789abcdef"),
        ({"bootstrap_file": "/nowhere/x.conf"}, "/nowhere/x.conf"),
        ({"join_token": TOKEN}, "unsafe-skip-ca-verification"),
        (
            {"join_token": TOKEN, "discovery_token_ca_cert_hash": PIN},
            "no cluster can be joined",
        ),
        (
            {"join_token": TOKEN, "discovery_token_ca_cert_hash": "sha256:1"},
            "no pin",
        ),
    ],
)
def test_what_is_missing_is_named(root, given, named):
    with pytest.raises(OptionError, match=named):
        joined(root, **given)


def test_directory_that_is_a_file_is_named(authority, root, tmp_path):
    ca = authority.file.read_bytes()
    told = Bootstrap(server="https://h:1", ca=ca, token=TOKEN)
    write_bootstrap(tmp_path / "mine.conf", told)
    root.path.write_text("a file")
    with pytest.raises(OptionError, match="--root-dir"):
        joined(root, bootstrap_file=str(tmp_path / "mine.conf"))


def test_without_a_pin_nothing_is_joined_unless_that_is_said(authority, root, caplog):
    with pytest.raises(OptionError) as caught:
        over_the_wire(authority, root, **{"join-token": TOKEN})
    assert caught.value.option == "--discovery-token-ca-cert-hash"
    assert UNSAFE in caught.value.remedy
    assert not root.ca.exists()
    assert caplog.text == ""
    over_the_wire(authority, root, **{"join-token": TOKEN, UNSAFE: "true"})
    assert root.ca.read_bytes() == authority.file.read_bytes()
    assert "on the word of the join token alone" in caplog.text


def test_pin_counts_though_none_is_asked_for(authority, root):
    given = {"join-token": TOKEN, UNSAFE: "true", "discovery-token-ca-cert-hash": PIN}
    with pytest.raises(OptionError, match=pin_of(authority)):
        over_the_wire(authority, root, **given)
