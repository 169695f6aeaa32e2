# SPDX-License-Identifier: Apache-2.0
"""What YurtHub keeps beside its objects, and answers wrongly without.

    _internal/restmapper/cache-crd-restmapper.conf   kinds of resources it does not know
    version, _apis_discovery.k8s.io_v1, …            bodies of the paths so spelled

Pure. Without the first, YurtHub takes a list of custom resources for one that does
not exist (404). Entries are added to it and none is taken away: the REST mapper knows
more, and writes it, too.
"""

from collections.abc import Iterable, Mapping

import msgspec

from toono.cache.forms import PARTIAL, TABLE, split_form
from toono.cache.scope import Question
from toono.restmapper.yurthub import BUILT_IN

KINDS_FILE = ("_internal", "restmapper", "cache-crd-restmapper.conf")
MAX_KINDS_BYTES = 1024 * 1024
DOCUMENTS: Mapping[str, str] = {
    "/version": "version",
    "/apis/discovery.k8s.io/v1": "_apis_discovery.k8s.io_v1",
    "/apis/discovery.k8s.io/v1beta1": "_apis_discovery.k8s.io_v1beta1",
    "/apis/raven.openyurt.io/v1alpha1": "_apis_raven.openyurt.io_v1alpha1",
    "/apis/raven.openyurt.io/v1beta1": "_apis_raven.openyurt.io_v1beta1",
}
"""The paths that YurtHub answers from such a file, and no others."""

_decode = msgspec.json.Decoder(dict[str, str]).decode


def with_kinds(
    content: bytes | None, known: Iterable[tuple[Question, str]]
) -> bytes | None:
    """Return the file of kinds with those of `known` added; None where all are there.

    `content` is the file as it is; a torn one, which would keep YurtHub from starting,
    is as good as none.
    """
    entries = _entries_of(content)
    missing = {
        key: kind for key, kind in _needed(known).items() if entries.get(key) != kind
    }
    if not missing:
        return None
    return msgspec.json.encode(entries | missing, order="sorted")


def _entries_of(content: bytes | None) -> dict[str, str]:
    try:
        return _decode(content) if content and content.strip() else {}
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}


def _needed(known: Iterable[tuple[Question, str]]) -> dict[str, str]:
    """Return an entry for the plural and one for the singular of each resource."""
    found: dict[str, str] = {}
    for question, kind in known:
        group, version, resource = question.group, question.version, question.resource
        if group in BUILT_IN:
            continue
        if not kind or split_form(question.media_type)[1] in (PARTIAL, TABLE):
            continue
        for name in (resource, kind.lower()):
            found[f"{group}/{version}/{name}"] = kind
    return found
