# SPDX-License-Identifier: Apache-2.0
"""What the agent leaves on a node."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
from cni_agent import files
from cni_agent.kinds import Network
from kubernetes import client


def test_a_file_is_written_whole_and_only_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    assert files.write_whole(path, b"one", 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat().st_ino
    assert not files.write_whole(path, b"one", 0o600)
    assert path.stat().st_ino == before
    assert files.write_whole(path, b"two", 0o600)
    assert path.stat().st_ino != before, "a reader of the old one reads on"
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def configuration(directory: Path, token: str) -> client.Configuration:
    (directory / "ca.crt").write_text("a CA")
    made = client.Configuration()
    made.host = "https://192.0.2.9:10268"
    made.ssl_ca_cert = str(directory / "ca.crt")
    made.api_key["BearerToken"] = f"bearer {token}"
    return made


def test_the_kubeconfig_says_what_the_pod_was_told(tmp_path: Path) -> None:
    content = json.loads(files.kubeconfig(configuration(tmp_path, "abc")))
    (cluster,) = [one["cluster"] for one in content["clusters"]]
    assert cluster["server"] == "https://192.0.2.9:10268"
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"a CA"
    assert content["users"][0]["user"] == {"token": "abc"}
    other = files.kubeconfig(configuration(tmp_path, "rotated"))
    assert json.loads(other)["users"][0]["user"] == {"token": "rotated"}


def test_the_configuration_is_a_list_of_one_plugin(tmp_path: Path) -> None:
    routes = [{"dst": "10.96.0.0/12"}, {"dst": "0.0.0.0/0", "gw": "10.244.1.1"}]
    given = {"metadata": {"name": "blue"}, "spec": {"mtu": 1400, "routes": routes}}
    content = files.network_configuration(
        msgspec.convert(given, Network),
        range_="10.244.1.0/24",
        kubeconfig_path=tmp_path / "kubeconfig",
        state=tmp_path,
    )
    assert json.loads(content) == {
        "cniVersion": "1.0.0",
        "name": "blue",
        "plugins": [
            {
                "type": "cni-agent",
                "mtu": 1400,
                "range": "10.244.1.0/24",
                "routes": routes,
                "kubernetes": {"kubeconfig": str(tmp_path / "kubeconfig")},
                "state": str(tmp_path),
            }
        ],
    }


def test_the_plugin_is_one_file_that_runs_with_nothing_installed(tmp_path) -> None:
    plugin = files.install_plugin(tmp_path)
    done = subprocess.run(
        [sys.executable, "-I", str(plugin)],
        input="{}",
        env={"CNI_COMMAND": "VERSION"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert json.loads(done.stdout)["supportedVersions"] == ["0.4.0", "1.0.0"]
    assert os.access(plugin, os.X_OK)
    assert [one.name for one in tmp_path.iterdir()] == ["cni-agent"]
