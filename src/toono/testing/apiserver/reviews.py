# SPDX-License-Identifier: Apache-2.0
"""Questions that are made as objects: access and token reviews, and TokenRequest.

Each is sent like a creation and comes back with its status filled in, in the form
asked for, as a kube-apiserver writes it; nothing is stored. Who is asking, and what
they may, is the door's to know.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from toono.codec.transcode import to_json, to_protobuf
from toono.errors import CodecError
from toono.runtime.clock import Clock
from toono.testing.apiserver import answers
from toono.testing.apiserver.bodies import body_of, object_of
from toono.testing.apiserver.forms import form_of
from toono.testing.apiserver.query import JSON, Place, Refusal
from toono.testing.apiserver.rbac import Attributes, User
from toono.testing.apiserver.refusals import bad_request
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.shapes import untyped
from toono.testing.apiserver.storage import Storage, encode
from toono.testing.apiserver.tokens import HOUR, Bound, TokenKeys
from toono.wire.messages import Request, Response

MIN_TOKEN_SECONDS = 600
CREDENTIAL = "authentication.kubernetes.io/credential-id"
_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"


class Door(Protocol):
    """Who knows users and rights."""

    def allows(self, user: User, asked: Attributes) -> bool: ...

    def user_of_token(self, token: str) -> User | None: ...


class Reviews:
    """Answers what is only ever asked."""

    def __init__(
        self, door: Door, tokens: TokenKeys, storage: Storage, clock: Clock
    ) -> None:
        self._door, self._tokens = door, tokens
        self._storage, self._clock = storage, clock

    async def answer(
        self, request: Request, user: User, place: Place
    ) -> Response | None:
        """Answer a review or a request for a token; None for anything else."""
        kind = _kind_of(place)
        if request.method != "POST" or kind is None:
            return None
        group = _AUTHORIZATION if "Access" in kind else _AUTHENTICATION
        asked = Resource(group=group, version="v1", plural=place.plural, kind=kind)
        accept = request.fields.get(b"accept", b"").decode("latin-1")
        form = form_of(asked, accept)
        content = object_of(asked, await body_of(request.body))
        told = _in_order(asked, content | self._filled(kind)(user, place, content))
        return answers.of_bytes(201, form.one(told), form.media_type)

    def _filled(self, kind: str) -> Callable[[User, Place, JSON], JSON]:
        return {
            "TokenRequest": self._token_request,
            "TokenReview": self._token_review,
            "SelfSubjectReview": self._self_review,
        }.get(kind, self._access_review)

    def _access_review(self, user: User, place: Place, content: JSON) -> JSON:
        spec = content.get("spec", {})
        if not place.plural.startswith("self"):
            user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
        allowed = self._door.allows(user, attributes_of_spec(spec))
        return {"status": {"allowed": allowed}}

    def _self_review(self, user: User, place: Place, content: JSON) -> JSON:
        del place, content
        told = _told_of(user)
        if user.credential:
            told["extra"] = {CREDENTIAL: [user.credential]}
        made = {"creationTimestamp": _moment(self._clock.wall())}
        return {"metadata": made, "status": {"userInfo": told}}

    def _token_review(self, user: User, place: Place, content: JSON) -> JSON:
        del place
        found = self._door.user_of_token(content.get("spec", {}).get("token", ""))
        if found is None:
            error = "[invalid bearer token, token lookup failed]"
            return {"status": {"user": {}, "error": error}}
        audiences = list(self._tokens.audiences)
        status = {"authenticated": True, "user": _told_of(found)}
        return {"status": status | {"audiences": audiences}}

    def _token_request(self, user: User, place: Place, content: JSON) -> JSON:
        del user
        key = (place.namespace, place.name)
        account = self._storage.collection("serviceaccounts").now.get(key)
        if account is None:
            message = f'serviceaccounts "{place.name}" not found'
            details = {"name": place.name, "kind": "serviceaccounts"}
            raise Refusal(404, "NotFound", message, details)
        spec, uid = content.get("spec") or {}, account.object["metadata"]["uid"]
        seconds = max(MIN_TOKEN_SECONDS, int(spec.get("expirationSeconds") or HOUR))
        audiences = spec.get("audiences") or list(self._tokens.audiences)
        reference, now = spec.get("boundObjectRef"), self._clock.wall()
        token = self._tokens.mint(
            *key,
            now=now,
            seconds=seconds,
            uid=uid,
            audiences=audiences,
            bound=_bound(reference) if reference else None,
        )
        meta = {"name": key[1], "namespace": key[0], "uid": uid}
        return {
            "metadata": meta | {"creationTimestamp": _moment(now)},
            "spec": spec | {"audiences": audiences, "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": _moment(now + seconds)},
        }


def attributes_of_spec(spec: JSON) -> Attributes:
    """Return what an access review asks about."""
    path = spec.get("nonResourceAttributes")
    if path:
        return Attributes(verb=path.get("verb", ""), path=path.get("path", ""))
    asked = spec.get("resourceAttributes") or {}
    return Attributes(
        verb=asked.get("verb", ""),
        group=asked.get("group", ""),
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
    )


_KINDS = {
    "localsubjectaccessreviews": "LocalSubjectAccessReview",
    "selfsubjectaccessreviews": "SelfSubjectAccessReview",
    "selfsubjectreviews": "SelfSubjectReview",
    "subjectaccessreviews": "SubjectAccessReview",
    "tokenreviews": "TokenReview",
}


def _kind_of(place: Place) -> str | None:
    if (place.plural, place.subresource) == ("serviceaccounts", "token"):
        return "TokenRequest"
    return _KINDS.get(place.plural)


def _in_order(asked: Resource, content: JSON) -> JSON:
    """Return a review as a server writes what it has read: its fields, in order.

    An unknown field is a 400, as with fieldValidation=Strict.
    """
    kind, api_version = asked.kind, asked.api_version
    plain = encode(untyped(content))
    try:
        told = to_protobuf(plain, kind=kind, api_version=api_version)
    except CodecError as exc:
        raise bad_request(f"strict decoding error: {exc}") from exc
    read = to_json(told, kind=kind, api_version=api_version)
    return {"kind": kind, "apiVersion": api_version, **json.loads(read)}


def _told_of(user: User) -> JSON:
    told: JSON = {"username": user.name, "groups": list(user.groups)}
    return told | ({"uid": user.uid} if user.uid else {})


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(int(wall), UTC).strftime("%FT%TZ")


def _bound(reference: JSON) -> Bound:
    return Bound(
        kind=reference["kind"],
        name=reference["name"],
        uid=reference.get("uid", ""),
    )
