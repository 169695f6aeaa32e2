# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from toono.cli import who
from toono.cli.who import ELSEWHERE, command
from toono.errors import OptionError
from toono.identity.book import Book
from toono.identity.processes import Process
from toono.identity.rows import KeySetRow, Question
from toono.identity.sockets import Owner
from toono.runtime.clock import SystemClock
from toono.store.sqlite import open_store
from toono.testing.apiserver.tokens import TokenKeys

WEB = "system:serviceaccount:shop:web"
KEYS = TokenKeys(algorithm="ES256")
HOST = Owner(0, frozenset({"/system.slice/kubelet.service"}))


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """A cache directory in which shop/web may list pods and read no secret."""
    directory = tmp_path_factory.mktemp("who")

    async def fill() -> None:
        path = directory / "_internal" / "toono"
        store = await open_store(path, clock=SystemClock())
        book = Book(store)
        await book.open()
        now = SystemClock().wall()
        book.keep_key_set(KeySetRow(KEYS.issuer, KEYS.jwks(), now))
        uid = "7c9f0b1e-0000-4000-8000-000000000000"
        pods = Question("list", "", "pods", "", "shop")
        book.put(f"{WEB}/{uid}", pods, allowed=True, at=now)
        secret = Question("get", "", "secrets", "", "shop", "[bold]db")
        book.put(f"{WEB}/{uid}", secret, allowed=False, at=now)
        await store.aclose()

    asyncio.run(fill())
    return directory


def token(**claims) -> str:
    uid = "7c9f0b1e-0000-4000-8000-000000000000"
    return KEYS.mint("shop", "web", now=SystemClock().wall(), uid=uid, **claims)


def call(cache: Path, *words: str, given: str = "") -> str:
    path = f"--disk-cache-path={cache}"
    result = CliRunner().invoke(command, [path, *words], input=given)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_token_s_owner_and_each_of_its_rights_are_told(cache) -> None:
    told = call(cache, token())
    assert f"caller   {WEB}" in told
    rows = {line.split()[0]: line.split() for line in told.splitlines() if line}
    assert rows["pods"][1:7] == ["shop", "*", "list", "200", "allowed", "online"]
    assert rows["secrets"][1:5] == ["shop", "[bold]db", "get", "403"]


def test_a_token_comes_on_standard_input_too_and_is_not_repeated(cache) -> None:
    shown = token()
    for given in (shown + "\n", f"Bearer {shown}"):
        told = call(cache, "-", given=given)
        assert f"caller   {WEB}" in told
        assert shown.rpartition(".")[2] not in told


def test_programs_read_the_same(cache) -> None:
    ((name, found),) = json.loads(call(cache, "-o", "json", token())).items()
    assert name == "with this token"
    assert (found["user"], found["token"], found["answer"]) == (WEB, "valid", 200)
    assert [one["answer"] for one in found["rights"]] == [200, 403]


def test_a_token_that_is_no_good_is_told_in_a_line(cache) -> None:
    told = call(cache, "abc")
    assert "cannot be judged here" in told
    assert "503 to everything" in told
    forged = token()[:-8] + "AAAAAAAA"
    assert "401 to everything" in call(cache, forged)


def test_the_operator_s_list_is_read_from_the_same_options(cache) -> None:
    told = call(cache, f"--offline-readers={WEB}=services", token())
    assert "the operator's list" in told


def test_this_very_process_is_the_node_where_its_user_is(cache) -> None:
    own = f"--node-uids={os.getuid()}"
    assert "caller   node" in call(cache, own, str(os.getpid()))
    told = call(cache, f"--node-uids={os.getuid() + 1}", str(os.getpid()))
    assert "is none of --node-uids" in told
    assert "503 to everything" in told


def test_a_process_that_is_not_there_is_named(cache) -> None:
    with pytest.raises(OptionError, match="process 4194305 cannot be looked at"):
        call(cache, "4194305")


@pytest.mark.parametrize(
    ("owner", "same_network", "why"),
    [
        (Owner(0, frozenset({"/kubepods/pod1"})), True, "it runs in a pod"),
        (HOST, False, ELSEWHERE),
    ],
)
def test_a_pod_is_told_without_its_token_and_with_it(
    cache, monkeypatch, owner, same_network, why
) -> None:
    seen = Process("app", owner, same_network, token().encode())
    monkeypatch.setattr(who, "look_at", lambda _: seen)
    without, having = call(cache, "42").split("app, with the token mounted in it:")
    assert why in without
    assert "caller   nobody" in without
    assert f"caller   {WEB}" in having
