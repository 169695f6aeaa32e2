# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.unit.codec.printers.kinds import cells

FLOWS = "flowcontrol.apiserver.k8s.io"


def test_flow_schemas() -> None:
    spec = {
        "priorityLevelConfiguration": {"name": "workload-low"},
        "matchingPrecedence": 900,
        "distinguisherMethod": {"type": "ByUser"},
    }
    conditions = [
        {"type": "Other", "status": "True"},
        {"type": "Dangling", "status": "False"},
    ]
    obj = {"spec": spec, "status": {"conditions": conditions}}
    assert cells("FlowSchema", obj, group=FLOWS) == {
        "PriorityLevel": "workload-low",
        "MatchingPrecedence": 900,
        "DistinguisherMethod": "ByUser",
        "MissingPL": "False",
    }


def test_a_new_flow_schema_does_not_tell_yet_whether_its_level_exists() -> None:
    shown = cells("FlowSchema", {"spec": {"matchingPrecedence": 1}}, group=FLOWS)
    assert (shown["DistinguisherMethod"], shown["MissingPL"]) == ("<none>", "?")


@pytest.mark.parametrize(
    ("limited", "told"),
    [
        (None, ["<none>"] * 4),
        ({"nominalConcurrencyShares": 5}, [5, *["<none>"] * 3]),
        (
            {
                "nominalConcurrencyShares": 20,
                "limitResponse": {
                    "queuing": {"queues": 128, "handSize": 6, "queueLengthLimit": 50}
                },
            },
            [20, 128, 6, 50],
        ),
    ],
)
def test_priority_levels(limited: dict | None, told: list) -> None:
    spec = {"type": "Limited"} | ({} if limited is None else {"limited": limited})
    shown = cells("PriorityLevelConfiguration", {"spec": spec}, group=FLOWS)
    assert list(shown.values()) == ["Limited", *told]
