# SPDX-License-Identifier: Apache-2.0
"""Tokens checked offline; signed by the embedded server, which shares no code."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from toono.errors import CodecError
from toono.identity.tokens import Trust, Verifier, read_key_set
from toono.testing.apiserver.tokens import Bound, TokenKeys

NOW = 1_800_000_000.0
ALGORITHMS = ("ES256", "ES384", "ES512", "RS256")
KEYS = {name: TokenKeys(algorithm=name) for name in ALGORITHMS}
CLAIMS = {
    "aud": [KEYS["ES256"].issuer],
    "exp": int(NOW) + 600,
    "iat": int(NOW),
    "iss": KEYS["ES256"].issuer,
    "kubernetes.io": {
        "namespace": "shop",
        "serviceaccount": {"name": "web", "uid": "u"},
    },
    "nbf": int(NOW),
    "sub": "system:serviceaccount:shop:web",
}


def verifier(keys: TokenKeys = KEYS["ES256"], **how) -> Verifier:
    one = Verifier(**how)
    one.use(read_key_set(keys.issuer, keys.jwks()))
    return one


def trust(token: str | bytes, *, now: float = NOW, **how) -> Trust:
    raw = token.encode() if isinstance(token, str) else token
    return verifier(**how).check(raw, now=now).trust


def signed(**changes) -> str:
    return KEYS["ES256"].sign(CLAIMS | changes)


def encoded(content: dict) -> str:
    raw = json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_cluster_s_own_token_is_its_owner_s(name: str) -> None:
    bound = Bound(kind="Pod", name="web-0", uid="p")
    token = KEYS[name].mint("shop", "web", now=NOW, uid="u-1", bound=bound)
    checked = verifier(KEYS[name]).check(token.encode(), now=NOW)
    assert checked.trust is Trust.VALID
    assert checked.user == "system:serviceaccount:shop:web"
    assert checked.identity == "system:serviceaccount:shop:web/u-1"
    assert checked.pod == "web-0"
    assert checked.expires_at == NOW + 3600


def test_times_are_looked_at_each_time_with_a_leeway() -> None:
    one, token = verifier(leeway=300.0), signed().encode()
    for now, expected in [
        (NOW - 301, Trust.EARLY),
        (NOW - 300, Trust.VALID),
        (NOW + 899, Trust.VALID),
        (NOW + 900, Trust.EXPIRED),
        (NOW, Trust.VALID),
    ]:
        assert one.check(token, now=now).trust is expected
    assert trust(signed(iat=int(NOW) + 900)) is Trust.EARLY


def test_a_clock_in_1970_makes_nothing_valid() -> None:
    old = signed(nbf=0, iat=0)
    assert trust(old) is Trust.VALID
    checked = verifier().check(old.encode(), now=86400.0)
    assert checked.trust is Trust.EARLY
    assert "clock" in checked.why


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None", "kid": "x"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": "ES256", "crit": ["b64"]},
        {"alg": "ES384"},
        {"alg": "PS256"},
    ],
    ids=lambda header: "-".join(map(str, header.values())),
)
def test_the_way_of_signing_is_the_key_s_and_not_the_token_s(header: dict) -> None:
    kid = json.loads(KEYS["ES256"].jwks())["keys"][0]["kid"]
    token = KEYS["ES256"].sign(CLAIMS, header={"kid": kid} | header)
    if header["alg"] == "none":
        token = token.rpartition(".")[0] + "."
    if header.get("kid") != "x":
        assert trust(token) is Trust.FORGED
    else:
        assert trust(token) is not Trust.VALID


@pytest.mark.parametrize("name", ["ES384", "ES512"])
def test_a_signature_of_another_size_is_none(name: str) -> None:
    token = KEYS[name].mint("shop", "web", now=NOW)
    head, claims, signature = token.split(".")
    padded = f"{head}.{claims}.{signature}AAAA"
    for wrong in (padded, f"{head}.{claims}.", f"{head}.{claims}.{signature[:-4]}"):
        found = verifier(KEYS[name]).check(wrong.encode(), now=NOW)
        assert found.trust is Trust.FORGED


def test_every_changed_byte_is_found() -> None:
    head, claims, signature = signed().split(".")
    other = encoded(CLAIMS | {"sub": "system:serviceaccount:kube-system:root"})
    assert trust(f"{head}.{other}.{signature}") is Trust.FORGED
    assert trust(f"{head}.{claims}.") is Trust.FORGED
    assert trust(f"{head}.{claims}.{signature[:-4]}") is Trust.FORGED
    zeros = base64.urlsafe_b64encode(bytes(64)).rstrip(b"=").decode()
    assert trust(f"{head}.{claims}.{zeros}") is Trust.FORGED
    rs = KEYS["RS256"].mint("shop", "web", now=NOW)
    head, claims, _ = rs.split(".")
    assert trust(f"{head}.{claims}.{zeros}", keys=KEYS["RS256"]) is Trust.FORGED


@pytest.mark.parametrize(
    ("changes", "expected", "why"),
    [
        ({"iss": "https://else"}, Trust.UNJUDGED, "another issuer has made it"),
        ({"aud": ["vault"]}, Trust.UNJUDGED, "it is for another audience"),
        ({"aud": "vault"}, Trust.UNJUDGED, "it is for another audience"),
        ({"aud": KEYS["ES256"].issuer}, Trust.VALID, ""),
        ({"aud": ["vault", KEYS["ES256"].issuer]}, Trust.VALID, ""),
        ({"kubernetes.io": None}, Trust.UNJUDGED, "it is no service account's"),
        ({"sub": "admin"}, Trust.FORGED, "its subject is not its service account"),
        ({"exp": None}, Trust.FORGED, "it has no end"),
        ({"exp": "soon"}, Trust.UNJUDGED, "it is no JWT of a service account"),
        ({"sub": 7}, Trust.UNJUDGED, "it is no JWT of a service account"),
    ],
)
def test_claims_are_read_strictly(changes, expected, why) -> None:
    checked = verifier().check(signed(**changes).encode(), now=NOW)
    assert (checked.trust, checked.why) == (expected, why)


LEGACY = {
    "iss": "kubernetes/serviceaccount",
    "kubernetes.io/serviceaccount/namespace": "shop",
    "kubernetes.io/serviceaccount/secret.name": "web-token",
    "kubernetes.io/serviceaccount/service-account.name": "web",
    "kubernetes.io/serviceaccount/service-account.uid": "u-1",
    "sub": "system:serviceaccount:shop:web",
}


def test_a_token_that_lives_in_a_secret_is_its_owner_s_without_end() -> None:
    token = KEYS["RS256"].sign(LEGACY).encode()
    for now in (NOW, NOW + 10**9):
        checked = verifier(KEYS["RS256"]).check(token, now=now)
        assert checked.trust is Trust.VALID
        assert checked.identity == "system:serviceaccount:shop:web/u-1"
    assert verifier().check(token, now=NOW).lacks_key
    assert Verifier().check(token, now=NOW).lacks_key
    for change, expected in (
        ({"sub": "system:serviceaccount:shop:root"}, Trust.FORGED),
        ({"kubernetes.io/serviceaccount/namespace": ""}, Trust.UNJUDGED),
        ({"iss": "https://else"}, Trust.UNJUDGED),
        ({"iss": KEYS["RS256"].issuer}, Trust.FORGED),
    ):
        wrong = KEYS["RS256"].sign(LEGACY | change).encode()
        assert verifier(KEYS["RS256"]).check(wrong, now=NOW).trust is expected
    head, claims, _ = token.split(b".")
    forged = head + b"." + claims + b"." + b"A" * 342
    assert verifier(KEYS["RS256"]).check(forged, now=NOW).trust is Trust.FORGED


def test_an_audience_of_the_api_server_s_may_be_told() -> None:
    token = signed(aud=["k3s"])
    assert trust(token) is Trust.UNJUDGED
    assert trust(token, audiences=frozenset({"k3s"})) is Trust.VALID


def test_another_cluster_s_token_lacks_a_key_and_one_unknown_does_too() -> None:
    other = TokenKeys(algorithm="ES256").mint("shop", "web", now=NOW)
    checked = verifier().check(other.encode(), now=NOW)
    assert (checked.trust, checked.lacks_key) == (Trust.UNJUDGED, True)
    blank = Verifier()
    assert blank.keys == 0
    checked = blank.check(signed().encode(), now=NOW)
    assert (checked.trust, checked.lacks_key) == (Trust.UNJUDGED, True)
    person = KEYS["ES256"].sign({"iss": "x", "sub": "jane", "exp": NOW + 9})
    assert not blank.check(person.encode(), now=NOW).lacks_key


def test_whoever_made_it_an_ended_token_has_ended() -> None:
    other = TokenKeys(algorithm="ES256").mint("shop", "web", now=NOW, seconds=60)
    assert trust(other, now=NOW + 360) is Trust.EXPIRED
    assert trust(other, now=NOW + 359) is Trust.UNJUDGED
    assert trust("opaque", now=NOW) is Trust.UNJUDGED


def test_a_new_key_set_is_believed_at_once_and_the_old_no_more() -> None:
    one, token = verifier(), signed().encode()
    assert one.check(token, now=NOW).trust is Trust.VALID
    other = TokenKeys(algorithm="RS256")
    one.use(read_key_set(other.issuer, other.jwks()))
    assert one.check(token, now=NOW).trust is Trust.UNJUDGED
    fresh = other.mint("shop", "web", now=NOW).encode()
    assert one.check(fresh, now=NOW).trust is Trust.VALID


def test_tokens_of_20_kib_are_named() -> None:
    checked = verifier().check(b"a" * 20 * 1024, now=NOW)
    assert checked.trust is Trust.FORGED
    assert checked.why == "it is longer than 16384 bytes"


def test_what_is_remembered_of_tokens_is_bounded() -> None:
    one = verifier()
    for number in range(4200):
        one.check(b"%d" % number, now=NOW)
    assert len(one._known) == 4096


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200) | st.text('ey.AQ-_{}=":,0aw', max_size=80).map(str.encode)
)
def test_no_bytes_are_valid_or_break_it(raw: bytes) -> None:
    assert verifier().check(raw, now=NOW).trust is not Trust.VALID


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 600), st.integers(1, 255))
def test_no_flipped_byte_is_valid(place: int, flip: int) -> None:
    token = bytearray(TOKEN)
    token[place % (len(token) - 1)] ^= flip
    assert verifier().check(bytes(token), now=NOW).trust is not Trust.VALID


TOKEN = signed().encode()


def jwks(*keys: dict) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def test_keys_of_other_uses_are_passed_over() -> None:
    [good] = json.loads(KEYS["ES256"].jwks())["keys"]
    unusable = [
        good | {"kid": "enc", "use": "enc"},
        good | {"kid": "curve", "crv": "secp256k1"},
        good | {"kid": "other", "crv": "P-384"},
        good | {"kid": "alg", "alg": "ES512"},
        good | {"kid": "odd", "kty": "OKP"},
        good | {"kid": ""},
    ]
    found = read_key_set("i", jwks(*unusable, good))
    assert list(found.keys) == [good["kid"]]
    with pytest.raises(CodecError, match="holds no key"):
        read_key_set("i", jwks(*unusable))


def test_a_key_set_that_cannot_be_used_is_an_error() -> None:
    [ec] = json.loads(KEYS["ES256"].jwks())["keys"]
    weak = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    number = base64.urlsafe_b64encode(weak.n.to_bytes(128, "big")).rstrip(b"=")
    short = {"kty": "RSA", "kid": "k", "n": number.decode(), "e": "AQAB"}
    for content in (
        b"<html>",
        b'{"keys": 3}',
        jwks(ec | {"x": "AAAA"}),
        jwks(ec | {"x": "+/=="}),
        jwks(ec | {"x": "a"}),
        jwks(short),
    ):
        with pytest.raises(CodecError):
            read_key_set("i", content)
