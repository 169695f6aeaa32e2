# SPDX-License-Identifier: Apache-2.0
"""Accept: what forms a client takes, and which of ours it gets.

The API server's rules: clauses by quality, then the exact before the wild, then
order; parameters it does not know are ignored; `as`, `g` and `v` together ask for
another kind of object, and a clause whose kind is not on offer is passed over.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

import msgspec


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One clause of Accept: a media type and what the object is to be turned into.

    Also one form on offer: then no part is wild and the quality says nothing.
    """

    media_type: str
    as_kind: str = ""
    """PartialObjectMetadata, PartialObjectMetadataList, Table or empty."""
    group: str = ""
    version: str = ""
    stream: str = ""
    pretty: bool = False
    """Written for people: other bytes, the same facts."""
    drop: str = ""
    """Fields that are to be left out (metadata.managedFields, alpha in 1.37): a server
    that knows it answers less than the object."""
    quality: float = 1.0


MAX_CLAUSES = 64
"""A client that lists more is not read further: none of ours lists five."""
_MAX_CACHED_CHARS = 1024
ANYTHING = ("*/*", "*")
_NOTHING = Form(media_type="")
"""Takes no form on offer."""
_QUALITY = re.compile(r"(?:0?\.[0-9]{1,9}|0\.?|1(?:\.0{0,9})?)\Z")


def parse_accept(text: str) -> tuple[Form, ...]:
    """Return the clauses, best first; those that cannot be read are left out.

    Where none so much as names a media type, the client takes nothing: 406.
    """
    return _parsed(text) if len(text) <= _MAX_CACHED_CHARS else _parse(text)


def choose(forms: Sequence[Form], offers: Sequence[str]) -> str | None:
    """Return the plain media type of `offers` that the client likes best, if any.

    No Accept at all takes the first offer, as the API server's default does.
    """
    form = choose_form(forms, [Form(media_type=offer) for offer in offers])
    return None if form is None else form.media_type


def choose_form(forms: Sequence[Form], offers: Sequence[Form]) -> Form | None:
    """Return the one of `offers` that the client likes best, None where it takes none.

    Clauses decide, then the order of the offers.
    """
    if not forms:
        return offers[0] if offers else None
    for form in forms:
        for offer in offers:
            if _takes(form, offer):
                return offer
    return None


def names_one_of(forms: Sequence[Form], media_types: Collection[str]) -> bool:
    """Say whether a clause names one of these types itself, or all with `*/*`.

    An API server looks for a route so before it reads Accept: what has a route of a
    built-in kind is reached neither by `application/*` nor by `*`.
    """
    return not forms or any(
        form.media_type == "*/*" or form.media_type in media_types for form in forms
    )


def _takes(form: Form, offer: Form) -> bool:
    if form.stream not in ("", "watch"):
        return False
    wanted = (form.as_kind, form.group, form.version)
    if wanted != (offer.as_kind, offer.group, offer.version):
        return False
    if form.media_type in (*ANYTHING, offer.media_type):
        return True
    kind, _, subtype = form.media_type.partition("/")
    return subtype == "*" and offer.media_type.startswith(kind + "/")


def _parse(text: str) -> tuple[Form, ...]:
    forms = [
        form
        for clause in text.split(",", MAX_CLAUSES)[:MAX_CLAUSES]
        if (form := _form(clause)) is not None
    ]
    forms.sort(key=lambda form: (-form.quality, _wildness(form.media_type)))
    if not forms and text.strip() and not ({"/", "*"} & set(text)):
        return (_NOTHING,)
    return tuple(forms)


def _wildness(media_type: str) -> int:
    return 2 if media_type in ANYTHING else media_type.count("*")


_parsed = lru_cache(maxsize=256)(_parse)


def _form(clause: str) -> Form | None:
    media_type, *parameters = (part.strip() for part in clause.split(";"))
    if "/" not in media_type and media_type != "*":
        return None
    values: dict[str, str] = {}
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        values[key.strip().lower()] = value.strip().strip('"')
    quality = values.get("q", "1")
    if not _QUALITY.match(quality) or float(quality) == 0:
        return None
    return Form(
        media_type=media_type.lower(),
        as_kind=values.get("as", ""),
        group=values.get("g", ""),
        version=values.get("v", ""),
        stream=values.get("stream", ""),
        pretty=values.get("pretty", "") in ("1", "true"),
        drop=values.get("drop", ""),
        quality=float(quality),
    )
