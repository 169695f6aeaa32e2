# SPDX-License-Identifier: Apache-2.0
"""What is deployed fits together, and with what the program does."""

import re
from pathlib import Path

import yaml
from cni_agent.kinds import NETWORKS, NODES, PODS, POLICIES, Network, NodeStatus

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "examples" / "cni-agent" / "deploy"


def documents(name: str) -> dict[str, dict]:
    found = yaml.safe_load_all((DEPLOY / name).read_text())
    return {one["kind"]: one for one in found}


def parts(path: str) -> tuple[str, str]:
    """Return the group and the resource of a path."""
    words = path.strip("/").split("/")
    return ("" if words[0] == "api" else words[1], words[-1])


def test_the_role_allows_what_the_agent_asks_and_no_more() -> None:
    allowed = {
        (group, resource, verb)
        for rule in documents("rbac.yaml")["ClusterRole"]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    paths = (PODS, NODES, POLICIES, NETWORKS)
    asked = {(*parts(p), verb) for p in paths for verb in ("get", "list", "watch")}
    group, plural = parts(NETWORKS)
    assert allowed == asked | {(group, f"{plural}/status", "patch")}


def test_what_a_node_may_share_is_read_and_never_written() -> None:
    rules = documents("node-shares.yaml")["ClusterRole"]["rules"]
    assert {verb for one in rules for verb in one["verbs"]} == {"get", "list", "watch"}


def test_the_daemonset_runs_as_the_account_that_has_the_role() -> None:
    rbac = documents("rbac.yaml")
    pod = documents("daemonset.yaml")["DaemonSet"]["spec"]["template"]["spec"]
    account = rbac["ServiceAccount"]["metadata"]
    (subject,) = rbac["ClusterRoleBinding"]["subjects"]
    assert pod["serviceAccountName"] == subject["name"] == account["name"]
    assert subject["namespace"] == account["namespace"]
    mounted = {
        one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]
    }
    assert mounted["conf"] == "/etc/cni/net.d"
    assert mounted["bin"] == "/opt/cni/bin"
    assert set(mounted) == {one["name"] for one in pod["volumes"]}


def test_the_crd_has_the_fields_that_the_agent_knows() -> None:
    spec = documents("crd.yaml")["CustomResourceDefinition"]["spec"]
    assert (spec["group"], spec["names"]["plural"]) == parts(NETWORKS)
    (version,) = spec["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    fields = Network().spec.__struct_fields__
    assert set(schema["spec"]["properties"]) == set(fields)
    node = schema["status"]["properties"]["nodes"]["additionalProperties"]
    assert set(node["properties"]) == set(NodeStatus.__struct_encode_fields__)
    assert version["subresources"] == {"status": {}}


def test_the_image_holds_versions_that_the_project_has_locked() -> None:
    def locked(path: Path) -> dict[str, str]:
        found = re.findall(r"^([a-z0-9_.-]+)==(\S+)", path.read_text(), re.MULTILINE)
        return dict(found)

    ours = locked(DEPLOY.parent / "requirements.txt")
    theirs = locked(ROOT / "requirements" / "dev.txt")
    assert {"kubernetes", "msgspec"} <= set(ours)
    assert ours.items() <= theirs.items(), "run scripts/lock_cni_agent.py"
