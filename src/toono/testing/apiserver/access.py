# SPDX-License-Identifier: Apache-2.0
"""The door of an API server: who is asking, may they, and the reviews that tell.

Set as `APIServer.authorizer`, it answers what must not go further: 401 and 403 in
kube-apiserver's words, access and token reviews, TokenRequest, and the key set.
Without it everybody may do everything, as with --authorization-mode=AlwaysAllow.
"""

import json

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from toono.runtime.clock import Clock, SystemClock
from toono.testing.apiserver.bodies import body_of
from toono.testing.apiserver.query import JSON, Place, Query, Refusal, place_of
from toono.testing.apiserver.rbac import (
    AUTHENTICATED,
    NOBODY,
    RBAC,
    Attributes,
    NodeRights,
    User,
)
from toono.testing.apiserver.reviews import Reviews
from toono.testing.apiserver.signing import with_requester
from toono.testing.apiserver.storage import Storage
from toono.testing.apiserver.tokens import (
    CONFIGURATION_PATH,
    JWKS_PATH,
    TokenKeys,
)
from toono.wire.messages import BytesBody, Request, Response

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Access:
    """Authentication and authorization before an API server's own answers."""

    def __init__(
        self,
        storage: Storage,
        tokens: TokenKeys,
        *,
        clock: Clock | None = None,
        anonymous: bool = True,
    ) -> None:
        self.rbac = RBAC()
        self.tokens = tokens
        self.static_tokens: dict[str, User] = {}
        """Tokens that are no JWT, as of --token-auth-file."""
        self.seen: list[User] = []
        """Who each request was from, in order, for tests."""
        self._nodes = NodeRights(storage)
        self._storage = storage
        self._clock = clock or SystemClock()
        self._anonymous = anonymous
        self._reviews = Reviews(self, tokens, storage, self._clock)

    async def __call__(self, request: Request) -> Response | None:
        """Answer what must not go further; None lets a request pass."""
        path, _, raw = request.target.decode().partition("?")
        place, query = place_of(path), Query(raw)
        user = self.user_of(request)
        asked = attributes_of(request.method, path, place, query)
        self.seen.append(user)
        if not self.allows(user, asked):
            why = self._nodes.reason(user.node, asked) if user.node else ""
            raise forbidden(user, asked, why)
        if place is None:
            return self._key_set(path)
        return await self._review(request, user, place)

    # -- who ---------------------------------------------------------------------

    def user_of(self, request: Request) -> User:
        """Return who a request is from; 401 for a credential that is not believed."""
        user = self._authenticated(request)
        if user is None:
            if not self._anonymous:
                raise unauthorized()
            return NOBODY
        name = request.fields.get(b"impersonate-user", b"").decode()
        if not name:
            return user
        asked = Attributes(verb="impersonate", resource="users", name=name)
        if not self.allows(user, asked):
            raise forbidden(user, asked)
        groups = request.fields.get(b"impersonate-group", b"").decode().split(",")
        return User(name, (*filter(None, groups), AUTHENTICATED))

    def _authenticated(self, request: Request) -> User | None:
        header = request.fields.get(b"authorization")
        if header is None:
            if request.peer.certificate is None:
                return None
            return user_of_certificate(request.peer.certificate)
        _, _, token = header.decode("latin-1").partition(" ")
        user = self.user_of_token(token.strip())
        if user is None:
            raise unauthorized()
        return user

    def user_of_token(self, token: str) -> User | None:
        """Return whose token this is, None where it is not believed."""
        if token in self.static_tokens:
            return self.static_tokens[token]
        claims = self.tokens.claims_of(token, now=self._clock.wall())
        if claims is None or not self._is_alive(claims["kubernetes.io"]):
            return None
        inside = claims["kubernetes.io"]
        groups = ("system:serviceaccounts", AUTHENTICATED)
        of_namespace = f"system:serviceaccounts:{inside['namespace']}"
        uid = inside["serviceaccount"]["uid"]
        return User(claims["sub"], (of_namespace, *groups), uid)

    def _is_alive(self, inside: JSON) -> bool:
        """A token bound to a pod dies with it."""
        if "pod" not in inside:
            return True
        key = (inside["namespace"], inside["pod"]["name"])
        pod = self._storage.collection("pods").now.get(key)
        return pod is not None and pod.object["metadata"]["uid"] == inside["pod"]["uid"]

    # -- may they ----------------------------------------------------------------

    def allows(self, user: User, asked: Attributes) -> bool:
        """Say whether a user may do what is asked."""
        if user.node and self._nodes.allows(user.node, asked):
            return True
        return self.rbac.allows(user, asked)

    # -- what is answered here -----------------------------------------------------

    def _key_set(self, path: str) -> Response | None:
        if path == JWKS_PATH:
            content, kind = self.tokens.jwks(), b"application/jwk-set+json"
        elif path == CONFIGURATION_PATH:
            content = self.tokens.configuration("https://127.0.0.1")
            kind = b"application/json"
        else:
            return None
        headers = [(b"Content-Type", kind), (b"Cache-Control", b"public, max-age=3600")]
        return Response(status=200, headers=headers, content=content)

    async def _review(
        self, request: Request, user: User, place: Place
    ) -> Response | None:
        if place.plural == "certificatesigningrequests" and request.method == "POST":
            await self._name_requester(request, user)
            return None
        return await self._reviews.answer(request, user, place)

    async def _name_requester(self, request: Request, user: User) -> None:
        """Write into a signing request who makes it."""
        raw = await body_of(request.body)
        if request.fields.get(b"content-type", b"").startswith(b"application/json"):
            content = json.loads(raw)
            told = with_requester(content, name=user.name, groups=user.groups)
            raw = json.dumps(told).encode()
        request.body = BytesBody(raw)


