# SPDX-License-Identifier: Apache-2.0
import stat

import pytest
import yaml
from bench.peers import lay_root

from toono.certs.files import (
    Bootstrap,
    Held,
    Root,
    put_current,
    read_bootstrap,
    read_held,
    write_bootstrap,
    write_kubeconfig,
    write_whole,
)
from toono.errors import CertificateError
from toono.testing.certificates import Authority


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


def pem(pair) -> bytes:
    return pair.certificate.read_bytes() + pair.key.read_bytes()


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_yurthub_left_is_taken_up(root, authority):
    lay_root(root.path, authority=authority, address="https://h:6443", node="edge-1")
    held = read_held(root.current("yurthub"))
    assert isinstance(held, Held)
    assert "system:node:edge-1" in held.subject
    serving = read_held(root.current("yurthub-server"))
    assert isinstance(serving, Held)
    assert serving.names == ("127.0.0.1", "localhost")
    found = read_bootstrap(root.bootstrap)
    assert (found.server, found.ca) == ("https://h:6443", authority.file.read_bytes())


def test_a_new_certificate_is_current_and_nobody_else_s_to_read(root, authority):
    node = authority.node("edge-1")
    current = put_current(root, "yurthub", pem(node), now=1_700_000_000)
    assert current.is_symlink()
    assert current.resolve().name == "yurthub-2023-11-14-22-13-20.pem"
    assert current.read_bytes() == pem(node)
    assert mode(current) == 0o600


def test_the_one_before_stays_and_older_ones_go(root, authority):
    content = pem(authority.node("edge-1"))
    for day in range(4):
        put_current(root, "yurthub", content, now=1_700_000_000 + day * 86400)
    kept = sorted(one.name for one in root.pki.iterdir())
    assert kept == [
        "yurthub-2023-11-16-22-13-20.pem",
        "yurthub-2023-11-17-22-13-20.pem",
        "yurthub-current.pem",
    ]


def test_a_client_certificate_leaves_those_of_the_server(root, authority):
    content = pem(authority.node("edge-1"))
    for now in (1_700_000_000, 1_700_086_400, 1_700_172_800):
        put_current(root, "yurthub-server", content, now=now)
    put_current(root, "yurthub", content, now=1_700_300_000)
    assert len(list(root.pki.glob("yurthub-server-2*.pem"))) == 2


def test_what_was_there_readable_by_all_is_not_after_a_write(root):
    root.path.mkdir()
    part = root.path / ".x.part"
    part.write_text("left by a crash")
    part.chmod(0o666)
    write_whole(root.path / "x", b"secret")
    assert mode(root.path / "x") == 0o600
    assert (root.path / "x").read_bytes() == b"secret"
    assert not part.exists()


def test_a_link_laid_in_the_way_is_not_written_through(root, tmp_path):
    root.path.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    (root.path / ".x.part").symlink_to(victim)
    with pytest.raises(OSError, match=r"\.x\.part"):
        write_whole(root.path / "x", b"secret")
    assert victim.read_text() == "theirs"


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN CERTIFICATE-----"])
def test_what_is_no_certificate_is_named(root, content):
    write_whole(root.current("yurthub"), content)
    assert "holds no certificate" in read_held(root.current("yurthub"))


def test_another_s_key_is_named(root, authority):
    one, other = authority.node("a"), authority.node("b")
    mixed = one.certificate.read_bytes() + other.key.read_bytes()
    write_whole(root.current("yurthub"), mixed)
    assert "key of another" in read_held(root.current("yurthub"))


def test_nothing_is_no_fault(root):
    assert read_held(root.current("yurthub")) is None
    assert read_bootstrap(root.bootstrap) is None


def test_a_directory_is_told_apart_from_nothing(root):
    root.current("yurthub").mkdir(parents=True)
    assert "cannot be read" in read_held(root.current("yurthub"))
    with pytest.raises(CertificateError, match="cannot be read"):
        read_bootstrap(root.current("yurthub"))


def test_bootstrap_survives_its_file_and_shows_no_token(root):
    told = Bootstrap(server="https://h:1", ca=b"pem", token="abcdef.0123456789abcdef")
    write_bootstrap(root.bootstrap, told)
    assert read_bootstrap(root.bootstrap) == told
    assert mode(root.bootstrap) == 0o600
    assert "0123456789abcdef" not in repr(told)
    content = yaml.safe_load(root.bootstrap.read_text())
    assert content["current-context"] == "token-bootstrap-client@kubernetes"


def test_ca_may_be_a_file_beside(root):
    root.pki.mkdir(parents=True)
    root.ca.write_bytes(b"pem")
    write_kubeconfig(root, "https://h:1")
    assert read_bootstrap(root.kubeconfig).ca == b"pem"
    content = yaml.safe_load(root.kubeconfig.read_text())
    user = content["users"][0]["user"]
    assert user["client-key"] == str(root.current("yurthub"))
    assert content["contexts"][0]["context"]["namespace"] == "default"


@pytest.mark.parametrize(
    "content",
    ["token: canary: [", "[]", "clusters: 3", "", "contexts: [{name: canary}]"],
)
def test_what_is_no_kubeconfig_is_named_without_its_content(root, content):
    write_whole(root.bootstrap, content.encode())
    with pytest.raises(CertificateError, match="no kubeconfig") as told:
        read_bootstrap(root.bootstrap)
    assert "canary" not in str(told.value)
