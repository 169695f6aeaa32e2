# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.unit.codec.printers.kinds import cells

JOB = {
    "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}},
    "selector": {"matchLabels": {"job": "a"}},
}
WIDE = {"Containers": "c", "Images": "i", "Selector": "job=a"}


def job(spec=None, **status):
    return cells(
        "Job", {"spec": {**JOB, **(spec or {})}, "status": status}, group="batch"
    )


def test_jobs():
    found = job(
        {"completions": 3},
        succeeded=1,
        startTime="2026-11-21T00:50:00Z",
        completionTime="2026-11-21T00:51:30Z",
        conditions=[{"type": "Complete", "status": "True"}],
    )
    assert found == {
        "Status": "Complete",
        "Completions": "1/3",
        "Duration": "90s",
        **WIDE,
    }


def test_running_jobs_take_until_now():
    assert job(startTime="2026-11-21T00:50:00Z")["Duration"] == "10m"
    assert job()["Duration"] == ""
    assert job(startTime="bad")["Duration"] == ""


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ({}, "2/1"),
        ({"parallelism": 1}, "2/1"),
        ({"parallelism": 4}, "2/1 of 4"),
        ({"completions": 0, "parallelism": 4}, "2/0"),
    ],
)
def test_completions(spec, shown):
    assert job(spec, succeeded=2)["Completions"] == shown


ORDER = ["Complete", "Failed", "Terminating", "Suspended", "FailureTarget", "Running"]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_status_has_an_order(first):
    rest = ORDER[first:]
    conditions = [{"type": one, "status": "True"} for one in reversed(rest)]
    meta = {"deletionTimestamp": "t"} if "Terminating" in rest else {}
    obj = {"status": {"conditions": conditions}}
    assert cells("Job", obj, group="batch", **meta)["Status"] == ORDER[first]


def test_the_first_condition_of_a_type_counts():
    conditions = [
        {"type": "Complete", "status": "False"},
        {"type": "Complete", "status": "True"},
    ]
    assert job(conditions=conditions)["Status"] == "Running"


def test_cron_jobs():
    obj = {
        "spec": {
            "schedule": "* * * * *",
            "timeZone": "Etc/UTC",
            "suspend": False,
            "jobTemplate": {"spec": JOB},
        },
        "status": {"active": [{}, {}], "lastScheduleTime": "2026-11-21T00:50:00Z"},
    }
    assert cells("CronJob", obj, group="batch") == {
        "Schedule": "* * * * *",
        "Timezone": "Etc/UTC",
        "Suspend": "False",
        "Active": 2,
        "Last Schedule": "10m",
        **WIDE,
    }


def test_cron_jobs_that_say_little():
    found = cells("CronJob", {"spec": {"suspend": True}}, group="batch")
    assert found["Suspend"] == "True"
    assert found["Timezone"] == found["Last Schedule"] == "<none>"
    assert cells("CronJob", {}, group="batch")["Suspend"] == "<unset>"
