# SPDX-License-Identifier: Apache-2.0
"""Complete scopes, made again of a tree whose files are just what its manifest says.

The manifest tells which questions were answered in full, at which version, with how
many objects. A question whose objects are all there, none newer than it, was so at
that version: an older answer, and a true one. An empty list is empty again, which
files alone never prove. Wherever anything differs the question is left out, and its
files are shown as what was imported.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from toono.cache.forms import JSON, form_of, reader_of, split_form
from toono.cache.scope import Change, Row, name_hash
from toono.cache.scopes import Scopes
from toono.cache.tree_manifest import ScopeFact
from toono.codec.base import Object, Single, Style
from toono.errors import CodecError, RequestError
from toono.kube import selectors
from toono.kube.names import parse_version


def restore(
    scopes: Scopes, facts: Iterable[ScopeFact], singles: Sequence[Single]
) -> None:
    """Make complete scopes of those of `facts` that a folder's objects bear out."""
    for fact in facts:
        try:
            chosen = [single for single in singles if _belongs(fact, single)]
        except (CodecError, RequestError):
            continue
        items = [single.object for single in chosen]
        if fact.complete and len(items) == fact.count and _is_of(fact, items):
            _make(scopes, fact, items, chosen[0].style if chosen else fact.style)


def _belongs(fact: ScopeFact, single: Single) -> bool:
    """Say whether the question of `fact` picks an object."""
    question, item = fact.question, single.object
    if question.namespace not in ("", item.namespace):
        return False
    if question.name not in ("", item.name):
        return False
    reader = reader_of(form_of(JSON, split_form(question.media_type)[1]))
    if question.label_selector:
        picks = selectors.label_matcher(question.label_selector)
        if not picks(reader.labels(item.data)):
            return False
    if question.field_selector:
        value_of = partial(
            reader.field, item.data, kind=fact.kind, api_version=single.api_version
        )
        return selectors.field_matcher(question.field_selector)(value_of)
    return True


def _is_of(fact: ScopeFact, items: Sequence[Object]) -> bool:
    """Say whether no object is newer than the question's answer."""
    versions = (parse_version(item.resource_version) or 0 for item in items)
    return fact.version > 0 and max(versions, default=0) <= fact.version


def _make(
    scopes: Scopes, fact: ScopeFact, items: Sequence[Object], style: Style
) -> None:
    form = split_form(fact.question.media_type)[1]
    question = fact.question._replace(media_type=form_of(JSON, form))
    if scopes.find(question) is not None:
        return
    scope = scopes.ensure(question)
    if scope is None:
        return
    scope.kind, scope.list_kind = fact.kind, fact.list_kind
    scope.api_version, scope.style = fact.api_version, style
    scope.version, scope.epoch, scope.complete = fact.version, fact.epoch, True
    for item in items:
        key = (item.namespace, item.name)
        scope.rows[key] = Row(
            item.uid, item.resource_version, item.data, len(item.data)
        )
        scope.digest ^= name_hash(key)
    scopes.commit(scope, Change(items, (), True, False))
