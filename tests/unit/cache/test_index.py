# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.unit.cache.kit import call
from toono.cache.index import Index, name_of
from toono.cache.received import JSON, question_of
from toono.cache.scope import Scope

PODS = "/api/v1/pods"
POD_A = "/api/v1/namespaces/default/pods/a"
POD_B = "/api/v1/namespaces/default/pods/b"
NAMED_A = "/api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Da"
SERVICES = "/api/v1/services"


@pytest.fixture
def index() -> Index:
    found = Index()
    targets = [PODS, POD_A, POD_B, NAMED_A, SERVICES]
    asked = [(one, "kubelet/v1") for one in targets] + [(PODS, "agent/1")]
    for number, (target, agent) in enumerate(asked):
        found.place(Scope(number, question_of(call(target, agent=agent), JSON), number))
    return found


def ids(scopes) -> list[int]:
    return sorted(scope.id for scope in scopes)


def test_a_name_is_spoken_of_by_what_names_it_and_by_what_names_none(index) -> None:
    assert ids(index.about("kubelet", "", "pods", "a")) == [0, 1, 3]
    assert ids(index.about("kubelet", "", "pods", "c")) == [0]
    assert ids(index.about("kubelet", "", "pods", "")) == [0]
    assert ids(index.about("nobody", "", "pods", "a")) == []
    assert ids(index.of_all("", "pods", "a")) == [0, 1, 3, 5]


def test_beside_one_of_many_names_stand_all_and_beside_one_name_s_the_name_s(
    index,
) -> None:
    by_id = {scope.id: scope for scope in index.all()}
    assert ids(index.beside(by_id[0])) == [0, 1, 2, 3, 5]
    assert ids(index.beside(by_id[2])) == [0, 2, 5]
    assert ids(index.beside(by_id[3])) == [0, 1, 3, 5]
    assert ids(index.beside(by_id[4])) == [4]


def test_what_is_removed_is_found_no_more(index) -> None:
    for scope in list(index.all()):
        if scope.id in (0, 1):
            index.remove(scope)
    assert index.count == 4
    assert ids(index.of_all("", "pods", "a")) == [3, 5]
    assert index.find(question_of(call(PODS), JSON)) is None
    assert ids([index.find(question_of(call(POD_B), JSON))]) == [2]


@pytest.mark.parametrize(
    ("target", "name"), [(PODS, ""), (POD_A, "a"), (NAMED_A, "a"), (SERVICES, "")]
)
def test_a_question_s_name_is_in_its_path_or_its_field_selector(target, name) -> None:
    assert name_of(question_of(call(target), JSON)) == name
