# SPDX-License-Identifier: Apache-2.0
"""Jobs and what starts them by the clock."""

from toono.codec.printers.ages import age, human_duration, parse_time
from toono.codec.printers.base import (
    AGE_COLUMN,
    NAME_COLUMN,
    Cell,
    Printer,
    age_of,
    column,
    is_deleting,
    name_of,
)
from toono.codec.printers.label_text import containers, selector_text
from toono.codec.printers.reading import (
    Json,
    at,
    entries,
    has_number,
    number,
    size,
    text,
    text_or,
)
from toono.codec.printers.workloads import CONTAINER_COLUMNS, SELECTOR_COLUMN


def _job(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        _status(obj),
        _completions(obj),
        _duration(obj, now),
        age_of(obj, now),
        *containers(obj, "spec", "template", "spec"),
        selector_text(obj, "spec", "selector"),
    ]


def _status(job: Json) -> str:
    true: dict[str, bool] = {}
    for one in entries(job, "status", "conditions"):
        true.setdefault(text(one, "type"), text(one, "status") == "True")
    for name in ("Complete", "Failed"):
        if true.get(name):
            return name
    if is_deleting(job):
        return "Terminating"
    for name in ("Suspended", "FailureTarget"):
        if true.get(name):
            return name
    return "Running"


def _completions(job: Json) -> str:
    succeeded = number(job, "status", "succeeded")
    if has_number(job, "spec", "completions"):
        return f"{succeeded}/{number(job, 'spec', 'completions')}"
    parallelism = number(job, "spec", "parallelism")
    return f"{succeeded}/1" + (f" of {parallelism}" if parallelism > 1 else "")


def _duration(job: Json, now: float) -> str:
    start = parse_time(text(job, "status", "startTime"))
    if start is None:
        return ""
    end = parse_time(text(job, "status", "completionTime"))
    return human_duration((now if end is None else end) - start)


def _cron_job(obj: Json, now: float) -> list[Cell]:
    job = ("spec", "jobTemplate", "spec")
    last = text(obj, "status", "lastScheduleTime")
    return [
        name_of(obj),
        text(obj, "spec", "schedule"),
        text_or("<none>", obj, "spec", "timeZone"),
        _suspend(obj),
        size(obj, "status", "active"),
        age(last, now) if last else "<none>",
        age_of(obj, now),
        *containers(obj, *job, "template", "spec"),
        selector_text(obj, *job, "selector"),
    ]


def _suspend(obj: Json) -> str:
    suspend = at(obj, "spec", "suspend")
    return str(suspend) if isinstance(suspend, bool) else "<unset>"


JOBS = Printer(
    (
        NAME_COLUMN,
        column("Status", "What has become of the job."),
        column("Completions", "How many pods have succeeded, of how many wanted."),
        column("Duration", "How long it has taken."),
        AGE_COLUMN,
        *CONTAINER_COLUMNS,
        SELECTOR_COLUMN,
    ),
    _job,
)
CRON_JOBS = Printer(
    (
        NAME_COLUMN,
        column("Schedule", "When jobs start, in cron's words."),
        column("Timezone", "Where the schedule's clock hangs."),
        column("Suspend", "Whether no further jobs start.", of_type="boolean"),
        column("Active", "How many jobs run.", of_type="integer"),
        column("Last Schedule", "When a job last started."),
        AGE_COLUMN,
        *CONTAINER_COLUMNS,
        SELECTOR_COLUMN,
    ),
    _cron_job,
)
