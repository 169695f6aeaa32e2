# SPDX-License-Identifier: Apache-2.0
"""Every branch of the one word under STATUS, and what stands beside it."""

import pytest

from toono.codec.printers.ages import parse_time
from toono.codec.printers.pods import PODS

NOW = parse_time("2026-11-21T01:00:00Z")
EARLIER, LATER = "2026-11-21T00:30:00Z", "2026-11-21T00:50:00Z"
NAMES = [one.name for one in PODS.columns]


def pod(*, spec=None, deleted=False, **status):
    meta = {"name": "a", "creationTimestamp": "2026-11-21T00:46:06Z"}
    if deleted:
        meta["deletionTimestamp"] = LATER
    spec = {"containers": [{"name": "c"}, {"name": "d"}], **(spec or {})}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running", **status}}


def cells(one) -> dict[str, str]:
    return dict(zip(NAMES, PODS.cells(one, NOW), strict=True))


def status(one) -> str:
    return cells(one)["Status"]


def ran(name="c", **more):
    return {"name": name, "ready": True, "state": {"running": {}}, **more}


def ended(**state):
    return {"name": "c", "state": {"terminated": state}}


def waiting(reason="", **more):
    return {"name": "c", "state": {"waiting": {"reason": reason}}, **more}


def condition(kind, value="True", **more):
    return {"type": kind, "status": value, **more}


def test_running_pod():
    one = pod(
        spec={"nodeName": "edge-1"},
        containerStatuses=[ran(), ran("d")],
        podIP="10.0.0.1",
        nominatedNodeName="edge-2",
    )
    assert PODS.cells(one, NOW) == [
        "a",
        "2/2",
        "Running",
        "0",
        "13m",
        "10.0.0.1",
        "edge-1",
        "edge-2",
        "<none>",
    ]


def test_pod_of_nothing():
    assert PODS.cells({}, NOW) == [
        "",
        "0/0",
        "",
        "0",
        "<unknown>",
        *["<none>"] * 4,
    ]


def test_reason_goes_before_phase():
    assert status(pod(phase="Failed", reason="Evicted")) == "Evicted"


def test_gated_pod():
    gated = condition("PodScheduled", "False", reason="SchedulingGated")
    assert status(pod(phase="Pending", conditions=[gated])) == "SchedulingGated"
    other = condition("PodScheduled", "False", reason="Unschedulable")
    assert status(pod(phase="Pending", conditions=[other])) == "Pending"


@pytest.mark.parametrize(
    ("container", "shown"),
    [
        (waiting("CrashLoopBackOff"), "CrashLoopBackOff"),
        (waiting(""), "Running"),
        (ended(reason="OOMKilled", exitCode=137), "OOMKilled"),
        (ended(exitCode=3), "ExitCode:3"),
        (ended(signal=9, exitCode=137), "Signal:9"),
        (ended(), "ExitCode:0"),
        (ran(), "Running"),
    ],
)
def test_state_of_a_container(container, shown):
    assert status(pod(containerStatuses=[container])) == shown


def test_first_container_with_a_reason_gives_it():
    found = pod(containerStatuses=[waiting("A"), waiting("B"), ran()])
    assert cells(found)["Status"] == "A"
    assert cells(found)["Ready"] == "1/2"


@pytest.mark.parametrize(
    ("conditions", "shown"),
    [([condition("Ready")], "Running"), ([condition("Ready", "False")], "NotReady")],
)
def test_pod_with_one_container_done_still_runs(conditions, shown):
    done = ended(reason="Completed")
    one = pod(containerStatuses=[done, ran()], conditions=conditions)
    assert status(one) == shown
    assert status(pod(containerStatuses=[done])) == "Completed"


def test_container_counts_when_it_is_ready_and_runs():
    unready = {**ran(), "ready": False}
    not_running = {"ready": True, "state": {}}
    one = pod(containerStatuses=[unready, not_running, ran()])
    assert cells(one)["Ready"] == "1/2"


def test_deleted_pod():
    assert status(pod(deleted=True)) == "Terminating"
    assert status(pod(deleted=True, reason="NodeLost")) == "Unknown"
    assert status(pod(deleted=True, phase="Succeeded")) == "Succeeded"
    done = pod(deleted=True, phase="Failed", containerStatuses=[waiting("Error")])
    assert status(done) == "Error"
    assert status(pod(reason="NodeLost")) == "NodeLost"


def init(*statuses, spec=None, **more):
    spec = {"initContainers": [{"name": "i"}, {"name": "c"}], **(spec or {})}
    return pod(spec=spec, initContainerStatuses=list(statuses), **more)


