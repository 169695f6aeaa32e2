# SPDX-License-Identifier: Apache-2.0
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from toono.identity.certificates import is_of_node
from toono.testing.certificates import Authority


def der(pair) -> bytes:
    found = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    return found.public_bytes(Encoding.DER)


def test_only_this_very_node_s_certificate_is_the_node_s(tmp_path) -> None:
    authority = Authority(tmp_path)
    own = der(authority.node("edge-1"))
    assert is_of_node(own, "edge-1")
    assert not is_of_node(own, "edge-2")
    assert not is_of_node(own, "")
    assert not is_of_node(der(authority.node("edge-2")), "edge-1")
    assert not is_of_node(der(authority.user("system:node:edge-1")), "edge-1")
    grouped = authority.user("system:node:edge-1", "devs", "system:nodes")
    assert is_of_node(der(grouped), "edge-1")
    assert not is_of_node(der(authority.user("edge-1", "system:nodes")), "edge-1")
    assert not is_of_node(b"no certificate", "edge-1")
