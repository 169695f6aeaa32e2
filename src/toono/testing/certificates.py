# SPDX-License-Identifier: Apache-2.0
"""A certificate authority for tests: servers and nodes with real certificates."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from toono.runtime.clock import SystemClock

_USAGES = {
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
}
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A CA whose certificate, and all it issues, lie in one directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-ca")])
        builder = self._builder(self._name, self._key.public_key(), days=3650)
        certificate = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        ).sign(self._key, hashes.SHA256())
        self.file = directory / "ca.crt"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, *hosts: str, days: int = 30) -> Pair:
        """Issue a serving certificate for IP addresses and DNS names."""
        alternatives = x509.SubjectAlternativeName([_general(host) for host in hosts])
        return self._issue(
            "server",
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")]),
            days,
            [alternatives, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])],
        )

    def node(self, name: str, *, days: int = 30) -> Pair:
        """Issue a node's client certificate, as the kubelet's."""
        user = f"system:node:{name}"
        return self._client(f"node-{name}", user, ("system:nodes",), days=days)

    def user(self, name: str, *groups: str, days: int = 30) -> Pair:
        """Issue a user's client certificate; its groups are organizations."""
        return self._client(f"user-{name}", name, groups, days=days)

    def sign(
        self,
        request: x509.CertificateSigningRequest,
        *,
        usage: str,
        now: float,
        seconds: float,
    ) -> bytes:
        """Return a certificate (PEM) for a request: its key, subject and names."""
        moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
        ends = moment + datetime.timedelta(seconds=seconds)
        allowed = x509.ExtendedKeyUsage([_USAGES[usage]])
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._name)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment - datetime.timedelta(minutes=5))
            .not_valid_after(ends)
            .add_extension(allowed, critical=False)
        )
        for one in request.extensions:
            if isinstance(one.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(one.value, critical=one.critical)
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def _client(
        self, stem: str, name: str, groups: tuple[str, ...], *, days: int
    ) -> Pair:
        organizations = [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups
        ]
        common = x509.NameAttribute(NameOID.COMMON_NAME, name)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._issue(stem, x509.Name([*organizations, common]), days, [usage])

    def _issue(
        self,
        stem: str,
        subject: x509.Name,
        days: int,
        extensions: list[x509.ExtensionType],
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(subject, key.public_key(), days=days)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pair = Pair(self._directory / f"{stem}.crt", self._directory / f"{stem}.key")
        pair.certificate.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
        )
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        pair.key.chmod(0o600)
        return pair

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.fromtimestamp(SystemClock().wall(), datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + days * DAY) - DAY)
            .not_valid_after(now + days * DAY)
        )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
