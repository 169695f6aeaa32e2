# SPDX-License-Identifier: Apache-2.0
import base64
import json

import pytest

from toono.testing.apiserver.tokens import Bound, TokenKeys

NOW = 1_800_000_000.0


def keys(algorithm: str = "ES256", **settings) -> TokenKeys:
    return TokenKeys(algorithm=algorithm, **settings)


def claims_in(token: str) -> dict:
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_is_believed_by_its_own_cluster_alone(algorithm: str) -> None:
    cluster = keys(algorithm)
    token = cluster.mint("shop", "web", now=NOW)
    claims = cluster.claims_of(token, now=NOW)
    assert claims is not None
    assert claims["sub"] == "system:serviceaccount:shop:web"
    assert keys(algorithm).claims_of(token, now=NOW) is None


def test_the_claims_are_those_of_bound_tokens() -> None:
    bound = Bound(kind="Pod", name="web-0", uid="u-1")
    token = keys().mint("shop", "web", now=NOW, uid="u-9", bound=bound)
    claims = claims_in(token)
    assert claims.pop("jti")
    assert claims == {
        "aud": ["https://kubernetes.default.svc.cluster.local"],
        "exp": int(NOW) + 3600,
        "iat": int(NOW),
        "iss": "https://kubernetes.default.svc.cluster.local",
        "kubernetes.io": {
            "namespace": "shop",
            "pod": {"name": "web-0", "uid": "u-1"},
            "serviceaccount": {"name": "web", "uid": "u-9"},
        },
        "nbf": int(NOW),
        "sub": "system:serviceaccount:shop:web",
    }


def test_time_audience_and_every_byte_are_looked_at() -> None:
    cluster = keys()
    token = cluster.mint("shop", "web", now=NOW, seconds=60)
    assert cluster.claims_of(token, now=NOW + 59)
    assert cluster.claims_of(token, now=NOW + 60) is None
    assert cluster.claims_of(token, now=NOW - 1) is None
    other = cluster.mint("shop", "web", now=NOW, audiences=["vault"])
    assert cluster.claims_of(other, now=NOW) is None
    head, _, signature = token.split(".")
    forged = f"{head}.{other.split('.')[1]}.{signature}"
    assert cluster.claims_of(forged, now=NOW) is None
    assert cluster.claims_of("no token", now=NOW) is None
    assert cluster.claims_of("a.b.c", now=NOW) is None


def test_old_keys_are_believed_until_they_are_dropped() -> None:
    cluster = keys()
    old = cluster.mint("shop", "web", now=NOW)
    cluster.add_key("RS256")
    assert cluster.claims_of(old, now=NOW)
    assert cluster.claims_of(cluster.mint("shop", "web", now=NOW), now=NOW)
    assert len(json.loads(cluster.jwks())["keys"]) == 2
    cluster.drop_old_keys()
    assert cluster.claims_of(old, now=NOW) is None


def test_the_key_set_tells_no_secret() -> None:
    cluster = keys()
    cluster.add_key("RS256")
    rsa, ec = json.loads(cluster.jwks())["keys"]
    assert sorted(rsa) == ["alg", "e", "kid", "kty", "n", "use"]
    assert sorted(ec) == ["alg", "crv", "kid", "kty", "use", "x", "y"]
    told = json.loads(cluster.configuration("https://10.0.0.1"))
    assert told["jwks_uri"] == "https://10.0.0.1/openid/v1/jwks"
    assert told["issuer"] == cluster.issuer
    assert told["id_token_signing_alg_values_supported"] == ["ES256", "RS256"]
