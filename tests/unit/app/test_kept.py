# SPDX-License-Identifier: Apache-2.0
"""What the hub follows is kept in the form in which it asks, and known to be."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.rig import hub_over, until
from toono.app.kept import is_kept
from toono.filters.follow import Question
from toono.pipeline.asking import own_questions
from toono.testing import APIServer


@pytest.mark.parametrize("form", [{}, {"whole": True}, {"whole": True, "packed": True}])
def test_an_own_list_is_kept_until_its_scope_loses_something(
    form, tmp_path: Path
) -> None:
    async def story() -> None:
        server = APIServer()
        await server.start()
        server.create("services", {"metadata": {"name": "web"}}, namespace="default")
        question = Question("/api/v1/services", **form)
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            storage = SimpleNamespace(scopes=hub.scopes)
            assert not is_kept(storage, question, 1)
            ask = own_questions(hub.chain.forward, hub.chain.local)
            accept = question.accept(listed=True)
            response = await ask(question.target(), accept, cached=False)
            assert response.status == 200
            (scope,) = [
                one for one in hub.scopes.all() if one.question.component == "toono"
            ]
            assert is_kept(storage, question, scope.version)
            assert not is_kept(storage, question, scope.version + 1)
            assert not is_kept(storage, Question("/api/v1/nodes", **form), 1)
            scope.complete = False
            assert not is_kept(storage, question, scope.version)
        await server.aclose()

    asyncio.run(story())
