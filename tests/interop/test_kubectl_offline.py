# SPDX-License-Identifier: Apache-2.0
"""kubectl with the cable pulled: the same words as online, but for ages.

Each command is run online once; then the link is cut, and each is run again by a
kubectl that has never seen the cluster (an empty home, no discovery of its own).
"""

import json
import re
import subprocess

import pytest

from tests.interop.test_clients import Stage, kubectl, needs_kubectl, wait_until_online

COMMANDS = [
    ("get", "pods"),
    ("get", "pods", "-A"),
    ("get", "pods", "-n", "kube-system"),
    ("get", "pods", "-o", "wide"),
    ("get", "pods", "-o", "yaml"),
    ("get", "pods", "-o", "json"),
    ("get", "pods", "-o", "name"),
    ("get", "pods", "-o", "jsonpath={.items[*].metadata.name}"),
    ("get", "pods", "-l", "app=web"),
    ("get", "pods", "--show-labels"),
    ("get", "services", "--sort-by=.metadata.uid"),
    ("get", "pods", "--field-selector", "spec.nodeName=edge-1"),
    ("get", "pods", "--chunk-size=1"),
    ("get", "pod", "web-0"),
    ("get", "pod", "web-0", "-o", "yaml"),
    ("get", "pod", "absent"),
    ("get", "nodes"),
    ("get", "nodes", "-o", "wide"),
    ("get", "services,configmaps"),
    ("get", "deployments"),
    ("get", "crds"),
    ("describe", "pod", "web-0"),
    ("describe", "configmap", "settings"),
    ("api-resources",),
    ("api-versions",),
    ("version",),
]
AGE = re.compile(r"\b(?:\d+[ydhms]){1,2}\b|<unknown>")
GAP = re.compile(r"(?<=\S) {2,}")
"""Between columns: as wide as the longest age."""


@pytest.fixture
def stage(tmp_path):
    needs_kubectl()
    stage = Stage(tmp_path)
    yield stage
    stage.aclose()


def fill(stage: Stage) -> None:
    """Make what the commands ask for, in the loop of the server."""

    async def create() -> None:
        make = stage.server.create
        make("namespaces", {"metadata": {"name": "default"}})
        make("namespaces", {"metadata": {"name": "kube-system"}})
        for name in ("settings", "others"):
            content = {"metadata": {"name": name}, "data": {"a": "b"}}
            make("configmaps", content, namespace="default")
        make("nodes", {"metadata": {"name": "edge-1", "labels": {"a": "b"}}})
        service = {
            "metadata": {"name": "web"},
            "spec": {
                "clusterIP": "10.0.0.1",
                "type": "ClusterIP",
                "ports": [{"port": 80, "protocol": "TCP"}],
            },
        }
        make("services", service, namespace="default")

    stage.do(create())
    for name in ("web-0", "web-1"):
        stage.create(name)


def said(done: subprocess.CompletedProcess) -> tuple[int, str, str]:
    """Return what a person sees, ages and the note of being cut off put aside."""
    errors = [line for line in done.stderr.splitlines() if "cut off since" not in line]
    shown = GAP.sub("  ", AGE.sub("AGE", done.stdout))
    return done.returncode, shown, "\n".join(errors)


def test_every_question_asked_online_is_answered_alike_cut_off(stage: Stage) -> None:
    fill(stage)
    wait_until_online(stage)
    online = {one: said(kubectl(stage, *one)) for one in COMMANDS}
    for command in COMMANDS:
        if command != ("get", "pod", "absent"):
            assert online[command][0] == 0, (command, online[command])
    stage.cut()
    stage.directory = stage.directory / "another-home"
    stage.directory.mkdir()
    different = {}
    for command in COMMANDS:
        offline = said(kubectl(stage, *command))
        if offline != online[command]:
            different[" ".join(command)] = (online[command], offline)
    assert different == {}


def test_what_was_only_seen_as_a_table_is_not_made_up(stage: Stage) -> None:
    fill(stage)
    wait_until_online(stage)
    assert kubectl(stage, "get", "services").returncode == 0
    stage.cut()
    again = kubectl(stage, "get", "services")
    assert "web" in again.stdout
    whole = kubectl(stage, "get", "services", "-o", "yaml")
    assert whole.returncode != 0
    assert "only metadata or a table of it was seen" in whole.stderr
    narrower = kubectl(stage, "get", "services", "-l", "app=none")
    assert narrower.returncode == 0
    assert "No resources found" in narrower.stderr


def test_what_was_sorted_is_known_whole(stage: Stage) -> None:
    """`--sort-by` asks for Tables whose rows hold the objects."""
    fill(stage)
    wait_until_online(stage)
    commands = [
        ("get", kind, "--sort-by=.metadata.name")
        for kind in ("pods", "nodes", "secrets", "pod/web-0")
    ]
    online = [said(kubectl(stage, *one)) for one in commands]
    assert [one[0] for one in online] == [0, 0, 0, 0]
    stage.cut()
    assert [said(kubectl(stage, *one)) for one in commands] == online
    whole = kubectl(stage, "get", "pods", "-o", "json")
    assert len(json.loads(whole.stdout)["items"]) == 2
    assert kubectl(stage, "get", "pods").returncode == 0


def test_what_another_agent_listed_makes_a_table(stage: Stage) -> None:
    fill(stage)
    wait_until_online(stage)
    raw = kubectl(stage, "get", "--raw", "/api/v1/pods?resourceVersion=0")
    assert len(json.loads(raw.stdout)["items"]) == 2
    kubectl(stage, "api-resources")
    stage.cut()
    table = kubectl(stage, "get", "pods", "-A")
    assert table.returncode == 0, table.stderr
    lines = table.stdout.splitlines()
    assert lines[0].split() == [
        *("NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE")
    ]
    assert [line.split()[1] for line in lines[1:]] == ["web-0", "web-1"]


def test_writes_are_refused_with_a_sentence(stage: Stage) -> None:
    fill(stage)
    wait_until_online(stage)
    kubectl(stage, "get", "pods")
    stage.cut()
    for command in (
        ("delete", "pod", "web-0", "--wait=false"),
        ("label", "pod", "web-0", "a=b"),
        ("create", "configmap", "x"),
        ("auth", "can-i", "get", "pods"),
    ):
        done = kubectl(stage, *command)
        assert done.returncode != 0
        assert "cut off" in done.stderr, command
