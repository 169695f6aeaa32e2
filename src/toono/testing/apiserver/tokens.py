# SPDX-License-Identifier: Apache-2.0
"""Tokens of service accounts, really signed, and what the world needs to check them.

The claims are kube-apiserver's (KEP-1205, bound tokens): issuer, audience, times and
the objects that a token is bound to. Read and written on its own, not with the hub's
verifier, so that a mistake shared by both cannot hide.
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from toono.testing.apiserver.query import JSON

ISSUER = "https://kubernetes.default.svc.cluster.local"
JWKS_PATH = "/openid/v1/jwks"
CONFIGURATION_PATH = "/.well-known/openid-configuration"
HOUR = 3600
CURVES: dict[str, tuple[str, type[ec.EllipticCurve]]] = {
    "ES256": ("P-256", ec.SECP256R1),
    "ES384": ("P-384", ec.SECP384R1),
    "ES512": ("P-521", ec.SECP521R1),
}
DIGESTS: dict[int, hashes.HashAlgorithm] = {
    256: hashes.SHA256(),
    384: hashes.SHA384(),
    521: hashes.SHA512(),
}
"""By the size of the curve (RFC 7518, 3.4)."""


PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The object that a token lives and dies with: a Pod, a Secret or a Node."""

    kind: str
    name: str
    uid: str


class TokenKeys:
    """A cluster's keys for service accounts: signs with the newest, believes all."""

    def __init__(
        self,
        *,
        issuer: str = ISSUER,
        algorithm: str = "RS256",
        audiences: Iterable[str] = (),
    ) -> None:
        self.issuer = issuer
        self.audiences = tuple(audiences) or (issuer,)
        self._keys: list[tuple[str, str, PrivateKey]] = []
        self.add_key(algorithm)

    def add_key(self, algorithm: str = "RS256") -> str:
        """Sign with a new key from now on; returns its kid. Old ones stay believed."""
        key: PrivateKey
        if algorithm in CURVES:
            _, curve = CURVES[algorithm]
            key = ec.generate_private_key(curve())
        else:
            key = rsa.generate_private_key(65537, 2048)
        return self.use_key(key, algorithm)

    def use_key(self, key: PrivateKey, algorithm: str) -> str:
        """Sign with a key that is there already; its kid is kube-apiserver's."""
        der = key.public_key().public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        kid = _encode(hashlib.sha256(der).digest())
        self._keys.insert(0, (kid, algorithm, key))
        return kid

    def drop_old_keys(self) -> None:
        """Believe the newest key alone."""
        del self._keys[1:]

    def mint(
        self,
        namespace: str,
        account: str,
        *,
        now: float,
        seconds: float = HOUR,
        uid: str = "",
        audiences: Iterable[str] = (),
        bound: Bound | None = None,
    ) -> str:
        """Return a token of one service account."""
        inside: JSON = {"namespace": namespace}
        if bound is not None:
            inside[bound.kind.lower()] = {"name": bound.name, "uid": bound.uid}
        inside["serviceaccount"] = {
            "name": account,
            "uid": uid or str(uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace}/{account}")),
        }
        claims = {
            "aud": list(audiences) or list(self.audiences),
            "exp": int(now + seconds),
            "iat": int(now),
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": inside,
            "nbf": int(now),
            "sub": f"system:serviceaccount:{namespace}:{account}",
        }
        return self.sign(claims)

    def sign(self, claims: JSON, *, header: JSON | None = None) -> str:
        """Return a token of any claims, for tests of what is wrong with one."""
        kid, algorithm, key = self._keys[0]
        head = header if header is not None else {"alg": algorithm, "kid": kid}
        signed = f"{_encode(_json(head))}.{_encode(_json(claims))}"
        return f"{signed}.{_encode(_sign(key, signed.encode()))}"

    def claims_of(self, token: str, *, now: float) -> JSON | None:
        """Return what a token says, None where this cluster does not believe it."""
        try:
            head_text, claims_text, signature = token.split(".")
            head = json.loads(_decode(head_text))
            claims: JSON = json.loads(_decode(claims_text))
            raw = _decode(signature)
        except ValueError:
            return None
        signed = f"{head_text}.{claims_text}".encode()
        shown = (head.get("kid"), head.get("alg"))
        known = {(kid, algorithm): key for kid, algorithm, key in self._keys}
        if shown not in known or not _verifies(known[shown], signed, raw):
            return None
        in_time = claims["nbf"] <= now < claims["exp"]
        meant = set(claims["aud"]) & set(self.audiences)
        return claims if in_time and meant and claims["iss"] == self.issuer else None

    # -- what anybody may read -------------------------------------------------

    def jwks(self) -> bytes:
        """Return the key set (RFC 7517), as /openid/v1/jwks serves it."""
        keys = [_jwk(kid, algorithm, key) for kid, algorithm, key in self._keys]
        return _json({"keys": keys})

    def configuration(self, server: str) -> bytes:
        """Return the OpenID provider's configuration that names the key set."""
        algorithms = sorted({algorithm for _, algorithm, _ in self._keys})
        return _json(
            {
                "issuer": self.issuer,
                "jwks_uri": server + JWKS_PATH,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": algorithms,
            }
        )


def _jwk(kid: str, algorithm: str, key: PrivateKey) -> JSON:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {
            "use": "sig",
            "kty": "RSA",
            "kid": kid,
            "alg": algorithm,
            "n": _encode(_octets(numbers.n)),
            "e": _encode(_octets(numbers.e)),
        }
    point = public.public_numbers()
    name, _ = CURVES[algorithm]
    return {
        "use": "sig",
        "kty": "EC",
        "kid": kid,
        "crv": name,
        "alg": algorithm,
        "x": _encode(point.x.to_bytes(_size(public), "big")),
        "y": _encode(point.y.to_bytes(_size(public), "big")),
    }


def _sign(key: PrivateKey, message: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(_digest(key))))
    return r.to_bytes(_size(key), "big") + s.to_bytes(_size(key), "big")


def _digest(key: ec.EllipticCurvePrivateKey) -> hashes.HashAlgorithm:
    return DIGESTS[key.curve.key_size]


def _size(key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> int:
    """Bytes of one coordinate, and of each half of a signature (RFC 7518, 3.4)."""
    return (key.curve.key_size + 7) // 8


def _verifies(key: PrivateKey, message: bytes, signature: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            scheme = padding.PKCS1v15()
            key.public_key().verify(signature, message, scheme, hashes.SHA256())
        else:
            r = int.from_bytes(signature[: _size(key)], "big")
            s = int.from_bytes(signature[_size(key) :], "big")
            der = encode_dss_signature(r, s)
            key.public_key().verify(der, message, ec.ECDSA(_digest(key)))
    except InvalidSignature:
        return False
    return True


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _json(content: JSON) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
