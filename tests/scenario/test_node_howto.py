# SPDX-License-Identifier: Apache-2.0
"""docs/how-to/node.md is followed: its steps are run, and what they write is used.

Everything but the machine's own systemd is real: a shell runs the steps below another
root, curl asks the hub, kubectl and the official client load the kubeconfig, and a
recorded kubelet's first requests go to the address that it names.
"""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.rig import body, hub_over, in_order, status_of, until
from tests.scenario.test_kubelet_boot import hear, second_boot
from toono.cli.node_setup import command
from toono.testing.replay import Replay

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "node.md"
DROP_IN = "etc/systemd/system/kubelet.service.d/90-toono.conf"
WAY_BACK = "# The way back\n"
SYSTEMCTL = '#!/bin/sh\necho "$@" >> "$TOONO_TEST_LOG"\n'
AGENTS = ("hollow-kubelet", "kubelet")


def printed(monkeypatch, address: str = "127.0.0.1:10261") -> str:
    """Return what `toono node-setup --print` prints where toono is nowhere on PATH."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    return CliRunner().invoke(command, ["--print", "--address", address]).output


def test_the_page_is_what_is_printed(monkeypatch) -> None:
    steps = re.findall(r"```sh\n(# .*?)```", PAGE.read_text(), re.DOTALL)
    assert "\n".join(steps) == printed(monkeypatch)


class Node:
    """A root directory in which the steps are run, and what systemctl was told."""

    def __init__(self, root: Path) -> None:
        self.root, self._log, self._bin = root, root / "log", root / "bin"
        for directory in ("bin", "etc/systemd/system"):
            (root / directory).mkdir(parents=True)
        stand_in = self._bin / "systemctl"
        stand_in.write_text(SYSTEMCTL)
        stand_in.chmod(0o755)

    def run(self, steps: str) -> str:
        """Run steps with every path below the root; return what they printed."""
        moved = re.sub(r"(?<![\w/])/etc/(?!kubernetes)", f"{self.root}/etc/", steps)
        moved = moved.replace("-p /etc/kubernetes", f"-p {self.root}/etc/kubernetes")
        path = f"{self._bin}:{os.environ['PATH']}"
        environment = {"PATH": path, "TOONO_TEST_LOG": str(self._log)}
        done = subprocess.run(
            ["bash", "-euc", moved],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def told(self) -> list[str]:
        """Return what systemctl was told since the last call."""
        lines = self._log.read_text().splitlines()
        self._log.unlink()
        return lines

    def kubeconfig(self) -> Path:
        """Return the file that the drop-in gives the kubelet."""
        given = re.search(r"--kubeconfig=([^\"]*)", (self.root / DROP_IN).read_text())
        assert given is not None
        return Path(given.group(1))


def test_the_steps_lead_a_kubelet_to_the_hub_and_back(tmp_path, monkeypatch) -> None:
    for tool in ("curl", "kubectl"):
        if shutil.which(tool) is None:
            pytest.skip(f"LOUD: {tool} is not installed")
    boot = in_order("boot-list")
    node = Node(tmp_path / "node")
    cache = tmp_path / "cache"

    async def scenario() -> None:
        replay = Replay(boot)
        await replay.start()
        async with hub_over([replay.address], cache, agents=AGENTS) as hub:
            await until(lambda: hub.upstream.online)
            address = "{}:{}".format(*hub.addresses[0])
            there, back = printed(monkeypatch, address).split(WAY_BACK)
            assert await asyncio.to_thread(node.run, there) == ""
            assert node.told() == [
                "daemon-reload",
                "enable --now toono",
                "daemon-reload",
                "restart kubelet",
            ]
            kubeconfig = node.kubeconfig()
            assert server_of(kubeconfig) == f"http://{address}"
            assert await asyncio.to_thread(python_client, kubeconfig) == "ok"
            assert await asyncio.to_thread(kubectl, kubeconfig) == "ok"
            for one in boot:
                first = await hear(hub, one, least=len(one.body))
                assert status_of(first) == one.status
                assert body(first)[: len(one.body)] == one.body
            await replay.aclose()
        async with hub_over([replay.address], cache, agents=AGENTS) as hub:
            for one in boot:
                await second_boot(hub, one)
        await asyncio.to_thread(node.run, back.replace("#   ", ""))
        assert node.told() == [
            "daemon-reload",
            "restart kubelet",
            "disable --now toono",
            "daemon-reload",
        ]
        left = [one for one in (node.root / "etc").rglob("*") if one.is_file()]
        assert left == []

    asyncio.run(scenario())


def test_a_kubelet_inside_k3s_is_answered_cut_off_too(tmp_path) -> None:
    named = re.compile(rb"(?mi)^User-Agent: .*?\r$")
    agent = b"User-Agent: k3s/v1.34.2+k3s1 (linux/amd64) kubernetes/8d5b2f1\r"
    boot = in_order("boot-list")
    boot = [one._replace(request=named.sub(agent, one.request)) for one in boot]

    async def scenario() -> None:
        replay = Replay(boot)
        await replay.start()
        async with hub_over([replay.address], tmp_path, agents=("k3s",)) as hub:
            await until(lambda: hub.upstream.online)
            for one in boot:
                await hear(hub, one, least=len(one.body))
            await replay.aclose()
        async with hub_over([replay.address], tmp_path, agents=("k3s",)) as hub:
            assert {one.question.component for one in hub.scopes.all()} == {"k3s"}
            for one in boot:
                await second_boot(hub, one)

    asyncio.run(scenario())


def server_of(kubeconfig: Path) -> str:
    """Return the server of a kubeconfig, as its current context names it."""
    content = yaml.safe_load(kubeconfig.read_text())
    (cluster,) = (one["cluster"] for one in content["clusters"])
    return cluster["server"]


def python_client(kubeconfig: Path) -> str:
    """Return what the official client hears from /readyz, configured by the file."""
    from kubernetes import config

    with config.new_client_from_config(config_file=str(kubeconfig)) as client:
        address = f"{client.configuration.host}/readyz"
        answer = client.rest_client.request("GET", address)
        return answer.read().decode()


def kubectl(kubeconfig: Path) -> str:
    """Return what kubectl hears from /readyz, configured by the file."""
    arguments = ["kubectl", f"--kubeconfig={kubeconfig}", "get", "--raw", "/readyz"]
    environment = {"HOME": str(kubeconfig.parent), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        arguments,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
