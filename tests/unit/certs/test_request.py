# SPDX-License-Identifier: Apache-2.0
import base64
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from toono.certs.names import client_wanted, serving_wanted
from toono.certs.request import Outcome, joined, new_key, prepare, read_verdict
from toono.errors import CertificateError
from toono.testing.certificates import Authority

SERVING = serving_wanted("edge-1", ["10.96.0.1", "fd00::2:1"])


def csr_of(prepared) -> x509.CertificateSigningRequest:
    request = json.loads(prepared.content)["spec"]["request"]
    return x509.load_pem_x509_csr(base64.b64decode(request))


def test_request_says_who_and_what_for():
    prepared = prepare(SERVING, new_key())
    content = json.loads(prepared.content)
    assert content["metadata"]["name"] == prepared.name
    assert content["spec"]["signerName"] == SERVING.signer
    assert content["spec"]["usages"] == list(SERVING.usages)
    found = csr_of(prepared)
    assert found.is_signature_valid
    assert found.subject.rfc4514_string() == "CN=system:node:edge-1,O=system:nodes"
    kind = x509.SubjectAlternativeName
    names = found.extensions.get_extension_for_class(kind).value
    assert names.get_values_for_type(x509.DNSName) == list(SERVING.dns)
    addresses = names.get_values_for_type(x509.IPAddress)
    assert [str(one) for one in addresses] == ["10.96.0.1", "fd00::2:1"]


def test_client_request_carries_no_names():
    assert list(csr_of(prepare(client_wanted("a"), new_key())).extensions) == []


def test_same_key_and_content_is_the_same_request_and_else_another():
    key = new_key()
    name = prepare(SERVING, key).name
    assert prepare(SERVING, key).name == name
    assert prepare(serving_wanted("edge-1", ["10.96.0.2"]), key).name != name
    assert prepare(SERVING, new_key()).name != name
    assert name.startswith("toono-serving-")
    assert prepare(client_wanted("a"), key).name.startswith("toono-client-")


def test_a_key_that_cannot_be_used_is_named():
    with pytest.raises(CertificateError, match="is none"):
        prepare(SERVING, b"junk")
    of_rsa = rsa.generate_private_key(65537, 1024).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(CertificateError, match="another kind"):
        prepare(SERVING, of_rsa)


def told(**status) -> bytes:
    return json.dumps({"kind": "CertificateSigningRequest", "status": status}).encode()


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (b"{}", Outcome.PENDING),
        (told(), Outcome.PENDING),
        (told(conditions=[{"type": "Approved"}]), Outcome.PENDING),
        (told(certificate="cGVt"), Outcome.ISSUED),
        (told(conditions=[{"type": "Denied"}]), Outcome.DENIED),
        (told(conditions=[{"type": "Approved"}, {"type": "Failed"}]), Outcome.FAILED),
        (told(conditions=[{"type": "Failed"}], certificate="cGVt"), Outcome.FAILED),
    ],
)
def test_outcome_follows_the_conditions(content, outcome):
    assert read_verdict(content).outcome is outcome


def test_refusal_says_why_and_approval_is_seen():
    denied = {"type": "Denied", "reason": "Policy", "message": "not you"}
    assert read_verdict(told(conditions=[denied])).why == "Policy: not you"
    assert read_verdict(told(conditions=[{"type": "Approved"}])).approved
    assert not read_verdict(told()).approved


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", told(certificate="%%%")])
def test_an_answer_that_is_none_is_named(content):
    with pytest.raises(CertificateError, match="no CertificateSigningRequest"):
        read_verdict(content)


def test_issued_is_joined_with_its_own_key_only(tmp_path):
    authority, key = Authority(tmp_path), new_key()
    prepared = prepare(SERVING, key)
    pem = authority.sign(csr_of(prepared), usage="server auth", now=1e9, seconds=60)
    found = joined(pem, key, public_key=prepared.public_key)
    assert found.startswith(b"-----BEGIN CERTIFICATE")
    assert found.endswith(key)
    with pytest.raises(CertificateError, match="another key"):
        joined(pem, key, public_key=prepare(SERVING, new_key()).public_key)
    with pytest.raises(CertificateError, match="no certificate"):
        joined(b"junk", key, public_key=prepared.public_key)
