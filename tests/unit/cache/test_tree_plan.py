# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from toono.cache.forms import JSON, PROTOBUF
from toono.cache.scope import Question, Row, Scope
from toono.cache.tree_layout import Folder
from toono.cache.tree_plan import hold, plan

PODS: Folder = ("kubelet", "pods.v1.core")


def scope(
    version: int,
    *names: str,
    fields: str = "",
    labels: str = "",
    name: str = "",
    namespace: str = "",
    media_type: str = JSON,
    complete: bool = True,
    imported: bool = False,
    durable: bool = True,
    rows: dict | None = None,
    epoch: int = 0,
) -> Scope:
    question = Question(
        "kubelet", "", "v1", "pods", namespace, name, labels, fields, media_type
    )
    found = Scope(1, question, 1, kind="Pod", version=version, epoch=epoch)
    found.complete, found.imported, found.durable = complete, imported, durable
    known = {("default", one): version for one in names} | (rows or {})
    found.rows = {key: Row("u", str(at), b"{}", 2) for key, at in known.items()}
    return found


def of(*scopes: Scope, ignores_case: bool = False):
    return plan(PODS, [hold(one) for one in scopes], ignores_case=ignores_case)


def versions(made) -> dict[str, str]:
    return {path: one.row.resource_version for path, one in made.files.items()}


def test_the_row_of_the_newest_version_wins() -> None:
    old = scope(9, rows={("default", "a"): 3})
    new = scope(8, rows={("default", "a"): 5}, fields="spec.nodeName=edge-1")
    assert versions(of(old, new)) == versions(of(new, old)) == {"default/a": "5"}


def test_a_newer_epoch_wins_over_any_version() -> None:
    old, new = scope(99, "a"), scope(3, "a", epoch=1, fields="spec.nodeName=edge-1")
    assert versions(of(old, new)) == {"default/a": "3"}


def test_at_one_version_json_needs_no_transcoding() -> None:
    both = scope(5, "a", media_type=PROTOBUF), scope(5, "a")
    for order in (both, both[::-1]):
        assert of(*order).files["default/a"].held.question.media_type == JSON


def test_a_newer_complete_list_denies_an_older_row() -> None:
    made = of(scope(5, "a", name="a", namespace="default"), scope(9))
    assert (made.files, made.gone) == ({}, {"default/a"})


def test_a_list_as_old_denies_nothing() -> None:
    made = of(scope(5, "a", name="a", namespace="default"), scope(5))
    assert versions(made) == {"default/a": "5"}


def test_lists_that_might_not_show_it_deny_nothing() -> None:
    for silent in (
        scope(9, complete=False),
        scope(9, imported=True),
        scope(9, labels="app=web"),
        scope(9, fields="spec.nodeName=edge-1"),
        scope(9, namespace="other"),
        scope(9, name="b", namespace="default"),
    ):
        assert versions(of(scope(5, "a"), silent)) == {"default/a": "5"}


def test_a_list_of_its_name_denies_it() -> None:
    for told in (
        scope(9, fields="metadata.name=a"),
        scope(9, namespace="default"),
        scope(9, name="a", namespace="default"),
    ):
        assert of(scope(5, "a"), told).gone == {"default/a"}


def test_a_row_known_again_by_a_newer_list_is_not_denied() -> None:
    made = of(scope(5, "a"), scope(7), scope(9, "a", fields="spec.nodeName=edge-1"))
    assert versions(made) == {"default/a": "9"}


def test_files_go_only_on_the_word_of_whole_scopes() -> None:
    assert of(scope(9)).removes
    assert of(scope(9, complete=False)).removes
    assert not of(scope(9, complete=False, durable=False)).removes
    assert not of(scope(0, "a", complete=False, imported=True)).removes
    assert not of().removes


def test_a_list_of_nothing_leaves_a_directory() -> None:
    assert of(scope(9)).directories == {""}
    assert of(scope(9, namespace="shop")).directories == {"shop"}
    assert of(scope(9, complete=False)).directories == frozenset()
    assert of(scope(9, fields="metadata.name=a")).directories == frozenset()
    assert of(scope(9, imported=True)).directories == frozenset()
    assert of(scope(9, namespace="..")).directories == frozenset()


def test_what_has_no_place_is_counted() -> None:
    made = of(scope(9, "a", "..", "tmp_a"))
    assert (versions(made), made.placeless) == ({"default/a": "9"}, 2)


def test_a_name_that_is_a_namespace_s_directory_has_no_place() -> None:
    made = of(scope(9, "a", rows={("", "default"): 9}))
    assert (list(made.files), made.placeless) == (["default/a"], 1)


def test_names_that_one_disk_cannot_tell_apart() -> None:
    both = scope(9, "a", "A")
    assert sorted(of(both).files) == ["default/A", "default/a"]
    made = of(both, ignores_case=True)
    assert (list(made.files), made.placeless) == (["default/A"], 1)


@given(st.sets(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=12))
def test_no_name_leads_out_or_to_another_s_place(keys) -> None:
    made = of(scope(9, rows=dict.fromkeys(keys, 9)))
    assert len(made.files) + made.placeless == len(keys)
    for path, wanted in made.files.items():
        assert tuple(path.split("/")) == tuple(filter(None, wanted.key))
        assert not {"", ".", ".."} & set(path.split("/"))
