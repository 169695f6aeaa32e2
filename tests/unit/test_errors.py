# SPDX-License-Identifier: Apache-2.0
import inspect
import re

import pytest

from toono import errors


def drawn() -> dict[str, str]:
    """Return each exception and its parent, as the docstring draws them."""
    assert errors.__doc__ is not None
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^([ |]*)(\+-- )?(\w+Error)\b", line)
        if not found:
            continue
        depth = len(found[1]) if found[2] else -1
        path = [step for step in path if step[0] < depth]
        parents[found[3]] = path[-1][1] if path else "Exception"
        path.append((depth, found[3]))
    return parents


def test_the_tree_is_as_it_is_drawn() -> None:
    classes = {
        name: kind.__base__.__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if kind.__module__ == errors.__name__
    }
    assert classes == drawn()


def test_each_carries_what_explains_it() -> None:
    rejected = errors.RejectedRequestError(431, "too long")
    assert (rejected.status, rejected.message, str(rejected)) == (
        431,
        "too long",
        "too long",
    )
    refused = errors.RequestError(409, "Conflict", "changed", {"name": "a"})
    assert (refused.code, refused.reason, refused.details) == (
        409,
        "Conflict",
        {"name": "a"},
    )
    assert str(refused) == "changed"
    damaged = errors.DamagedRowError(b"k\xff")
    assert damaged.key == b"k\xff"
    assert "k\\xff" in str(damaged)


@pytest.mark.parametrize(
    ("remedy", "text"),
    [("", "--port: is taken"), ("stop it", "--port: is taken (stop it)")],
)
def test_an_option_is_named_with_its_remedy(remedy: str, text: str) -> None:
    found = errors.OptionError("--port", "is taken", remedy)
    assert str(found) == text
    assert (found.option, found.problem, found.remedy) == ("--port", "is taken", remedy)
