# SPDX-License-Identifier: Apache-2.0
"""One request to the Kubernetes API as one immutable value, made once."""

import msgspec


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent a request, as plain values; `identity` says what that means."""

    connection: int
    local: tuple[str, int]
    remote: tuple[str, int]
    token: bytes = b""
    """The bearer token, b"" where none was sent."""
    certificate: bytes = b""
    """The verified client certificate (DER), b"" where there is none."""
    impersonates: bool = False
    """Impersonate-* fields are present."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One clause of Accept: a media type and what the object is to be turned into."""

    media_type: str
    as_kind: str = ""
    """PartialObjectMetadata, PartialObjectMetadataList, Table or empty."""
    group: str = ""
    version: str = ""
    stream: str = ""
    quality: float = 1.0


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the hub may know of a request. Nothing later parses the URL again."""

    method: str
    target: bytes
    """As sent: what goes upstream."""
    path: str
    """Without query, percent-decoded."""
    verb: str
    """get list watch create update patch delete deletecollection, or, where
    `resource` is empty, the method in lower case."""
    group: str = ""
    version: str = ""
    resource: str = ""
    """Plural; empty for paths that name no resource (/version, /apis, /healthz)."""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    label_selector: str = ""
    """In canonical form (`selectors.canonical_labels`)."""
    field_selector: str = ""
    resource_version: str | None = None
    resource_version_match: str = ""
    limit: int = 0
    continue_token: str = ""
    send_initial_events: bool = False
    allow_watch_bookmarks: bool = False
    timeout_seconds: float | None = None
    dry_run: bool = False
    accept: tuple[Form, ...] = ()
    content_type: str = ""
    user_agent: str = ""
    component: str = ""
    """Lower-cased product of the User-Agent, made safe; empty where there is none."""
    caller: Caller
