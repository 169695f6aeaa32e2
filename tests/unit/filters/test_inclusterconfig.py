# SPDX-License-Identifier: Apache-2.0
"""kube-proxy's configuration without a kubeconfig."""

import pytest

from toono.filters.inclusterconfig import InClusterConfig

from .kit import filtered, meta

FILTER = InClusterConfig()
BEFORE = """clientConnection:
  acceptContentTypes: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
mode: "<a> & \u2028"
"""


def config(text: str, name: str = "kube-proxy", key: str = "config.conf") -> object:
    data = {key: text, "kubeconfig.conf": "kubeconfig: x"}
    return filtered(
        FILTER, "ConfigMap", {"metadata": meta(name, "kube-system"), "data": data}
    )


def test_its_line_becomes_a_comment_and_keeps_its_indent() -> None:
    found = config(BEFORE)
    assert isinstance(found, dict)
    wanted = BEFORE.replace("  kubeconfig:", "  #kubeconfig:")
    assert found["data"] == {"config.conf": wanted, "kubeconfig.conf": "kubeconfig: x"}


@pytest.mark.parametrize(
    "line", ["kubeconfig: C:\\x", "kubeconfigs: a", "#kubeconfig: a", "kubeconfig", ""]
)
def test_other_lines_stay(line: str) -> None:
    assert config(line) == "same"


def test_other_config_maps_stay() -> None:
    assert config(BEFORE, name="coredns") == "same"
    assert config(BEFORE, key="other") == "same"
