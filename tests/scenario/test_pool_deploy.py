# SPDX-License-Identifier: Apache-2.0
"""The files for a pool's etcd say the same, and a real etcd runs as they say."""

import asyncio
import re
import shlex
from pathlib import Path

import yaml

from tests.contract.test_etcd_server import issued
from tests.etcd import EtcdCluster, EtcdMember, free_ports, need_etcd
from toono.store.etcd_messages import put
from toono.wire.tls import ClientFiles, make_context

DEPLOY = Path(__file__).parents[2] / "deploy" / "pool"


def of_unit() -> list[str]:
    text = (DEPLOY / "etcd.service").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    return shlex.split(re.sub(r"\$\{(\w+)\}", r"\1", line))[1:]


def of_pod() -> list[str]:
    pod = yaml.safe_load((DEPLOY / "etcd.yaml").read_text())
    (container,) = pod["spec"]["containers"]
    return container["command"][1:]


def test_the_static_pod_and_the_unit_run_one_etcd() -> None:
    assert of_pod() == of_unit()


def test_the_static_pod_mounts_what_its_flags_name() -> None:
    spec = yaml.safe_load((DEPLOY / "etcd.yaml").read_text())["spec"]
    mounts = [one["mountPath"] for one in spec["containers"][0]["volumeMounts"]]
    paths = [flag.partition("=")[2] for flag in of_pod() if "=/" in flag]
    assert paths
    assert all(path.startswith(tuple(mounts)) for path in paths)
    assert [one["hostPath"]["path"] for one in spec["volumes"]] == mounts


def test_the_roles_are_those_that_their_bindings_name() -> None:
    documents = list(yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text()))
    roles = {(one["kind"], one["metadata"]["name"]) for one in documents}
    for one in documents:
        if one["kind"].endswith("Binding"):
            assert (one["roleRef"]["kind"], one["roleRef"]["name"]) in roles


def test_a_real_etcd_runs_with_these_flags_and_takes_a_whole_list(tmp_path) -> None:
    authority, server, hub = issued(tmp_path / "pki")
    client, peer, metrics = free_ports(3)
    places = {
        "NAME": "m0",
        "ADDRESS": "127.0.0.1",
        "CLUSTER": f"m0=https://127.0.0.1:{peer}",
        "12379": str(client),
        "12380": str(peer),
        "12381": str(metrics),
        "/var/lib/toono-etcd": str(tmp_path / "data"),
        "/etc/toono/etcd/server.crt": str(server.certificate),
        "/etc/toono/etcd/server.key": str(server.key),
        "/etc/toono/etcd/ca.crt": str(authority.file),
    }
    flags = of_unit()
    for old, new in places.items():
        flags = [flag.replace(old, new) for flag in flags]
    command = [str(need_etcd()), *flags, "--unsafe-no-fsync", "--log-level=error"]
    member = EtcdMember(tmp_path, command, client)
    member.metrics = metrics
    cluster = EtcdCluster([member])
    files = ClientFiles(ca=authority.file, certificate=hub.certificate, key=hub.key)
    context = make_context(files)

    async def story() -> None:
        etcd = cluster.client(tls=lambda _: context)
        value = bytes(3000)
        ops = [put(b"/a/%d" % number, value) for number in range(2000)]
        assert (await etcd.txn([], ops, deadline=20)).succeeded
        etcd.close()
        for _ in range(5):
            await asyncio.sleep(0)

    try:
        cluster.start()
        asyncio.run(story())
    finally:
        cluster.kill()
