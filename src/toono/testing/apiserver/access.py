# SPDX-License-Identifier: Apache-2.0
"""The door of an API server: who is asking, may they, and the reviews that tell.

Set as `APIServer.authorizer`, it answers what must not go further: 401 and 403 in
kube-apiserver's words, access and token reviews, TokenRequest, and the key set.
Without it everybody may do everything, as with --authorization-mode=AlwaysAllow.
"""

import json
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from toono.runtime.clock import Clock, SystemClock
from toono.testing.apiserver import answers
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
from toono.testing.apiserver.signing import with_requester
from toono.testing.apiserver.storage import Storage
from toono.testing.apiserver.tokens import (
    CONFIGURATION_PATH,
    HOUR,
    JWKS_PATH,
    Bound,
    TokenKeys,
)
from toono.wire.messages import BytesBody, Request, Response

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_ACCESS = ("selfsubjectaccessreviews", "subjectaccessreviews")
MIN_TOKEN_SECONDS = 600


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

    async def __call__(self, request: Request) -> Response | None:
        """Answer what must not go further; None lets a request pass."""
        path, _, raw = request.target.decode().partition("?")
        place, query = place_of(path), Query(raw)
        user = self.user_of(request)
        asked = attributes_of(request.method, path, place, query)
        self.seen.append(user)
        if not self.allows(user, asked):
            raise forbidden(user, asked)
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
        if request.method != "POST":
            return None
        if place.plural == "certificatesigningrequests":
            await self._name_requester(request, user)
            return None
        wants_token = (place.plural, place.subresource) == ("serviceaccounts", "token")
        if not (wants_token or place.plural in (*_ACCESS, "tokenreviews")):
            return None
        raw = await body_of(request.body)
        request.body = BytesBody(raw)
        content: JSON = json.loads(raw)
        if wants_token:
            return self._token_request(place, content)
        if place.plural == "tokenreviews":
            return self._token_review(content)
        return self._access_review(user, place, content)

    async def _name_requester(self, request: Request, user: User) -> None:
        """Write into a signing request who makes it."""
        raw = await body_of(request.body)
        if request.fields.get(b"content-type", b"").startswith(b"application/json"):
            content = json.loads(raw)
            told = with_requester(content, name=user.name, groups=user.groups)
            raw = json.dumps(told).encode()
        request.body = BytesBody(raw)

    def _access_review(self, user: User, place: Place, content: JSON) -> Response:
        spec = content.get("spec", {})
        if place.plural == "subjectaccessreviews":
            user = User(spec.get("user", ""), tuple(spec.get("groups", ())))
        allowed = self.allows(user, _attributes_of_spec(spec))
        status = {"allowed": True} if allowed else {"allowed": False, "reason": ""}
        return answers.of_json(201, content | {"status": status})

    def _token_review(self, content: JSON) -> Response:
        user = self.user_of_token(content["spec"]["token"])
        if user is None:
            status: JSON = {
                "user": {},
                "error": "[invalid bearer token, token lookup failed]",
            }
        else:
            told = {"username": user.name, "groups": list(user.groups)}
            audiences = list(self.tokens.audiences)
            status = {"authenticated": True, "user": told, "audiences": audiences}
        return answers.of_json(201, content | {"status": status})

    def _token_request(self, place: Place, content: JSON) -> Response:
        key = (place.namespace, place.name)
        account = self._storage.collection("serviceaccounts").now.get(key)
        if account is None:
            message = f'serviceaccounts "{place.name}" not found'
            details = {"name": place.name, "kind": "serviceaccounts"}
            raise Refusal(404, "NotFound", message, details)
        spec = content.get("spec", {})
        seconds = max(MIN_TOKEN_SECONDS, int(spec.get("expirationSeconds") or HOUR))
        reference = spec.get("boundObjectRef")
        now = self._clock.wall()
        token = self.tokens.mint(
            *key,
            now=now,
            seconds=seconds,
            uid=account.object["metadata"]["uid"],
            audiences=spec.get("audiences") or (),
            bound=_bound(reference) if reference else None,
        )
        ends = datetime.fromtimestamp(int(now + seconds), UTC)
        told = {"token": token, "expirationTimestamp": ends.strftime("%FT%TZ")}
        return answers.of_json(201, content | {"status": told})


def user_of_certificate(der: bytes) -> User:
    """Return the user of a client certificate: CN the name, O the groups."""
    subject = x509.load_der_x509_certificate(der).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    groups = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    told = tuple(str(group.value) for group in groups)
    return User(str(names[0].value), (*told, AUTHENTICATED))


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


def forbidden(user: User, asked: Attributes) -> Refusal:
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
    )
    details: JSON = {"name": asked.name} if asked.name else {}
    details |= {"group": asked.group} if asked.group else {}
    return Refusal(403, "Forbidden", message, details | {"kind": asked.resource})


def _attributes_of_spec(spec: JSON) -> Attributes:
    path = spec.get("nonResourceAttributes")
    if path:
        return Attributes(verb=path.get("verb", ""), path=path.get("path", ""))
    asked = spec.get("resourceAttributes", {})
    return Attributes(
        verb=asked.get("verb", ""),
        group=asked.get("group", ""),
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
    )


def _bound(reference: JSON) -> Bound:
    return Bound(
        kind=reference["kind"],
        name=reference["name"],
        uid=reference.get("uid", ""),
    )
