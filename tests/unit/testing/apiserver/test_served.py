# SPDX-License-Identifier: Apache-2.0
"""The table of what is served, held to the recorded discovery of a kube-apiserver."""

import json

from tests.rig import recordings
from toono.testing.apiserver.served import ALL_VERBS, PARTS, groups, lines


def recorded() -> dict:
    """Return (group, version, plural) → the recorded row."""
    found = {}
    for one in recordings("exchanges"):
        if "as=APIGroupDiscoveryList" not in one.accept or one.status != 200:
            continue
        for group in json.loads(one.body)["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                for row in version["resources"]:
                    found[name, version["version"], row["resource"]] = row
    return {key: row for key, row in found.items() if key[0] != "x.example.com"}


def test_the_table_is_what_a_kube_apiserver_tells() -> None:
    told = {(line.group, line.version, line.plural): line for line in lines()}
    real = recorded()
    assert told.keys() == real.keys()
    assert len(told) == 66
    for key, line in told.items():
        row = real[key]
        assert line.kind == row["responseKind"]["kind"]
        assert line.namespaced == (row["scope"] == "Namespaced")
        assert list(line.verbs or ALL_VERBS) == row["verbs"]
        assert list(line.short_names) == row.get("shortNames", [])
        assert list(line.categories) == row.get("categories", [])
        parts = [part["subresource"] for part in row.get("subresources", ())]
        assert list(line.subresources) == parts
        for part in row.get("subresources", ()):
            assert list(PARTS[part["subresource"]].verbs) == part["verbs"]


def test_groups_come_in_the_table_s_order() -> None:
    assert groups()[:3] == ["", "apiregistration.k8s.io", "apps"]
    assert len(groups()) == len(set(groups())) == 21
