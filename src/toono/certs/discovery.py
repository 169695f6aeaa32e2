# SPDX-License-Identifier: Apache-2.0
"""What a join token leads to: the cluster's CA, believed by signature and by pins.

The ConfigMap kube-public/cluster-info is read over TLS that is not verified, because
nothing is known yet to verify it with. It is believed only if the token's secret signed
it (a detached JWS, HS256), and if its CA is one that was pinned, where pins are given;
then it is read again over TLS that this CA verifies.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import ssl
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import msgspec
import yaml

from toono.errors import CertificateError, UpstreamError, WireError
from toono.wire.client import Origin
from toono.wire.messages import Body

TARGET = b"/api/v1/namespaces/kube-public/configmaps/cluster-info"
ANSWER_SECONDS = 10.0
MAX_BYTES = 1024 * 1024
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})\Z")
_PIN = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A bootstrap token; its secret is never shown."""

    identity: str
    secret: str = field(repr=False)

    @classmethod
    def of(cls, text: str) -> "JoinToken":
        """Return the token in a text; CertificateError where there is none."""
        match = _TOKEN.match(text)
        if match is None:
            # The text is not repeated: it may be a token with a slip in it.
            raise CertificateError("a join token is written as abcdef.0123456789abcdef")
        return cls(match[1], match[2])


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


_configmap = msgspec.json.Decoder(_ConfigMap).decode


def check_pins(pins: Collection[str]) -> None:
    """Refuse what is no pin: one with a slip in it would only ever fail."""
    for pin in pins:
        if not _PIN.match(pin.lower()):
            raise CertificateError(f"{pin!r} is no pin: write it as sha256:<64 hex>")


async def discover(
    address: tuple[str, int], token: JoinToken, pins: Collection[str]
) -> bytes:
    """Return the cluster's CA as PEM.

    CertificateError for what must not be believed, UpstreamError where nobody answers
    or the token is not in the ConfigMap (yet).
    """
    check_pins(pins)
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    ca = believe(await _fetch(address, unverified), token, pins)
    verified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    verified.load_verify_locations(cadata=ca.decode("ascii"))
    if believe(await _fetch(address, verified), token, pins) != ca:
        raise CertificateError("cluster-info names another CA over verified TLS")
    return ca


def believe(content: bytes, token: JoinToken, pins: Collection[str]) -> bytes:
    """Return the CA that a cluster-info ConfigMap names, if it is to be believed."""
    try:
        data = _configmap(content).data or {}
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise UpstreamError("cluster-info is no ConfigMap") from exc
    kubeconfig = data.get("kubeconfig", "")
    signature = data.get(f"jws-kubeconfig-{token.identity}", "")
    if not signature:
        raise UpstreamError(
            f"cluster-info is not signed with the token {token.identity}: it may have"
            " expired, or was made a moment ago"
        )
    if not _is_signed(kubeconfig.encode(), signature, token):
        raise CertificateError(
            f"cluster-info is signed with another token than {token.identity}:"
            " is this the right cluster?"
        )
    ca = _ca_of(kubeconfig)
    wrong = _unpinned(ca, pins)
    if wrong:
        raise CertificateError(
            f"the cluster's CA is {', '.join(wrong)}, which"
            " --discovery-token-ca-cert-hash does not name"
        )
    return ca


def _is_signed(payload: bytes, signature: str, token: JoinToken) -> bool:
    """Check a detached JWS. The one algorithm is ours to say, not the header's."""
    parts = signature.split(".")
    if len(parts) != 3 or parts[1]:
        return False
    try:
        header = json.loads(_decode(parts[0]))
        told = _decode(parts[2])
        signed = f"{parts[0]}.{_encode(payload)}".encode("ascii")
    except ValueError:
        return False
    if not isinstance(header, dict) or header.get("alg") != "HS256":
        return False
    if header.get("kid") != token.identity:
        return False
    made = hmac.new(token.secret.encode(), signed, hashlib.sha256).digest()
    return hmac.compare_digest(made, told)


def _ca_of(kubeconfig: str) -> bytes:
    try:
        content: Any = yaml.safe_load(kubeconfig)
        data = content["clusters"][0]["cluster"]["certificate-authority-data"]
        return base64.b64decode(data, validate=True)
    except (yaml.YAMLError, LookupError, TypeError, ValueError) as exc:
        raise CertificateError("cluster-info names no CA") from exc


def pins_of(ca: bytes) -> list[str]:
    """Return what pins the CAs of a PEM file; CertificateError where it holds none."""
    from cryptography import x509

    from toono.certs.files import public_bytes

    try:
        found = x509.load_pem_x509_certificates(ca)
    except ValueError as exc:
        raise CertificateError("cluster-info names no CA that can be read") from exc
    return [
        "sha256:" + hashlib.sha256(public_bytes(one.public_key())).hexdigest()
        for one in found
    ]


def _unpinned(ca: bytes, pins: Collection[str]) -> list[str]:
    """Return the hashes of the CAs if one of them is not pinned; none where no pin is."""
    hashes = pins_of(ca)
    if not pins or set(hashes) <= {pin.lower() for pin in pins}:
        return []
    return hashes


async def _fetch(address: tuple[str, int], context: ssl.SSLContext) -> bytes:
    origin = Origin(*address, tls=lambda _: context)
    headers = [
        (b"Host", origin.authority.encode()),
        (b"User-Agent", b"toono"),
        (b"Accept", b"application/json"),
    ]
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await origin.send("GET", TARGET, headers, None, credential="")
            content = await _whole(answer.body)
    except TimeoutError as exc:
        raise UpstreamError(f"{origin.authority} does not answer") from exc
    except WireError as exc:
        raise UpstreamError(str(exc)) from exc
    finally:
        origin.close()
    if answer.status != 200:
        raise UpstreamError(f"cluster-info cannot be read: {answer.status}")
    return content


async def _whole(body: Body) -> bytes:
    pieces, size = [], 0
    try:
        while piece := await body.read():
            size += len(piece)
            if size > MAX_BYTES:
                raise UpstreamError("cluster-info is larger than 1 MiB")
            pieces.append(piece)
    finally:
        body.close()
    return b"".join(pieces)


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
