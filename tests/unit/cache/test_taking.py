# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from tests.unit.cache.kit import Cache, call, pod, pod_list, run
from toono.cache.received import question_of
from toono.cache.scope import Change, Question, Row, Scope
from toono.cache.taking import commit_list, describe

PODS = "/api/v1/pods"
QUESTION = question_of(call(PODS), "application/json")


def test_what_was_imported_goes_once_its_list_is_kept() -> None:
    async def scenario() -> None:
        cache = Cache()
        scopes = cache.scopes
        question = question_of(call(PODS), "application/json")
        imported = scopes.ensure(question._replace(version="", namespace="x"))
        imported.imported = True
        imported.rows[("x", "old")] = Row("u", "1", b"{}", 2)
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        scope = scopes.find(question)
        commit_list(scopes, scope, Change((), (), True, False))
        assert imported.rows == {}

    run(scenario)


def test_a_scope_is_described_by_what_its_objects_are() -> None:
    async def scenario() -> None:
        scope = Cache().scopes.ensure(question_of(call(PODS), "application/json"))
        describe(scope, "Pod", "v1")
        assert (scope.kind, scope.api_version) == ("Pod", "v1")

    run(scenario)


class Keeping:
    """What keeps scopes, as far as a commit asks anything of it."""

    def __init__(self, future: asyncio.Future[None] | None, *, kept: bool) -> None:
        self.future, self.kept = future, kept
        self.retired: list[Question] = []

    def commit(self, scope, change, *, sync):
        assert sync is change.removes
        return self.future

    def is_kept(self, scope) -> bool:
        return self.kept

    def retire_imported(self, question) -> None:
        self.retired.append(question)


@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_what_was_imported_goes_once_the_list_is_kept(removes, kept) -> None:
    async def scenario() -> None:
        scope, change = Scope(1, QUESTION, 1), Change((), (), True, removes)
        at_once = Keeping(None, kept=kept)
        assert commit_list(at_once, scope, change) is None
        assert at_once.retired == [QUESTION] * kept
        future = asyncio.get_running_loop().create_future()
        later = Keeping(future, kept=kept)
        waited = commit_list(later, scope, change)
        assert waited is (future if removes else None)
        assert later.retired == []
        future.set_result(None)
        await asyncio.sleep(0)
        assert later.retired == [QUESTION] * kept

    run(scenario)


@pytest.mark.parametrize("failure", [OSError("full"), None])
def test_a_list_that_is_not_kept_retires_nothing(failure) -> None:
    async def scenario() -> None:
        future = asyncio.get_running_loop().create_future()
        keeping = Keeping(future, kept=True)
        commit_list(keeping, Scope(1, QUESTION, 1), Change((), (), True, True))
        if failure is None:
            future.cancel()
        else:
            future.set_exception(failure)
        await asyncio.sleep(0)
        assert keeping.retired == []

    run(scenario)
