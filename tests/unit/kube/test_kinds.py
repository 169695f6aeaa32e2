# SPDX-License-Identifier: Apache-2.0
"""The table of built-in kinds agrees with what a real API server discovers."""

import json

from tests.contract.recordings import recording

from toono.kube.kinds import BuiltIn, built_in, groups_of, has_group, resource_of

CUSTOM = {"x.example.com"}


def discovered() -> dict[tuple[str, str], BuiltIn]:
    found = {}
    for name in ("discovery-api-aggregated", "discovery-apis-aggregated"):
        for group in json.loads(recording(name).body)["items"]:
            for version in group["versions"]:
                for resource in version["resources"]:
                    key = (group["metadata"].get("name", ""), resource["resource"])
                    found[key] = BuiltIn(
                        resource["responseKind"]["kind"],
                        resource["scope"] == "Namespaced",
                    )
    return found


def test_every_discovered_kind_is_in_the_table_as_it_is() -> None:
    rows = {key: row for key, row in discovered().items() if key[0] not in CUSTOM}
    assert len(rows) > 55
    for (group, resource), row in rows.items():
        assert built_in(group, resource) == row
        assert resource_of(group, row.kind) == resource


def test_custom_resources_are_not_built_in() -> None:
    assert built_in("x.example.com", "crontabs") is None
    assert built_in("apps", "pods") is None
    assert resource_of("x.example.com", "CronTab") is None
    assert resource_of("metrics.k8s.io", "PodMetrics") is None


def test_kinds_that_are_off_by_default_are_known() -> None:
    assert built_in("certificates.k8s.io", "clustertrustbundles") == BuiltIn(
        "ClusterTrustBundle", False
    )
    assert built_in("certificates.k8s.io", "podcertificaterequests") == BuiltIn(
        "PodCertificateRequest", True
    )


def test_groups_of_a_resource_are_all_that_have_it() -> None:
    assert groups_of("events") == ("", "events.k8s.io")
    assert groups_of("pods") == ("",)
    assert groups_of("crontabs") == ()


def test_groups_with_built_in_kinds_are_known() -> None:
    assert has_group("")
    assert has_group("apps")
    assert not has_group("x.example.com")
