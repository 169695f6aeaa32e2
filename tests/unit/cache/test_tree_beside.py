# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from toono.cache.forms import JSON, PARTIAL, form_of
from toono.cache.scope import Question
from toono.cache.tree_beside import with_kinds


def question(group: str, resource: str, form: str = JSON) -> Question:
    return Question("agent", group, "v1", resource, "", "", "", "", form)


CRONTABS = (question("x.example.com", "crontabs"), "CronTab")
OURS = {"x.example.com/v1/crontab": "CronTab", "x.example.com/v1/crontabs": "CronTab"}


def entries(content: bytes | None, *known: tuple[Question, str]) -> dict | None:
    made = with_kinds(content, known)
    return None if made is None else json.loads(made)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"{", b"[]", b'{"a":1}'])
def test_a_file_that_holds_nothing_is_made_anew(content) -> None:
    assert entries(content, CRONTABS) == OURS


def test_what_is_there_stays() -> None:
    theirs = {"y.example.com/v1/things": "Thing"}
    assert entries(json.dumps(theirs).encode(), CRONTABS) == OURS | theirs


def test_a_wrong_kind_is_put_right() -> None:
    wrong = OURS | {"x.example.com/v1/crontabs": "Other"}
    assert entries(json.dumps(wrong).encode(), CRONTABS) == OURS


def test_a_file_that_holds_all_is_not_written() -> None:
    assert with_kinds(json.dumps(OURS).encode(), [CRONTABS]) is None
    assert with_kinds(None, []) is None


@pytest.mark.parametrize(
    ("group", "resource", "kind"),
    [
        (
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            "CustomResourceDefinition",
        ),
        ("snapshot.storage.k8s.io", "volumesnapshots", "VolumeSnapshot"),
        ("gateway.networking.k8s.io", "gateways", "Gateway"),
    ],
)
def test_groups_of_kubernetes_that_are_not_compiled_in(group, resource, kind) -> None:
    found = entries(None, (question(group, resource), kind))
    assert found == {
        f"{group}/v1/{resource}": kind,
        f"{group}/v1/{kind.lower()}": kind,
    }


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (question("", "pods"), "Pod"),
        (question("apps", "deployments"), "Deployment"),
        (question("storage.k8s.io", "csidrivers"), "CSIDriver"),
        (question("x.example.com", "crontabs"), ""),
        (question("x.example.com", "crontabs", form_of(JSON, PARTIAL)), PARTIAL),
    ],
)
def test_nothing_is_told_of(asked, kind) -> None:
    assert with_kinds(None, [(asked, kind)]) is None
