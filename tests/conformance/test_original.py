# SPDX-License-Identifier: Apache-2.0
"""A real kube-apiserver passes this suite too, or the suite asks for the wrong thing.

Runs where KUBEBUILDER_ASSETS names a directory with etcd and kube-apiserver 1.34.
"""

import asyncio
from pathlib import Path

import pytest

from tests.conformance.conversation import Conversation
from tests.conformance.exchanges import Answer, read
from tests.conformance.judge import differences
from tests.conformance.original import Original
from toono.testing.real import assets

DIFFERS: dict[str, str] = {}
"""Exchanges whose answer depends on what one process or its moment was."""


def test_a_real_kube_apiserver_answers_as_recorded(tmp_path: Path, capsys) -> None:
    programs = assets()
    if isinstance(programs, str):
        with capsys.disabled():
            print(
                f"\nSKIPPED: the suite was not held against a real server: {programs}"
            )
        pytest.skip(programs)

    async def play() -> dict[str, Answer]:
        async with Original(programs, tmp_path) as server:
            return await Conversation(server).play()

    answers = asyncio.run(play())
    found = {
        each.name: differences(each, answers[each.name])
        for each in read()
        if each.name not in DIFFERS
    }
    told = [f"{name}: {line}" for name, lines in found.items() for line in lines]
    assert not told, "\n".join(told)