def user_of_certificate(der: bytes) -> User:
    """Return the user of a client certificate: CN the name, O the groups."""
    certificate = x509.load_der_x509_certificate(der)
    subject = certificate.subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    groups = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    told = tuple(str(group.value) for group in groups)
    credential = f"X509SHA256={certificate.fingerprint(SHA256()).hex()}"
    return User(str(names[0].value), (*told, AUTHENTICATED), "", credential=credential)


def attributes_of(
    method: str, path: str, place: Place | None, query: Query
) -> Attributes:
    """Return what a request asks of the authorizer, as RequestInfo has it."""
    if place is None:
        verb = "get" if method in ("GET", "HEAD") else method.lower()
        return Attributes(verb=verb, path=path)
    selector, name = query.text("fieldSelector"), place.name
    verb = _VERBS.get(method, "get")
    if verb == "get" and not name:
        verb = "watch" if query.true("watch") else "list"
        pinned = [one for one in selector.split(",") if "metadata.name=" in one]
        name = pinned[0].rpartition("=")[2] if pinned else ""
    if verb == "delete" and not name:
        verb = "deletecollection"
    return Attributes(
        verb=verb,
        group=place.group,
        resource=place.plural,
        subresource=place.subresource,
        namespace=place.namespace,
        name=name,
        field_selector=selector,
    )


def unauthorized() -> Refusal:
    """What a credential gets that is not believed."""
    return Refusal(401, "Unauthorized", "Unauthorized")


def forbidden(user: User, asked: Attributes, why: str = "") -> Refusal:
    """What a user gets who lacks the right."""
    if asked.path:
        message = (
            f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"'
        )
        return Refusal(403, "Forbidden", message, {})
    qualified = asked.resource + (f".{asked.group}" if asked.group else "")
    named = f' "{asked.name}"' if asked.name else ""
    where = f'in the namespace "{asked.namespace}"'
    message = (
        f'{qualified}{named} is forbidden: User "{user.name}" cannot {asked.verb} '
        f'resource "{asked.qualified}" in API group "{asked.group}" '
        f"{where if asked.namespace else 'at the cluster scope'}"
        f"{': ' + why if why else ''}"
    )
    details: JSON = {"name": asked.name} if asked.name else {}
    details |= {"group": asked.group} if asked.group else {}
    return Refusal(403, "Forbidden", message, details | {"kind": asked.resource})
