# SPDX-License-Identifier: Apache-2.0
"""Is this the cluster's own token, and whose? Checked here, without asking anybody.

A token of a service account is a signed JWT (RFC 7519, KEP-1205); the cluster's key
set says which signatures to believe. What this module cannot judge (an opaque token,
another issuer's, a key it does not know) it calls unjudged, never valid. It knows
nothing of rights, and keeps no token: results are kept by the token's hash.

cryptography is imported when the first key set is read: 12 MB that a node whose pods
bring no tokens does not pay.
"""

import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

import msgspec

from toono.errors import CodecError

MAX_TOKEN_BYTES = 16 * 1024
MAX_KEYS = 64
MAX_CHECKED = 4096
BUILT_AT = 1_790_000_000.0
"""No clock of a node is before this release (September 2026): one that says so is
wrong, and no token's times can be checked by it."""
Verify = Callable[[bytes, bytes], bool]
"""(signature, message) → whether the key made it"""


class Trust(Enum):
    """What a token is worth."""

    VALID = "valid"
    EXPIRED = "expired"
    EARLY = "not yet valid"
    FORGED = "refused"
    """Claims a known key, or a way of signing, that did not sign it."""
    UNJUDGED = "cannot be judged here"


class Checked(NamedTuple):
    """The word on one token."""

    trust: Trust
    why: str = ""
    """What is wrong with it, for people; never a part of the token."""
    user: str = ""
    uid: str = ""
    expires_at: float = 0.0
    not_before: float = 0.0
    pod: str = ""
    """The pod it is bound to, for people."""
    lacks_key: bool = False
    """It is a service account's, and no key that is known can judge it."""
    is_account_s: bool = False
    """It says to be a service account's, of whatever issuer."""

    @property
    def identity(self) -> str:
        """The owner across tokens: a service account made anew is somebody else."""
        return f"{self.user}/{self.uid}"


class Key(NamedTuple):
    """One key of a key set."""

    algorithm: str
    verify: Verify


class KeySet(NamedTuple):
    """The keys of one issuer, by kid."""

    issuer: str
    keys: Mapping[str, Key]


class _Header(msgspec.Struct):
    alg: str
    kid: str = ""
    crit: list[str] | None = None


class _Named(msgspec.Struct):
    name: str
    uid: str = ""


class _Inside(msgspec.Struct):
    namespace: str
    serviceaccount: _Named
    pod: _Named | None = None


OF_SECRETS = "kubernetes/serviceaccount"
"""Issuer of tokens that live in Secrets: they have no end and no audience."""


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    exp: float | None = None
    aud: list[str] | str = ""
    nbf: float = 0.0
    iat: float = 0.0
    inside: _Inside | None = msgspec.field(default=None, name="kubernetes.io")
    namespace: str = msgspec.field(
        default="", name="kubernetes.io/serviceaccount/namespace"
    )
    name: str = msgspec.field(
        default="", name="kubernetes.io/serviceaccount/service-account.name"
    )
    uid: str = msgspec.field(
        default="", name="kubernetes.io/serviceaccount/service-account.uid"
    )

    @property
    def account(self) -> _Inside | None:
        """Whose it says to be, None where it is no service account's."""
        if self.iss != OF_SECRETS:
            return self.inside
        if not self.namespace or not self.name:
            return None
        return _Inside(self.namespace, _Named(self.name, self.uid))


class _JWK(msgspec.Struct):
    kty: str
    kid: str = ""
    use: str = "sig"
    alg: str = ""
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""


class _JWKS(msgspec.Struct):
    keys: list[_JWK]


_header = msgspec.json.Decoder(_Header)
_claims = msgspec.json.Decoder(_Claims)
_jwks = msgspec.json.Decoder(_JWKS)


