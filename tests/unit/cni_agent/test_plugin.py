# SPDX-License-Identifier: Apache-2.0
"""The CNI plugin's answers to a runtime, as CNI 1.0.0 has them; no API is asked here."""

import json
from pathlib import Path

import pytest
from cni_agent.plugin import run

ENVIRONMENT = {
    "CNI_CONTAINERID": "c1",
    "CNI_NETNS": "/var/run/netns/c1",
    "CNI_IFNAME": "eth0",
    "CNI_PATH": "/opt/cni/bin",
}


def config(directory: Path, **more) -> dict:
    given = {
        "cniVersion": "1.0.0",
        "name": "blue",
        "type": "cni-agent",
        "range": "10.244.1.0/24",
        "routes": [{"dst": "10.96.0.0/12"}],
        "state": str(directory),
    }
    return {key: value for key, value in (given | more).items() if value is not None}


def do(command: str, content: object, **more):
    environment = {**ENVIRONMENT, "CNI_COMMAND": command, **more}
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return run(environment, raw)


def test_add_check_and_del_of_one_container(tmp_path: Path) -> None:
    status, added = do("ADD", config(tmp_path))
    assert status == 0
    assert added == {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "eth0", "sandbox": "/var/run/netns/c1"}],
        "ips": [{"address": "10.244.1.2/24", "gateway": "10.244.1.1", "interface": 0}],
        "routes": [{"dst": "10.96.0.0/12"}],
        "dns": {},
    }
    checked = config(tmp_path, prevResult=added)
    assert do("CHECK", checked) == (0, None)
    assert do("DEL", checked, CNI_NETNS="") == (0, None)
    assert do("DEL", checked) == (0, None), "twice is fine"
    assert do("CHECK", checked)[1]["code"] == 101


def test_an_older_runtime_hears_its_own_version(tmp_path: Path) -> None:
    _, added = do("ADD", config(tmp_path, cniVersion="0.4.0"))
    assert added["cniVersion"] == "0.4.0"
    assert added["ips"][0]["version"] == "4"


def test_version_needs_no_network(tmp_path: Path) -> None:
    told = {"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}
    assert run({"CNI_COMMAND": "VERSION"}, b'{"cniVersion":"1.0.0"}') == (0, told)


@pytest.mark.parametrize(
    ("code", "command", "change", "environment"),
    [
        (1, "ADD", {"cniVersion": "9.0.0"}, {}),
        (4, "GROW", {}, {}),
        (4, "", {}, {}),
        (4, "ADD", {}, {"CNI_NETNS": ""}),
        (4, "DEL", {}, {"CNI_CONTAINERID": ""}),
        (7, "ADD", {"range": None}, {}),
        (7, "ADD", {"range": "10.244.1.5/24"}, {}),
        (7, "ADD", {"state": None}, {}),
        (7, "ADD", {"name": "../blue"}, {}),
        (7, "ADD", {}, {"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=a"}),
        (7, "CHECK", {}, {}),
        (5, "ADD", {"state": "/proc/none"}, {}),
        (
            5,
            "ADD",
            {"kubernetes": {"kubeconfig": "/none"}},
            {"CNI_ARGS": "K8S_POD_NAME=a"},
        ),
    ],
)
def test_what_cannot_be_done_is_an_error_of_its_code(
    tmp_path: Path, code, command, change, environment
) -> None:
    status, error = do(command, config(tmp_path, **change), **environment)
    assert status == 1
    assert error["code"] == code
    assert error["cniVersion"] == "1.0.0"
    assert error["msg"]
    assert set(error) == {"cniVersion", "code", "msg", "details"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"a"', b"\xff"])
def test_what_is_no_configuration_cannot_be_decoded(content: bytes) -> None:
    status, error = do("ADD", content)
    assert (status, error["code"]) == (1, 6)


def test_a_full_range_is_said(tmp_path: Path) -> None:
    small = config(tmp_path, range="10.0.0.0/30")
    assert do("ADD", small)[0] == 0
    status, error = do("ADD", small, CNI_CONTAINERID="c2")
    assert (status, error["code"]) == (1, 100)
    assert "10.0.0.0/30" in error["msg"]
