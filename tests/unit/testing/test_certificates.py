# SPDX-License-Identifier: Apache-2.0
"""Certificates that a TLS stack takes, of a CA that lies in one directory."""

import datetime
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from toono.testing.certificates import Authority, Pair


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki") / "deep")


def read(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


def names(pair: Pair, kind) -> list[str]:
    return [each.value for each in read(pair).subject.get_attributes_for_oid(kind)]


def usages(pair: Pair) -> list:
    return list(
        read(pair).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    )


def test_a_node_is_who_the_kubelet_says_it_is(authority: Authority) -> None:
    pair = authority.node("edge-1")
    assert names(pair, NameOID.COMMON_NAME) == ["system:node:edge-1"]
    assert names(pair, NameOID.ORGANIZATION_NAME) == ["system:nodes"]
    assert usages(pair) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_user_has_its_groups(authority: Authority) -> None:
    pair = authority.user("admin", "system:masters", "others")
    assert names(pair, NameOID.COMMON_NAME) == ["admin"]
    assert names(pair, NameOID.ORGANIZATION_NAME) == ["system:masters", "others"]
    assert names(authority.user("alone"), NameOID.ORGANIZATION_NAME) == []


def test_a_server_has_its_addresses_and_names(authority: Authority) -> None:
    pair = authority.server("127.0.0.1", "::1", "api.example.com")
    kind = x509.SubjectAlternativeName
    told = read(pair).extensions.get_extension_for_class(kind).value
    assert told.get_values_for_type(x509.DNSName) == ["api.example.com"]
    addresses = [str(each) for each in told.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1"]
    assert usages(pair) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_what_is_issued_is_signed_by_the_authority(authority: Authority) -> None:
    root = x509.load_pem_x509_certificate(authority.file.read_bytes())
    for pair in (authority.node("a"), authority.server("b"), authority.user("c")):
        read(pair).verify_directly_issued_by(root)
    limits = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.value.ca


def test_a_tls_stack_takes_them(authority: Authority) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.server("127.0.0.1")
    server.load_cert_chain(pair.certificate, pair.key)
    server.load_verify_locations(authority.file)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(authority.file))
    node = authority.node("edge-1")
    client.load_cert_chain(node.certificate, node.key)
    assert shaken(server, client) == "system:node:edge-1"


def shaken(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """Have both sides shake hands in memory; return who the client is."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(up, down, server_side=True)
    theirs = client.wrap_bio(down, up, server_hostname="127.0.0.1")
    open_sides = [theirs, ours]
    for _ in range(10):
        for side in list(open_sides):
            try:
                side.do_handshake()
                open_sides.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert open_sides == []
    subject = dict(part[0] for part in ours.getpeercert()["subject"])
    return subject["commonName"]


def test_days_may_be_over(authority: Authority) -> None:
    now = datetime.datetime.now(datetime.UTC)
    over, fresh = authority.node("old", days=-1), authority.node("new", days=2)
    assert read(over).not_valid_after_utc < now
    assert read(over).not_valid_before_utc < read(over).not_valid_after_utc
    assert read(fresh).not_valid_before_utc < now < read(fresh).not_valid_after_utc


def test_keys_are_for_their_owner_alone(authority: Authority) -> None:
    key: Path = authority.node("secret").key
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
