# SPDX-License-Identifier: Apache-2.0
"""A Status goes from its JSON form to protobuf and back, whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.codec.protobuf_status import decode_status, encode_status
from toono.codec.wireformat import encode_bytes, encode_number
from toono.errors import CodecError
from toono.kube import status

TEXT = st.text(min_size=1, max_size=8)


def there_and_back(one: dict[str, object]) -> dict[str, object]:
    wire = encode_status(one)
    return decode_status(wire, 0, len(wire))


@pytest.mark.parametrize(
    "one",
    [
        status.not_found("apps", "deployments", "d"),
        status.too_large_resource_version(9, 7),
        status.failure(404, "NotFound", "no such resource", {}),
        status.bad_request("no"),
        status.failure(500, "", "no"),
        status.invalid_options([{"reason": "A", "message": "no", "field": "x"}]),
        status.too_many_requests("wait", 2),
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"},
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": "7", "continue": "abc"},
            "status": "Failure",
            "details": {"name": "made", "kind": "configmaps", "uid": "u"},
            "code": 410,
        },
    ],
)
def test_nothing_is_lost(one: dict[str, object]) -> None:
    found = there_and_back(one)
    assert found == one
    assert list(found) == list(one)
    if "details" in one:
        assert list(found["details"]) == list(one["details"])  # type: ignore[call-overload]


@given(
    st.fixed_dictionaries(
        {"message": TEXT, "status": TEXT, "code": st.integers(1, 2**31 - 1)},
        optional={
            "reason": TEXT,
            "details": st.fixed_dictionaries(
                {},
                optional={
                    "name": TEXT,
                    "group": TEXT,
                    "kind": TEXT,
                    "uid": TEXT,
                    "retryAfterSeconds": st.integers(-5, 5).filter(bool),
                    "causes": st.lists(
                        st.fixed_dictionaries({"reason": TEXT, "field": TEXT}),
                        min_size=1,
                        max_size=3,
                    ),
                },
            ),
        },
    )
)
def test_any_status_goes_both_ways(values: dict[str, object]) -> None:
    whole = {"kind": "Status", "apiVersion": "v1", "metadata": {}, **values}
    assert there_and_back(whole) == whole


def test_unknown_fields_are_passed_over_and_broken_ones_refused() -> None:
    wire = encode_status(status.bad_request("no")) + encode_bytes(99, b"x")
    assert decode_status(wire, 0, len(wire)) == status.bad_request("no")
    odd = wire + encode_number(3, 7)  # a message that is a number
    assert decode_status(odd, 0, len(odd))["message"] == "no"
    broken = encode_bytes(3, b"\xff")
    with pytest.raises(CodecError):
        decode_status(broken, 0, len(broken))
