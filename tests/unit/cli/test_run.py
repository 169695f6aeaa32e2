# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
from click.testing import CliRunner

from toono import __version__
from toono.cli.run import command, settings_of
from toono.config.options import load
from toono.errors import OptionError
from toono.filters.base import Door
from toono.testing.certificates import Authority


def flags(tmp_path, **more):
    authority = Authority(tmp_path / "pki")
    node = authority.node("edge-7")
    given = {
        "server-addr": "10.0.0.1:6443,https://api.example",
        "ca-file": str(authority.file),
        "client-cert-file": str(node.certificate),
        "client-key-file": str(node.key),
        "disk-cache-path": str(tmp_path / "cache"),
        "node-uids": "0,1000",
        "cache-agents": "cilium-agent,*",
    }
    return load(given | more, {})


def test_options_become_what_the_hub_needs(tmp_path) -> None:
    settings = settings_of(flags(tmp_path))
    assert settings.servers == (("10.0.0.1", 6443), ("api.example", 443))
    assert settings.node_name == "edge-7"
    assert settings.node_uids == {0, 1000}
    assert settings.agents == ("cilium-agent", "*")
    assert settings.listen == (("127.0.0.1", 10261),)
    assert settings.status_listen == ("127.0.0.1", 10267)


def test_with_an_address_for_pods_a_certificate_is_asked_for(tmp_path) -> None:
    more = {"root-dir": str(tmp_path / "root"), "dummy-if-ip": "fd00::2:1"}
    settings = settings_of(flags(tmp_path, **more))
    assert settings.dummy is not None
    assert (settings.dummy.name, settings.dummy.address) == ("hub-dummy0", "fd00::2:1")
    assert settings.certificates is not None
    assert settings.certificates.serving
    assert settings.certificates.addresses == ("fd00::2:1", "127.0.0.1")
    assert settings.serving is not None
    kept = tmp_path / "root" / "pki" / "yurthub-server-current.pem"
    assert settings.serving.certificate == kept
    assert settings.surroundings.door == Door("fd00::2:1", 10268)
    assert settings.door_shut  # until there is one
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert not settings_of(flags(tmp_path, **more)).door_shut


def test_address_that_is_none_is_named(tmp_path) -> None:
    with pytest.raises(OptionError, match="--dummy-if-ip"):
        settings_of(flags(tmp_path, **{"dummy-if-ip": "hub"}))


@pytest.mark.parametrize("missing", ["ca-file", "client-cert-file", "client-key-file"])
def test_a_missing_file_is_named(tmp_path, missing: str) -> None:
    with pytest.raises(OptionError, match=f"--{missing}.*nowhere"):
        settings_of(flags(tmp_path, **{missing: "/nowhere/x"}))


def test_a_certificate_that_is_none_is_named(tmp_path) -> None:
    (tmp_path / "bad.pem").write_text("rubbish")
    with pytest.raises(OptionError, match="bad.pem"):
        settings_of(flags(tmp_path, **{"client-cert-file": str(tmp_path / "bad.pem")}))


def test_pods_are_listened_to_only_with_a_certificate(tmp_path) -> None:
    bare = {"enable-dummy-if": "false"}
    assert settings_of(flags(tmp_path, **bare)).serving is None
    settings = settings_of(flags(tmp_path, **{"serving-cert-file": "/a/both.pem"}))
    assert settings.serving is not None
    assert settings.serving.key == settings.serving.certificate == Path("/a/both.pem")
    assert settings.serving.client_ca == tmp_path / "pki" / "ca.crt"
    assert settings.listen_tls == (("127.0.0.1", 10268),)
    two = {"serving-cert-file": "/a/tls.crt", "serving-key-file": "/a/tls.key"}
    settings = settings_of(flags(tmp_path, **two))
    assert settings.serving is not None
    assert settings.serving.key == Path("/a/tls.key")


def test_what_an_operator_says_of_identities_arrives(tmp_path) -> None:
    user = "system:serviceaccount:kube-system:coredns"
    said = {
        "token-leeway": "1m",
        "pod-rights-lapse": "2h",
        "api-audiences": "k3s,api",
        "offline-readers": f"{user}=services,{user}=endpointslices.discovery.k8s.io",
    }
    rights = settings_of(flags(tmp_path, **said)).rights
    assert (rights.leeway, rights.lapse) == (60.0, 7200.0)
    assert rights.audiences == {"k3s", "api"}
    assert rights.allowed == {
        (user, "services"),
        (user, "endpointslices.discovery.k8s.io"),
    }


def test_a_watch_s_least_life_reaches_the_hub(tmp_path) -> None:
    assert settings_of(flags(tmp_path)).least_watch == 1800.0
    settings = settings_of(flags(tmp_path, **{"min-request-timeout": "10m"}))
    assert settings.least_watch == 600.0


def test_run_says_its_version_as_yurthub_does() -> None:
    result = CliRunner().invoke(command, ["--version"])
    assert result.output == f"toono {__version__}\n"
    assert "--version" in CliRunner().invoke(command, ["--help"]).output
