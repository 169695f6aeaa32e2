# SPDX-License-Identifier: Apache-2.0
"""Empty objects are as the schema of the wire says: what has no omitempty is there."""

import json

import pytest

from toono.codec.transcode import to_json
from toono.testing.apiserver.resources import built_in
from toono.testing.apiserver.zeros import ZERO

KINDS = [one for one in built_in().values() if one.is_stored]


@pytest.mark.parametrize("one", KINDS, ids=lambda one: one.qualified)
def test_an_empty_object_is_what_protobuf_without_fields_reads_as(one) -> None:
    read = json.loads(to_json(b"", kind=one.kind, api_version=one.api_version))
    read.pop("metadata", None)
    assert one.zero == read


def test_every_zero_is_of_a_kind_that_is_served() -> None:
    served = {f"{one.api_version}/{one.kind}" for one in KINDS}
    assert ZERO.keys() <= served
