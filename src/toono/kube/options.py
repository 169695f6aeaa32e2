# SPDX-License-Identifier: Apache-2.0
"""The query of a list or watch → typed options, or the API server's own refusal.

Decoding and validation follow ListOptions of k8s.io/apimachinery (strconv's texts and
all). Nothing is refused that an API server might take: what we do not know is only
named in `unknown_options`, so that its answer is not kept as the answer to another question.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

import msgspec

from toono.errors import RequestError
from toono.kube import status
from toono.kube.names import quoted
from toono.kube.requirements import parse_int
from toono.kube.selectors import canonical_fields, canonical_labels

_KNOWN = frozenset(
    {
        "allowWatchBookmarks",
        "continue",
        "fieldSelector",
        "includeObject",
        "labelSelector",
        "limit",
        "pretty",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "timeout",
        "timeoutSeconds",
        "watch",
    }
)
_MAX_SECONDS = 366 * 86400


class ListOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a list, watch or deletecollection asks beside its path.

    Fields are named as those of `request.Call`, which takes them over.
    """

    label_selector: str = ""
    field_selector: str = ""
    resource_version: str | None = None
    resource_version_match: str = ""
    limit: int = 0
    continue_token: str = ""
    send_initial_events: bool = False
    no_initial_events: bool = False
    """`sendInitialEvents=false`: a watch without a version begins with what comes."""
    allow_watch_bookmarks: bool = False
    timeout_seconds: float | None = None
    """None where the server picks; 0 ends at once."""
    unknown_options: tuple[str, ...] = ()
    """Keys whose meaning we do not know (shardSelector): keep no answer to them."""


def read_query(raw: bytes) -> dict[str, str]:
    """Return the first value of each key, as the API server's decoder takes it."""
    found: dict[str, str] = {}
    if not raw:
        return found
    for pair in raw.decode("ascii", "surrogateescape").split("&"):
        # net/url drops pairs that it cannot read: so they have no meaning here.
        if pair and ";" not in pair and not _BAD_ESCAPE.search(pair):
            key, _, value = pair.partition("=")
            found.setdefault(_unescaped(key), _unescaped(value))
    return found


_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _unescaped(text: str) -> str:
    """Decode once; bytes that are no UTF-8 stay apart (Go keeps them as they are)."""
    if "%" not in text and "+" not in text:
        return text
    return unquote_plus(text, errors="surrogateescape")


def is_true(value: str | None) -> bool:
    """Kubernetes' query booleans: present is true, but for false and 0."""
    return value is not None and value.lower() not in ("false", "0")


def read_options(query: Mapping[str, str], *, watches: bool) -> ListOptions:
    """Return the options of a query; RequestError 400 or 422 where they have none.

    `watches` also where the path alone says so (/watch/pods): then the version is
    checked as a watch does, but the options are validated as the query says.
    """
    seconds = _integer(query, "timeoutSeconds")
    options = ListOptions(
        label_selector=canonical_labels(query.get("labelSelector", "")),
        field_selector=canonical_fields(query.get("fieldSelector", "")),
        resource_version=query.get("resourceVersion"),
        resource_version_match=query.get("resourceVersionMatch", ""),
        limit=_integer(query, "limit"),
        continue_token=query.get("continue", ""),
        send_initial_events=is_true(query.get("sendInitialEvents")),
        no_initial_events=not is_true(query.get("sendInitialEvents", "true")),
        allow_watch_bookmarks=is_true(query.get("allowWatchBookmarks")),
        timeout_seconds=_seconds(seconds),
        unknown_options=tuple(sorted(query.keys() - _KNOWN)),
    )
    causes = _causes(query, options)
    if causes:
        told = [cause._asdict() for cause in causes]
        raise status.refuse(status.invalid_options(told))
    check_version(options.resource_version, lists=not watches)
    return options


def _integer(query: Mapping[str, str], key: str) -> int:
    text = query.get(key)
    if text is None:
        return 0
    number = parse_int(text)
    if number is None:
        raise _bad(f"strconv.ParseInt: parsing {quoted(text)}: {_go_fault(text)}")
    return number


def _seconds(number: int) -> float | None:
    if number == 0:
        return None
    return float(min(max(number, 0), _MAX_SECONDS))


def _go_fault(text: str) -> str:
    """Say what strconv calls the fault of a text that is no number of 64 bits."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    only_digits = digits.isascii() and digits.isdigit()
    return "value out of range" if only_digits else "invalid syntax"


def check_version(version: str | None, *, lists: bool) -> None:
    """Refuse what strconv.ParseUint refuses, as list (400), get and watch (500) do."""
    if not version or (version.isascii() and version.isdigit() and _fits(version)):
        return
    fault = "value out of range" if version.isascii() and version.isdigit() else ""
    problem = (
        f"resourceVersion: Invalid value: {quoted(version)}: strconv.ParseUint: "
        f"parsing {quoted(version)}: {fault or 'invalid syntax'}"
    )
    if not lists:
        raise RequestError(500, "", problem)
    raise _bad(f"invalid resource version: {problem}")


def _fits(digits: str) -> bool:
    significant = digits.lstrip("0")
    return len(significant) <= 20 and int(significant or "0") < 2**64


class _Cause(NamedTuple):
    reason: str
    message: str
    field: str


def _forbidden(field: str, why: str) -> _Cause:
    return _Cause("FieldValueForbidden", f"Forbidden: {why}", field)


def _unsupported(match: str, *allowed: str) -> _Cause:
    choices = ", ".join(quoted(one) for one in allowed)
    return _Cause(
        "FieldValueNotSupported",
        f"Unsupported value: {quoted(match)}: supported values: {choices}",
        _MATCH,
    )


_MATCH = "resourceVersionMatch"
_NOT_OLDER = "NotOlderThan"
_NO_CONTINUE = "resourceVersionMatch is forbidden when continue is provided"


def _causes(query: Mapping[str, str], options: ListOptions) -> list[_Cause]:
    if is_true(query.get("watch")):
        return _watch_causes(options, "sendInitialEvents" in query)
    causes = _list_causes(options) if options.resource_version_match else []
    if "sendInitialEvents" in query:
        why = "sendInitialEvents is forbidden for list"
        causes.append(_forbidden("sendInitialEvents", why))
    return causes


def _list_causes(options: ListOptions) -> list[_Cause]:
    match, causes = options.resource_version_match, []
    if not options.resource_version:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append(_forbidden(_MATCH, why))
    if options.continue_token:
        causes.append(_forbidden(_MATCH, _NO_CONTINUE))
    if match not in ("Exact", _NOT_OLDER):
        causes.append(_unsupported(match, "Exact", _NOT_OLDER, ""))
    if match == "Exact" and options.resource_version == "0":
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        causes.append(_forbidden(_MATCH, why))
    return causes


def _watch_causes(options: ListOptions, asks_initial_events: bool) -> list[_Cause]:
    match, causes = options.resource_version_match, []
    if asks_initial_events and match != _NOT_OLDER:
        why = f"sendInitialEvents requires setting resourceVersionMatch to {_NOT_OLDER}"
        causes.append(_forbidden(_MATCH, why))
    if match and not asks_initial_events:
        why = (
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents "
            "is provided"
        )
        causes.append(_forbidden(_MATCH, why))
    if match and match != _NOT_OLDER:
        causes.append(_unsupported(match, _NOT_OLDER))
    if options.continue_token:
        causes.append(_forbidden(_MATCH, _NO_CONTINUE))
    return causes


def _bad(message: str) -> RequestError:
    return status.refuse(status.bad_request(message))
