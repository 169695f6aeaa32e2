# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.cache.forms import JSON, PARTIAL, PROTOBUF, TABLE, form_of
from toono.cache.scope import Question
from toono.cache.tree_layout import (
    PARTIAL_FOLDER,
    Resource,
    folder_of,
    is_part,
    is_partial_folder,
    place_of,
    resource_of_folder,
)

PODS = Question("kubelet", "", "v1", "pods", "", "", "", "", JSON)
DEPLOYMENTS = Question("kubelet", "apps", "v1", "deployments", "", "", "", "", PROTOBUF)


def test_objects_are_below_their_component_and_resource() -> None:
    assert folder_of(PODS) == ("kubelet", "pods.v1.core")
    assert folder_of(DEPLOYMENTS) == ("kubelet", "deployments.v1.apps")


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_metadata_is_apart_with_the_group_in_its_name(media_type) -> None:
    question = DEPLOYMENTS._replace(media_type=form_of(media_type, PARTIAL))
    assert folder_of(question) == ("kubelet", PARTIAL_FOLDER, "deployments.v1.apps")


@pytest.mark.parametrize(
    "change",
    [
        {"media_type": form_of(JSON, TABLE)},
        {"resource": "leases", "group": "coordination.k8s.io"},
        {"resource": "partialobjectmetadata", "group": "meta.k8s.io"},
        {"resource": "a.b"},
        {"resource": ""},
        {"version": ""},
        {"version": "v1.x"},
        {"group": "core"},
        {"group": "a/../../etc"},
        {"group": "x" * 250},
        {"component": ""},
        {"component": ".."},
        {"component": "_internal"},
        {"component": "version"},
        {"component": "component-key-cache"},
        {"component": "tmp_kubelet"},
    ],
)
def test_what_would_be_another_one_s_place_has_none(change) -> None:
    assert folder_of(PODS._replace(**change)) is None


def test_names_are_paths_below_the_folder() -> None:
    folder = ("kubelet", "pods.v1.core")
    assert place_of(folder, ("shop", "a")) == ("shop", "a")
    assert place_of(("kubelet", "nodes.v1.core"), ("", "edge-1")) == ("edge-1",)


def test_the_namespace_of_a_namespace_is_ignored() -> None:
    assert place_of(("kubelet", "namespaces.v1.core"), ("x", "x")) == ("x",)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "../a", "a\0", "tmp_a", "x" * 256, "é" * 128, "\ud800"],
)
def test_names_that_are_no_safe_file_have_no_path(name) -> None:
    folder = ("kubelet", "roles.v1.rbac.authorization.k8s.io")
    assert place_of(folder, ("shop", name)) is None
    if name:
        assert place_of(folder, (name, "a")) is None


@given(st.text(max_size=300))
def test_a_part_never_leaves_its_directory(text) -> None:
    if is_part(text):
        raw = text.encode()
        assert b"/" not in raw
        assert b"\0" not in raw
        assert raw not in (b"", b".", b"..")
        assert len(raw) <= 255


@pytest.mark.parametrize(
    "name",
    [
        "partialobjectmetadata.v1.meta.k8s.io",
        "partialobjectmetadatas.v1.meta.k8s.io",
        "partialobjectmetadatas.v1beta1.meta.k8s.io",
        "partialobjectmetadatas",
    ],
)
def test_yurthub_s_spellings_of_metadata_are_known(name) -> None:
    assert is_partial_folder(name)


@pytest.mark.parametrize("name", ["pods.v1.core", "partialobjectmetadata.v2.x"])
def test_other_directories_are_not_metadata(name) -> None:
    assert not is_partial_folder(name)


@given(
    st.sampled_from([PODS, DEPLOYMENTS, DEPLOYMENTS._replace(group="x.io")]),
)
def test_a_folder_tells_its_question_s_resource(question) -> None:
    folder = folder_of(question)
    assert folder is not None
    assert resource_of_folder(folder[0], folder[1], api_version=None) == question[:4]


def test_a_folder_of_another_api_than_its_objects_is_none() -> None:
    name = "deployments.v1.apps"
    assert resource_of_folder("c", name, api_version="apps/v1") is not None
    assert resource_of_folder("c", name, api_version="apps/v1beta1") is None
    assert resource_of_folder("c", "deployments.v1", api_version=None) is None
    assert resource_of_folder("c", "pods.v1.core", api_version="v1") is not None


def test_without_version_and_group_objects_tell_or_only_one_api_has_it() -> None:
    told = resource_of_folder("c", "crontabs", api_version="x.io/v2")
    assert told == Resource("c", "x.io", "v2", "crontabs")
    crds = resource_of_folder("c", "customresourcedefinitions", api_version=None)
    assert crds is not None
    assert crds.group == "apiextensions.k8s.io"
    assert resource_of_folder("c", "pods", api_version=None) == ("c", "", "v1", "pods")
    assert resource_of_folder("c", "events", api_version=None) is None  # two groups
    assert resource_of_folder("c", "crontabs", api_version=None) is None