@pytest.mark.parametrize(
    ("container", "shown"),
    [
        (ended(reason="Error", exitCode=1), "Init:Error"),
        (ended(exitCode=2), "Init:ExitCode:2"),
        (ended(signal=9, exitCode=137), "Init:Signal:9"),
        (waiting("ImagePullBackOff"), "Init:ImagePullBackOff"),
        (waiting("PodInitializing"), "Init:1/2"),
        (waiting(""), "Init:1/2"),
        (ran(), "Init:1/2"),
        ({}, "Init:1/2"),
    ],
)
def test_what_holds_initialization_up(container, shown):
    one = init(
        ended(exitCode=0), container, waiting("later"), containerStatuses=[ran()]
    )
    assert cells(one)["Status"] == shown
    assert cells(one)["Ready"] == "0/2"


def test_initialization_that_is_over_says_nothing():
    one = init(ended(exitCode=0), ended(exitCode=0), containerStatuses=[ran()])
    assert (cells(one)["Status"], cells(one)["Ready"]) == ("Running", "1/2")


def test_initialized_pod_shows_its_containers_too():
    """An init container runs again: its reason stands unless a container has one."""
    one = init(
        waiting("Oops"),
        containerStatuses=[ran()],
        conditions=[condition("Initialized")],
    )
    assert (cells(one)["Status"], cells(one)["Ready"]) == ("Init:Oops", "1/2")


SIDECARS = {"initContainers": [{"name": "c", "restartPolicy": "Always"}, {"name": "i"}]}


def test_sidecar_that_started_does_not_hold_up():
    sidecar = ran(started=True)
    one = init(sidecar, ended(exitCode=0), spec=SIDECARS, containerStatuses=[ran()])
    assert (cells(one)["Status"], cells(one)["Ready"]) == ("Running", "2/3")
    unready = {**sidecar, "ready": False}
    one = init(unready, ended(exitCode=0), spec=SIDECARS, containerStatuses=[ran()])
    assert (cells(one)["Status"], cells(one)["Ready"]) == ("Running", "1/3")


def test_sidecar_that_has_not_started_holds_up():
    one = init(ran(started=False), spec=SIDECARS)
    assert (cells(one)["Status"], cells(one)["Ready"]) == ("Init:0/2", "0/3")
    plain = {**ran(started=True), "name": "i"}
    assert status(init(plain, spec=SIDECARS)) == "Init:0/2"


def restarted(times, when=None, name="c"):
    last = {"lastState": {"terminated": {"finishedAt": when}}} if when else {}
    return ran(name, restartCount=times, **last)


def restarts(*args, **more) -> str:
    return cells(*args, **more)["Restarts"]


def test_restarts_name_the_last_one():
    both = [restarted(2, LATER), restarted(1, EARLIER)]
    assert restarts(pod(containerStatuses=both)) == "3 (10m ago)"
    assert restarts(pod(containerStatuses=both[::-1])) == "3 (10m ago)"
    assert restarts(pod(containerStatuses=[restarted(3)])) == "3"
    assert restarts(pod(containerStatuses=[restarted(3, "bad")])) == "3"
    assert restarts(pod(containerStatuses=[restarted(0, LATER)])) == "0"


def test_restarts_of_init_containers_count_while_they_run():
    first = {**restarted(4, LATER, "i"), **ended(exitCode=0)}
    one = init(first, restarted(1), containerStatuses=[restarted(9)])
    assert restarts(one) == "5 (10m ago)"
    done = {**restarted(1), **ended(exitCode=0)}
    assert restarts(init(first, done, containerStatuses=[restarted(9)])) == "9"


def test_restarts_of_sidecars_always_count():
    sidecar = {**restarted(2, LATER), "started": True}
    plain = {**restarted(7, LATER, "i"), **ended(exitCode=0), "name": "i"}
    one = init(sidecar, plain, spec=SIDECARS, containerStatuses=[restarted(1, EARLIER)])
    assert restarts(one) == "3 (10m ago)"


@pytest.mark.parametrize(
    ("addresses", "shown"),
    [
        ({"podIP": "a"}, "a"),
        ({"podIPs": [{"ip": "b"}, {"ip": "c"}]}, "b"),
        ({"podIP": "a", "podIPs": [{"ip": "b"}]}, "a"),
        ({"podIPs": []}, "<none>"),
    ],
)
def test_address(addresses, shown):
    assert cells(pod(**addresses))["IP"] == shown


def test_readiness_gates():
    spec = {"readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}]}
    conditions = [condition("x", "False"), condition("x"), condition("y")]
    one = pod(spec=spec, conditions=conditions)
    assert cells(one)["Readiness Gates"] == "1/2"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_rows_of_finished_pods_say_so(phase):
    found = PODS.condition(pod(phase=phase))
    assert (found.type, found.reason) == ("Completed", phase)
    assert PODS.condition(pod()) is None
