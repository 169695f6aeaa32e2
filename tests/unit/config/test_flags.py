# SPDX-License-Identifier: Apache-2.0
from toono.config.flags import FLAGS, variable


def test_names_are_unique_and_have_variables() -> None:
    names = [flag.name for flag in FLAGS]
    assert len(set(names)) == len(names)
    assert variable(FLAGS[0]) == "TOONO_SERVER_ADDR"


def test_yurthub_s_defaults_are_kept() -> None:
    defaults = {flag.name: flag.default for flag in FLAGS}
    assert defaults["proxy-port"] == 10261
    assert defaults["serve-port"] == 10267
    assert defaults["proxy-secure-port"] == 10268
    assert defaults["disk-cache-path"] == "/etc/kubernetes/cache/"
    assert defaults["lb-mode"] == "rr"
    assert defaults["heartbeat-healthy-threshold"] == 2
