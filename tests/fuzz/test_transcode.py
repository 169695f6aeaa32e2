# SPDX-License-Identifier: Apache-2.0
"""Whatever is transcoded comes out whole, or CannotTranscodeError says why not."""

import json
import os
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.recordings import JSON, PROTOBUF, recording
from tests.fuzz.mutations import mutated
from tests.fuzz.objects import an_object, leaves

from toono.codec.json import JSONCodec
from toono.codec.protobuf import ProtobufCodec
from toono.codec.schema import kinds
from toono.codec.transcode import can_transcode, to_json, to_protobuf
from toono.errors import CannotTranscodeError

PROVE = int(os.environ.get("TOONO_PROVE", "1"))
FORMS = [
    {"kind": kind, "api_version": api_version}
    for api_version, kind in sorted(kinds())
    if can_transcode(kind=kind, api_version=api_version)
]
POD = {"kind": "Pod", "api_version": "v1"}
CRD = {"kind": "CustomResourceDefinition", "api_version": "apiextensions.k8s.io/v1"}
SEEDS = st.integers(0, (1 << 32) - 1)


def items(name: str, media_type: str) -> list[bytes]:
    codec = JSONCodec() if media_type == JSON else ProtobufCodec()
    return [item.data for item in codec.split_list(recording(name).body).items]


RECORDED = {
    form["kind"]: {
        JSON: items(f"list-{name}-json", JSON),
        PROTOBUF: items(f"list-{name}-protobuf", PROTOBUF),
    }
    for form, name in ((POD, "pods"), (CRD, "crds"))
}


def settled(as_protobuf: bytes, form: dict[str, str]) -> bytes:
    """Return an object's JSON; both forms must be what the other gives, from then on."""
    as_json = to_json(as_protobuf, **form)
    again = to_protobuf(as_json, **form)
    assert to_json(again, **form) == as_json
    assert to_protobuf(to_json(again, **form), **form) == again
    return as_json


@settings(max_examples=500 * PROVE, deadline=None)
@given(st.sampled_from(FORMS), SEEDS)
def test_an_object_of_any_kind_says_the_same_in_both_forms(
    form: dict[str, str], seed: int
) -> None:
    made = an_object(Random(seed), kinds()[form["api_version"], form["kind"]])
    as_protobuf = to_protobuf(json.dumps(made).encode(), **form)
    as_json = settled(as_protobuf, form)
    assert leaves(json.loads(as_json)) == leaves(made)


@settings(max_examples=500 * PROVE, deadline=None)
@given(st.sampled_from(FORMS), st.binary(max_size=64))
def test_any_bytes_transcode_or_are_refused(form: dict[str, str], data: bytes) -> None:
    for change in (to_json, to_protobuf):
        try:
            change(data, **form)
        except CannotTranscodeError as exc:
            assert (exc.kind, exc.api_version) == (form["kind"], form["api_version"])


@pytest.mark.parametrize("form", [POD, CRD], ids=["pod", "crd"])
@settings(max_examples=400 * PROVE, deadline=None)
@given(st.data())
def test_a_mutated_protobuf_object_settles_or_is_refused(
    form: dict[str, str], data: st.DataObject
) -> None:
    hurt = data.draw(mutated(RECORDED[form["kind"]][PROTOBUF]))
    try:
        as_json = settled(hurt, form)
    except CannotTranscodeError:
        return
    assert isinstance(json.loads(as_json), dict)


@pytest.mark.parametrize("form", [POD, CRD], ids=["pod", "crd"])
@settings(max_examples=400 * PROVE, deadline=None)
@given(st.data())
def test_a_mutated_json_object_says_the_same_or_is_refused(
    form: dict[str, str], data: st.DataObject
) -> None:
    hurt = data.draw(mutated(RECORDED[form["kind"]][JSON]))
    try:
        as_json = settled(to_protobuf(hurt, **form), form)
    except CannotTranscodeError:
        return
    assert leaves(json.loads(as_json)) == leaves(json.loads(hurt))
