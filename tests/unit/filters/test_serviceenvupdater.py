# SPDX-License-Identifier: Apache-2.0
"""The environment of containers: one function, one result, in every form."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from toono.filters.base import Door
from toono.filters.fields import FORMS
from toono.filters.serviceenvupdater import HOST, PORT, ServiceEnvUpdater

from .kit import JSON, PROTOBUF, filtered, in_json, in_protobuf, meta, normal

FILTER = ServiceEnvUpdater(Door("169.254.2.1", 10268))


def pod(*containers: list[dict[str, object]], **spec: object) -> dict[str, object]:
    made = [{"name": f"c{at}", "env": env} for at, env in enumerate(containers)]
    return {"metadata": meta("web"), "spec": {"containers": made, **spec}}


def env_of(found: Any, at: int = 0) -> object:
    return found["spec"]["containers"][at]["env"]


def test_entries_that_are_there_get_the_hub() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": HOST, "value": "10.0.0.1"},
        {"name": PORT, "value": "443"},
    ]
    found = filtered(FILTER, "Pod", pod(env, [{"name": "B", "value": "2"}]))
    assert env_of(found) == [
        {"name": "A", "value": "1"},
        {"name": HOST, "value": "169.254.2.1"},
        {"name": PORT, "value": "10268"},
    ]
    assert env_of(found, 1) == [{"name": "B", "value": "2"}]


def test_an_entry_without_a_value_gets_one_where_go_writes_it() -> None:
    source = {"fieldRef": {"fieldPath": "status.hostIP", "apiVersion": "v1"}}
    env: list[dict[str, object]] = [{"name": HOST, "valueFrom": source}, {"name": PORT}]
    found = filtered(FILTER, "Pod", pod(env))
    assert env_of(found) == [
        {"name": HOST, "value": "169.254.2.1", "valueFrom": source},
        {"name": PORT, "value": "10268"},
    ]
    assert isinstance(found, dict)
    first = found["spec"]["containers"][0]["env"][0]
    assert list(first) == ["name", "value", "valueFrom"]


def test_what_is_absent_is_not_added_and_init_containers_are_not_touched() -> None:
    init = [{"name": "i", "env": [{"name": HOST, "value": "x"}]}]
    assert filtered(FILTER, "Pod", pod([], initContainers=init)) == "same"
    assert filtered(FILTER, "Pod", pod()) == "same"


def test_what_is_right_already_stays_the_same_bytes() -> None:
    assert filtered(FILTER, "Pod", pod([{"name": PORT, "value": "10268"}])) == "same"


def test_null_lists_are_empty() -> None:
    data = b'{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","env":null}]}}'
    assert FILTER(FORMS[JSON], data) is data
    data = b'{"metadata":{"name":"a"},"spec":null}'
    assert FILTER(FORMS[JSON], data) is data


TEXTS = st.text(max_size=6)
ENTRIES = st.fixed_dictionaries(
    {"name": st.sampled_from([HOST, PORT, "KUBERNETES_SERVICE_", "", "A"])},
    optional={
        "value": st.sampled_from(["", "10268", "169.254.2.1", "10.0.0.1"]) | TEXTS,
        "valueFrom": st.just({"fieldRef": {"fieldPath": "status.hostIP"}}),
    },
)
PODS = st.lists(st.lists(ENTRIES, max_size=3), max_size=3).map(lambda envs: pod(*envs))


@settings(max_examples=60, deadline=None)
@given(PODS)
def test_both_forms_give_the_same_bytes_and_twice_is_once(
    value: dict[str, object],
) -> None:
    data = normal("Pod", value)
    packed = in_protobuf("Pod", data)
    after, other = FILTER(FORMS[JSON], data), FILTER(FORMS[PROTOBUF], packed)
    assert after is not None
    assert other is not None
    assert in_json("Pod", other) == after
    assert in_protobuf("Pod", after) == other
    assert FILTER(FORMS[JSON], after) is after
    assert FILTER(FORMS[PROTOBUF], other) is other
    assert (after is data) == (other is packed)


@settings(max_examples=25, deadline=None)
@given(PODS, TEXTS)
def test_what_no_schema_knows_stays(value: dict[str, object], text: str) -> None:
    """A GET carries kind and apiVersion, and newer servers fields: neither matters."""
    data = normal("Pod", value)
    later = data[:-1] + b',"future":{"text":"\\u003c%b","n":1.0}}' % text.encode(
        "unicode_escape"
    ).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    after, wanted = FILTER(FORMS[JSON], later), FILTER(FORMS[JSON], data)
    assert after is not None
    assert wanted is not None
    assert after == wanted[:-1] + later[len(data) - 1 :]
    packed = in_protobuf("Pod", data)
    unknown = b"\xfa\x3f\x02hi"
    found = FILTER(FORMS[PROTOBUF], packed + unknown)
    assert found == (FILTER(FORMS[PROTOBUF], packed) or b"") + unknown
