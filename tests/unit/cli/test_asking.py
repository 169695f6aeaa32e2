# SPDX-License-Identifier: Apache-2.0
"""A hub that does not answer well is one line, not a traceback."""

import click
import pytest

from tests.unit.cli.test_agents import status_listener
from toono.cli.asking import ask_hub


def test_what_the_hub_answers_is_returned() -> None:
    with status_listener(b'{"a":1}') as port:
        assert ask_hub(("127.0.0.1", int(port)), "GET", "/v1/agents") == {"a": 1}


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (403, b"no", "run as root"),
        (409, b"a drill is on\n", "answers 409: a drill is on"),
        (200, b"<html>", "no hub answers"),
    ],
)
def test_what_is_wrong_is_said(status: int, content: bytes, said: str) -> None:
    with (
        status_listener(content, status=status) as port,
        pytest.raises(click.ClickException) as told,
    ):
        ask_hub(("127.0.0.1", int(port)), "GET", "/v1/agents")
    assert said in told.value.message


def test_where_nobody_listens_the_port_is_in_doubt() -> None:
    with status_listener(b"") as port:
        pass
    with pytest.raises(click.ClickException) as told:
        ask_hub(("127.0.0.1", int(port)), "GET", "/v1/agents")
    assert "--serve-port" in told.value.message
