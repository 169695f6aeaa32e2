# SPDX-License-Identifier: Apache-2.0
"""Options of the pool, as YurtHub v1.5 names them, become one value."""

from pathlib import Path

import pytest

from toono.config.options import load
from toono.config.pool import DEFAULT_RESOURCES, pool_of
from toono.errors import OptionError
from toono.wire.tls import ClientFiles

CA = Path("/etc/kubernetes/pki/ca.crt")
IN = {"enable-coordinator": True, "coordinator-storage-addr": ("etcd:12379",)}


def pool(**given):
    flags = IN | {name.replace("_", "-"): value for name, value in given.items()}
    return pool_of(load(flags, {}), cloud_ca=CA)


def test_without_the_flag_there_is_no_pool() -> None:
    assert pool(enable_coordinator=False) is None
    assert pool_of(load({}, {}), cloud_ca=CA) is None


def test_the_defaults_are_yurthub_s() -> None:
    found = pool()
    assert found.endpoints == (("etcd", 12379),)
    assert found.prefix == "/registry"
    assert found.elect
    assert (found.lease, found.renew, found.retry) == (15.0, 5.0, 2.0)
    assert found.resources == DEFAULT_RESOURCES
    folder = Path("/var/lib/yurthub/yurtcoordinator")
    assert found.tls == ClientFiles(
        ca=folder / "yurt-coordinator-ca.crt",
        certificate=folder / "yurt-coordinator-yurthub-client.crt",
        key=folder / "yurt-coordinator-yurthub-client.key",
    )
    assert found.lease_files is None


def test_files_and_members_can_be_named() -> None:
    found = pool(
        coordinator_storage_addr=("https://10.0.0.5:1", "https://[::1]"),
        coordinator_ca_file="/ca",
        coordinator_cert_file="/both.pem",
        leader_elect=False,
    )
    assert found.endpoints == (("10.0.0.5", 1), ("::1", 2379))
    assert found.tls == ClientFiles(
        ca=Path("/ca"), certificate=Path("/both.pem"), key=Path("/both.pem")
    )
    assert not found.elect
    assert pool(coordinator_cert_file="/c", coordinator_key_file="/k").tls.key == Path(
        "/k"
    )


def test_http_is_taken_at_its_word() -> None:
    assert pool(coordinator_storage_addr=("http://127.0.0.1:2379",)).tls is None


def test_a_certificate_for_leases_is_used_where_yurthub_put_one(tmp_path) -> None:
    folder = tmp_path / "yurtcoordinator"
    folder.mkdir()
    (folder / "node-lease-proxy-client.crt").write_text("")
    found = pool(root_dir=str(tmp_path)).lease_files
    assert found == ClientFiles(
        ca=CA,
        certificate=folder / "node-lease-proxy-client.crt",
        key=folder / "node-lease-proxy-client.key",
    )


def test_resources_are_added_to_the_defaults() -> None:
    found = pool(pool_scope_resources=("/v1/endpoints", "/v1/services", "a.b/v1/cs"))
    assert found.resources == (
        *DEFAULT_RESOURCES,
        ("", "v1", "endpoints"),
        ("a.b", "v1", "cs"),
    )


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("coordinator_storage_addr", (), "names no member"),
        ("coordinator_storage_addr", ("ftp://a:1",), "is no member of etcd"),
        ("coordinator_storage_addr", ("https://a:1/x",), "is no member of etcd"),
        ("coordinator_storage_addr", ("https://a:x",), "Port could not be cast"),
        ("coordinator_storage_addr", ("http://a", "https://b"), "with TLS and without"),
        ("leader_elect_renew_deadline", "15s", "must be shorter"),
        ("leader_elect_renew_deadline", "0s", "must be shorter"),
        ("pool_scope_resources", ("services",), "is no resource"),
        ("pool_scope_resources", ("/v1/Services",), "is no resource"),
        ("pool_scope_resources", ("a//b",), "is no resource"),
    ],
)
def test_what_cannot_be_used_names_its_option(option, value, words) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        pool(**{option: value})
    assert option.replace("_", "-") in str(caught.value)