class Verifier:
    """Checks tokens against the newest key set; remembers results by hash."""

    def __init__(
        self, *, leeway: float = 300.0, audiences: frozenset[str] = frozenset()
    ) -> None:
        self.leeway = leeway
        self._audiences = audiences
        self._set: KeySet | None = None
        self._known: OrderedDict[bytes, Checked] = OrderedDict()

    @property
    def keys(self) -> int:
        """How many keys are known; 0 until there is a key set."""
        return len(self._set.keys) if self._set is not None else 0

    def use(self, keys: KeySet) -> None:
        """Believe these keys and no others from now on."""
        self._set = keys
        self._known.clear()

    def check(self, token: bytes, *, now: float) -> Checked:
        """Return what `token` is worth at the wall time `now`."""
        digest = hashlib.blake2b(token, digest_size=16).digest()
        known = self._known.get(digest)
        if known is None:
            known = self._judge(token)
            self._known[digest] = known
            if len(self._known) > MAX_CHECKED:
                self._known.popitem(last=False)
        return self._in_time(known, now)

    def _in_time(self, known: Checked, now: float) -> Checked:
        """Apply what depends on the clock, which may be wrong after a cold boot."""
        judged = known.trust is Trust.VALID
        if not judged and (known.trust is not Trust.UNJUDGED or not known.expires_at):
            return known
        if judged and now < BUILT_AT:
            why = "this node's clock is before toono was made: set it"
            return known._replace(trust=Trust.EARLY, why=why)
        if judged and now < known.not_before - self.leeway:
            why = "it is not valid yet, or this node's clock is slow"
            return known._replace(trust=Trust.EARLY, why=why)
        if known.expires_at and now >= known.expires_at + self.leeway:
            return known._replace(trust=Trust.EXPIRED, why="it has expired")
        return known

    def _judge(self, token: bytes) -> Checked:
        if len(token) > MAX_TOKEN_BYTES:
            return Checked(Trust.FORGED, f"it is longer than {MAX_TOKEN_BYTES} bytes")
        parts = token.split(b".")
        if len(parts) != 3:
            return Checked(Trust.UNJUDGED, "it is no JWT")
        try:
            header = _header.decode(_decode(parts[0]))
            claims = _claims.decode(_decode(parts[1]))
            signature = _decode(parts[2])
        except (msgspec.DecodeError, ValueError):
            return Checked(Trust.UNJUDGED, "it is no JWT of a service account")
        if header.alg not in ALGORITHMS or header.crit is not None:
            why = "its algorithm is not RS256, ES256, ES384 or ES512"
            return Checked(Trust.FORGED, why)
        checked = self._judge_signed(header, claims, signature, b".".join(parts[:2]))
        # Whoever made it, nobody takes it after its end.
        is_account_s = claims.account is not None
        return checked._replace(expires_at=claims.exp or 0.0, is_account_s=is_account_s)

    def _judge_signed(
        self, header: _Header, claims: _Claims, signature: bytes, message: bytes
    ) -> Checked:
        if self._set is None:
            why = "the cluster's key set is not known yet"
            lacks_key = claims.account is not None
            return Checked(Trust.UNJUDGED, why, lacks_key=lacks_key)
        if claims.iss not in (self._set.issuer, OF_SECRETS):
            return Checked(Trust.UNJUDGED, "another issuer has made it")
        key = self._set.keys.get(header.kid)
        if key is None:
            why = "a key that is not known here signed it"
            return Checked(Trust.UNJUDGED, why, lacks_key=True)
        # The key says how it signs, never the token (RFC 8725, 3.1).
        if key.algorithm != header.alg or not key.verify(signature, message):
            return Checked(Trust.FORGED, "its signature is not the cluster's")
        if claims.iss == OF_SECRETS:
            return _of_account(claims)
        if claims.exp is None:
            return Checked(Trust.FORGED, "it has no end")
        meant = {claims.aud} if isinstance(claims.aud, str) else set(claims.aud)
        if not meant & (self._audiences | {self._set.issuer}):
            return Checked(Trust.UNJUDGED, "it is for another audience")
        return _of_account(claims)


def _of_account(claims: _Claims) -> Checked:
    inside = claims.account
    if inside is None:
        return Checked(Trust.UNJUDGED, "it is no service account's")
    account = inside.serviceaccount
    user = f"system:serviceaccount:{inside.namespace}:{account.name}"
    if claims.sub != user:
        return Checked(Trust.FORGED, "its subject is not its service account")
    return Checked(
        Trust.VALID,
        user=user,
        uid=account.uid,
        not_before=max(claims.nbf, claims.iat),
        pod=inside.pod.name if inside.pod is not None else "",
    )


CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
ALGORITHMS = frozenset({"RS256", *CURVES.values()})
"""What kube-apiserver signs with: the kind of its key says which."""


def read_key_set(issuer: str, document: bytes) -> KeySet:
    """Return the usable keys of a JWKS document; CodecError where it holds none."""
    try:
        found = _jwks.decode(document).keys
    except msgspec.DecodeError as exc:
        raise CodecError(f"the key set cannot be read: {exc}") from exc
    keys: dict[str, Key] = {}
    for jwk in found[:MAX_KEYS]:
        try:
            key = _key(jwk)
        except ValueError as exc:
            raise CodecError(f"a key of the key set is not valid: {exc}") from exc
        if key is not None and jwk.kid:
            keys[jwk.kid] = key
    if not keys:
        raise CodecError("the key set holds no key for RS256, ES256, ES384 or ES512")
    return KeySet(issuer, keys)


def _key(jwk: _JWK) -> Key | None:
    algorithm = {"RSA": "RS256", "EC": CURVES.get(jwk.crv, "")}.get(jwk.kty, "")
    if jwk.use != "sig" or not algorithm or jwk.alg not in ("", algorithm):
        return None
    return Key(algorithm, _rsa(jwk) if jwk.kty == "RSA" else _ecdsa(jwk))


def _rsa(jwk: _JWK) -> Verify:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    numbers = rsa.RSAPublicNumbers(_number(jwk.e), _number(jwk.n))
    key = numbers.public_key()
    if key.key_size < 2048:
        raise ValueError("an RSA key of less than 2048 bits")

    def verify(signature: bytes, message: bytes) -> bool:
        try:
            key.verify(signature, message, padding.PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    return verify


def _ecdsa(jwk: _JWK) -> Verify:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    curve, digest = {
        "P-256": (ec.SECP256R1(), hashes.SHA256()),
        "P-384": (ec.SECP384R1(), hashes.SHA384()),
        "P-521": (ec.SECP521R1(), hashes.SHA512()),
    }[jwk.crv]
    numbers = ec.EllipticCurvePublicNumbers(_number(jwk.x), _number(jwk.y), curve)
    key = numbers.public_key()
    size = (curve.key_size + 7) // 8

    def verify(signature: bytes, message: bytes) -> bool:
        if len(signature) != 2 * size:  # r and s, of one size (RFC 7518, 3.4)
            return False
        r, s = signature[:size], signature[size:]
        pair = int.from_bytes(r, "big"), int.from_bytes(s, "big")
        try:
            der = utils.encode_dss_signature(*pair)
            key.verify(der, message, ec.ECDSA(digest))
        except InvalidSignature:
            return False
        return True

    return verify


def _number(text: str) -> int:
    return int.from_bytes(_decode(text.encode()), "big")


def _decode(text: bytes) -> bytes:
    """Decode base64url without padding; ValueError for any other byte."""
    if b"=" in text or b"+" in text or b"/" in text:
        raise ValueError("not base64url")
    try:
        padded = text + b"=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise ValueError("not base64url") from exc
