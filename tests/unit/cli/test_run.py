# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.cli.run import settings_of
from toono.config.options import load
from toono.errors import OptionError
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


@pytest.mark.parametrize("missing", ["ca-file", "client-cert-file", "client-key-file"])
def test_a_missing_file_is_named(tmp_path, missing: str) -> None:
    with pytest.raises(OptionError, match=f"--{missing}.*nowhere"):
        settings_of(flags(tmp_path, **{missing: "/nowhere/x"}))


def test_a_certificate_that_is_none_is_named(tmp_path) -> None:
    (tmp_path / "bad.pem").write_text("rubbish")
    with pytest.raises(OptionError, match="bad.pem"):
        settings_of(flags(tmp_path, **{"client-cert-file": str(tmp_path / "bad.pem")}))
