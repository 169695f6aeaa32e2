# SPDX-License-Identifier: Apache-2.0
"""Options that do not go together, and all that is wrong with them at once."""

import pytest

from toono.testing.apiserver.options import check_options
from toono.testing.apiserver.query import Query, Refusal

INITIAL = "sendInitialEvents=true"
NEEDS = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
WITHOUT = "resourceVersionMatch is forbidden unless resourceVersion is provided"
PAGED = "resourceVersionMatch is forbidden when continue is provided"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "watch=1",
        "resourceVersion=5",
        "resourceVersion=5&resourceVersionMatch=Exact",
        "resourceVersion=0&resourceVersionMatch=NotOlderThan",
        f"watch=1&{INITIAL}&resourceVersionMatch=NotOlderThan",
        "continue=abc&resourceVersion=0",
        "resourceVersionMatch=",
    ],
)
def test_options_that_go_together_pass(raw: str) -> None:
    check_options(Query(raw))


@pytest.mark.parametrize(
    ("raw", "messages"),
    [
        (INITIAL, ["sendInitialEvents is forbidden for list"]),
        ("sendInitialEvents=false", ["sendInitialEvents is forbidden for list"]),
        (f"watch=1&{INITIAL}", [NEEDS]),
        (f"watch=1&{INITIAL}&resourceVersionMatch=Exact", [NEEDS, 'Unsupported value: "Exact"']),
        ("watch=1&resourceVersionMatch=Exact", ["forbidden for watch unless"]),
        ("resourceVersionMatch=Exact", [WITHOUT]),
        ("resourceVersionMatch=Exact&continue=a", [WITHOUT, PAGED]),
        ("resourceVersionMatch=Exact&resourceVersion=0", ['"exact" is forbidden']),
        ("resourceVersionMatch=Foo&resourceVersion=1", ['Unsupported value: "Foo"']),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_told(raw: str, messages: list[str]) -> None:
    with pytest.raises(Refusal) as refusal:
        check_options(Query(raw))
    assert (refusal.value.code, refusal.value.reason) == (422, "Invalid")
    causes = refusal.value.details["causes"]
    assert len(causes) == len(messages)
    for cause, message in zip(causes, messages, strict=True):
        assert message in cause["message"]
        assert f"{cause['field']}: {cause['message']}" in refusal.value.message
    assert ("is invalid: [" in refusal.value.message) is (len(messages) > 1)
