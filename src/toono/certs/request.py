# SPDX-License-Identifier: Apache-2.0
"""A CertificateSigningRequest: made, named, and what became of it.

Its name is a digest of key and content, as the kubelet does it: who starts anew with
the same key finds its own request instead of making another. Knows no connection.
"""

import hashlib
from base64 import b64decode, b64encode
from enum import Enum
from ipaddress import ip_address
from typing import NamedTuple

import msgspec

from toono.certs.files import public_bytes
from toono.certs.names import Wanted
from toono.errors import CertificateError

PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


class Outcome(Enum):
    """What became of a request."""

    PENDING = "pending"
    ISSUED = "issued"
    DENIED = "denied"
    FAILED = "failed"


class Verdict(NamedTuple):
    """What the cluster says of a request."""

    outcome: Outcome
    certificate: bytes = b""
    why: str = ""
    approved: bool = False


class Prepared(NamedTuple):
    """A request as it is sent."""

    name: str
    content: bytes
    """The object, as JSON."""
    public_key: bytes


class _Condition(msgspec.Struct):
    type: str = ""
    reason: str = ""
    message: str = ""


class _Status(msgspec.Struct):
    conditions: list[_Condition] | None = None
    certificate: str | None = None


class _Request(msgspec.Struct):
    status: _Status | None = None


_decode = msgspec.json.Decoder(_Request).decode


def new_key() -> bytes:
    """Return a new private key (P-256), as PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def prepare(wanted: Wanted, key_pem: bytes) -> Prepared:
    """Return the request for a certificate of this key; CertificateError for no key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    try:
        key = serialization.load_pem_private_key(key_pem, None)
    except (ValueError, TypeError) as exc:
        raise CertificateError("the key that was kept is none") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError("the key that was kept is of another kind")
    groups = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, one)
        for one in wanted.organizations
    ]
    common = x509.NameAttribute(NameOID.COMMON_NAME, wanted.common_name)
    builder = x509.CertificateSigningRequestBuilder(x509.Name([*groups, common]))
    addresses = [x509.IPAddress(ip_address(one)) for one in wanted.addresses]
    names = [*map(x509.DNSName, wanted.dns), *addresses]
    if names:
        extension = x509.SubjectAlternativeName(names)
        builder = builder.add_extension(extension, critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    public = public_bytes(key.public_key())
    name = _name(wanted, public)
    return Prepared(name, _object(wanted, name, pem), public)


def _name(wanted: Wanted, public: bytes) -> str:
    digest = hashlib.sha256(public)
    for words in (
        (wanted.signer, wanted.common_name),
        wanted.organizations,
        wanted.dns,
        wanted.addresses,
    ):
        digest.update(repr(words).encode())
    kind = "client" if wanted.usage == "client auth" else "serving"
    return f"toono-{kind}-{digest.hexdigest()[:32]}"


def _object(wanted: Wanted, name: str, pem: bytes) -> bytes:
    spec = {
        "request": b64encode(pem).decode(),
        "signerName": wanted.signer,
        "usages": wanted.usages,
    }
    content = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": spec,
    }
    return msgspec.json.encode(content)


def read_verdict(content: bytes) -> Verdict:
    """Return what the cluster says; CertificateError where it says nothing legible."""
    try:
        status = _decode(content).status or _Status()
        certificate = b64decode(status.certificate or "", validate=True)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as exc:
        raise CertificateError("the answer is no CertificateSigningRequest") from exc
    approved = False
    for one in status.conditions or ():
        if one.type in ("Denied", "Failed"):
            why = ": ".join(filter(None, (one.reason, one.message)))
            return Verdict(Outcome[one.type.upper()], why=why)
        approved = approved or one.type == "Approved"
    if certificate:
        return Verdict(Outcome.ISSUED, certificate, approved=approved)
    return Verdict(Outcome.PENDING, approved=approved)


def joined(certificate: bytes, key_pem: bytes, *, public_key: bytes) -> bytes:
    """Return certificate and key as one file; CertificateError where they are not one.

    A signer that answers with another's certificate would cut the node off.
    """
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError as exc:
        raise CertificateError("what was issued is no certificate") from exc
    if public_bytes(found.public_key()) != public_key:
        raise CertificateError("the certificate issued is for another key")
    return certificate.rstrip() + b"\n" + key_pem
