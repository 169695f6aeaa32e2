# SPDX-License-Identifier: Apache-2.0
"""Whether what the hub itself follows is whole in its cache."""

from toono.app.storage import Storage
from toono.cache.forms import form_of
from toono.cache.received import question_of
from toono.filters.follow import Question
from toono.kube.request import parse
from toono.pipeline.asking import AGENT, NOBODY


def is_kept(storage: Storage, asked: Question, version: int) -> bool:
    """Say whether the hub's own list is kept, whole, at `version` or newer.

    A watch goes on from it then, and what it tells is kept: events that begin after
    the version of a scope are not (`cache.scope.accept_event`).
    """
    fields = {b"user-agent": AGENT, b"accept": asked.accept(listed=True).encode()}
    call = parse("GET", asked.target().encode(), fields, NOBODY)
    forms = {form_of(one.media_type, one.as_kind) for one in call.accept}
    scopes = (storage.scopes.find(question_of(call, form)) for form in forms)
    return any(
        scope.complete
        and not scope.imported
        and (scope.epoch, scope.version) >= (storage.scopes.epoch, version)
        for scope in scopes
        if scope is not None
    )
