# SPDX-License-Identifier: Apache-2.0
"""The Structs between the two formats have the fields of the schema."""

import msgspec
import pytest

from toono.codec.schema import fields_of, messages
from toono.codec.transcode_forms import (
    attribute,
    decoder_of,
    form_of,
    is_message,
    stays,
)


def names(message: str) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(form_of(message))]


def test_every_message_has_a_form() -> None:
    for message in messages():
        assert len(set(names(message))) == len(names(message))


def test_inlined_fields_stand_where_go_embeds_them() -> None:
    assert names("core.v1.Probe")[:4] == ["exec", "httpGet", "tcpSocket", "grpc"]
    assert names("core.v1.Probe")[4] == "initialDelaySeconds"
    assert names("admissionregistration.v1.NamedRuleWithOperations") == [
        "resourceNames",
        "operations",
        "apiGroups",
        "apiVersions",
        "resources",
        "scope",
    ]


def test_nothing_of_an_empty_form_is_written() -> None:
    for message in ("core.v1.Pod", "meta.v1.ObjectMeta", "core.v1.Volume"):
        assert msgspec.json.encode(form_of(message)()) == b"{}"


def test_attributes_are_names_in_python() -> None:
    schema = {
        f.name: attribute(f) for f in fields_of("apiextensions.v1.JSONSchemaProps")
    }
    assert schema["$ref"] == "_ref_"
    assert schema["not"] == "not_"
    assert all(name.isidentifier() for name in schema.values())


@pytest.mark.parametrize(
    ("message", "name", "stay"),
    [
        ("core.v1.Pod", "status", True),
        ("meta.v1.ObjectMeta", "deletionTimestamp", False),
        ("meta.v1.ObjectMeta", "creationTimestamp", False),
        ("meta.v1.ObjectMeta", "labels", False),
        ("meta.v1.ObjectMeta", "ownerReferences", False),
        ("meta.v1.ObjectMeta", "name", False),
        ("core.v1.PodCondition", "lastProbeTime", True),
    ],
)
def test_only_plain_messages_stay_when_empty(
    message: str, name: str, *, stay: bool
) -> None:
    (field,) = (field for field in fields_of(message) if field.name == name)
    assert stays(field) is stay


def test_special_types_are_no_messages() -> None:
    fields = {field.name: field for field in fields_of("meta.v1.ObjectMeta")}
    assert is_message(fields["ownerReferences"])
    assert not is_message(fields["creationTimestamp"])
    assert not is_message(fields["name"])


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("core.v1.Pod", b'{"specs":{}}'),
        ("core.v1.Pod", b'{"spec":{"containers":[{"name":"c","unknown":0}]}}'),
        ("core.v1.Pod", b'{"spec":[]}'),
        ("core.v1.Pod", b"[]"),
        ("meta.v1.ObjectMeta", b'{"name":7}'),
        ("meta.v1.ObjectMeta", b'{"finalizers":[null]}'),
        ("meta.v1.ObjectMeta", b'{"labels":{"a":null}}'),
        ("meta.v1.ObjectMeta", b'{"generation":9223372036854775808}'),
        ("meta.v1.ObjectMeta", b'{"generation":1.5}'),
        ("core.v1.ServicePort", b'{"port":2147483648}'),
        ("core.v1.ServicePort", b'{"targetPort":-2147483649}'),
        ("core.v1.ServicePort", b'{"targetPort":true}'),
        ("core.v1.Secret", b'{"data":{"k":"no base64"}}'),
        ("core.v1.ResourceFieldSelector", b'{"divisor":1}'),
    ],
)
def test_what_go_would_drop_or_refuse_is_refused(message: str, text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoder_of(message).decode(text)


def test_whole_numbers_keep_all_their_digits() -> None:
    meta = decoder_of("meta.v1.ObjectMeta").decode(b'{"generation":9007199254740993}')
    assert meta.generation_ == 9007199254740993
