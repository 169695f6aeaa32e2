# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.config.certificates import certificates_of, dummy_of, is_door, pods_call
from toono.config.options import Options, load
from toono.errors import OptionError


def options(**given: str) -> Options:
    return load({name.replace("_", "-"): text for name, text in given.items()}, {})


def test_by_default_pods_have_yurthub_s_address_and_a_certificate_is_asked_for() -> (
    None
):
    found = certificates_of(options(node_ip="10.0.0.7"))
    assert found.serving
    assert not found.client
    assert found.addresses == ("169.254.2.1", "127.0.0.1", "10.0.0.7")
    assert str(found.root.path) == "/var/lib/yurthub"
    assert found.bootstrap == found.root.bootstrap


def test_none_is_asked_for_where_one_is_given_or_nobody_can_come() -> None:
    assert not certificates_of(options(serving_cert_file="/a.pem")).serving
    assert not certificates_of(options(enable_dummy_if="false")).serving
    reached = options(enable_dummy_if="false", bind_proxy_address="10.0.0.7")
    assert certificates_of(reached).serving
    assert pods_call(reached) == "10.0.0.7"


def test_join_by_token_keeps_the_client_s_too() -> None:
    found = certificates_of(
        options(bootstrap_mode="token", bootstrap_file="/x.conf", root_dir="/r")
    )
    assert found.client
    assert str(found.bootstrap) == "/x.conf"


def test_interface_is_as_it_is_named() -> None:
    link = dummy_of(options(dummy_if_name="d0", dummy_if_ip="fd00:0::2:1"))
    assert link is not None
    assert (link.name, link.address) == ("d0", "fd00::2:1")
    with pytest.raises(OptionError, match="no address"):
        dummy_of(options(dummy_if_ip="x"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::", "edge.local"])
def test_no_pod_reaches_these(host: str) -> None:
    assert not is_door(host)
