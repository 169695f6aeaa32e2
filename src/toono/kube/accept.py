# SPDX-License-Identifier: Apache-2.0
"""Accept: what forms a client takes, and which of ours it gets.

The API server's rules: clauses by quality, then order; `*/*` and `application/*`
match; unknown parameters are ignored; `as`, `g`, `v` ask for another form.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One clause of Accept: a media type and what the object is to be turned into."""

    media_type: str
    as_kind: str = ""
    """PartialObjectMetadata, PartialObjectMetadataList, Table or empty."""
    group: str = ""
    version: str = ""
    stream: str = ""
    quality: float = 1.0


MAX_CLAUSES = 64
"""A client that lists more is not read further: none of ours lists five."""


@lru_cache(maxsize=512)
def parse_accept(text: str) -> tuple[Form, ...]:
    """Return the clauses, best first; those that cannot be read are left out."""
    forms = [
        form
        for clause in text.split(",")[:MAX_CLAUSES]
        if (form := _form(clause)) is not None
    ]
    forms.sort(key=lambda form: -form.quality)
    return tuple(forms)


def _form(clause: str) -> Form | None:
    media_type, *parameters = (part.strip() for part in clause.split(";"))
    if "/" not in media_type:
        return None
    values: dict[str, str] = {}
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        values[key.strip().lower()] = value.strip().strip('"')
    try:
        quality = float(values.get("q", "1"))
    except ValueError:
        return None
    if not 0 < quality <= 1:
        return None
    return Form(
        media_type=media_type.lower(),
        as_kind=values.get("as", ""),
        group=values.get("g", ""),
        version=values.get("v", ""),
        stream=values.get("stream", ""),
        quality=quality,
    )


def choose(forms: Sequence[Form], offers: Sequence[str]) -> str | None:
    """Return the plain media type of `offers` that the client likes best, if any.

    No Accept at all takes the first offer, as the API server's default does.
    """
    if not forms:
        return offers[0] if offers else None
    for form in forms:
        if form.as_kind:
            continue
        for offer in offers:
            if _matches(form.media_type, offer):
                return offer
    return None


def _matches(pattern: str, offer: str) -> bool:
    if pattern in ("*/*", offer):
        return True
    kind, _, subtype = pattern.partition("/")
    return subtype == "*" and offer.startswith(kind + "/")
