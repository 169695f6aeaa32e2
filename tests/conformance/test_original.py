# SPDX-License-Identifier: Apache-2.0
"""A real kube-apiserver passes this suite too, or the suite asks for the wrong thing.

Runs where KUBEBUILDER_ASSETS names a directory with etcd and kube-apiserver 1.34.
"""

import asyncio
from pathlib import Path

import pytest

from tests.conformance.conversation import Conversation
from tests.conformance.exchanges import Answer, Exchange, read
from tests.conformance.judge import differences
from tests.conformance.original import Original
from toono.testing.real import assets

LEASE = "holds the API server's own lease: machine, process, last renewal"
DIFFERS: dict[str, str] = {
    "list-leases-json": LEASE,
    "list-leases-table": LEASE,
    "list-leases-partial": LEASE,
    "list-leases-protobuf": LEASE,
}
"""Exchanges whose answer depends on what one process or its moment was."""
BINARY = ("application/cbor",)
"""Held to status and headers only: the rules cannot read it."""


def test_a_real_kube_apiserver_answers_as_recorded(tmp_path: Path, capsys) -> None:
    programs = assets()
    if isinstance(programs, str):
        with capsys.disabled():
            print(
                f"\nSKIPPED: the suite was not held against a real server: {programs}"
            )
        pytest.skip(f"LOUD: {programs}")

    async def play() -> dict[str, Answer]:
        async with Original(programs, tmp_path) as server:
            return await Conversation(server).play()

    answers = asyncio.run(play())
    told = [
        f"{each.name}: {line}"
        for each in read()
        if each.name not in DIFFERS
        for line in differences(each, answers[each.name])
        if not (line.startswith("body") and is_binary(each))
    ]
    assert not told, "\n".join(told)


def is_binary(exchange: Exchange) -> bool:
    return exchange.answer.fields.get("content-type", "").startswith(BINARY)
