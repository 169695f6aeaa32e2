# SPDX-License-Identifier: Apache-2.0
"""What filters choose objects by."""

from toono.filters.base import identity, named
from toono.filters.fields import FORMS

from .kit import JSON, PROTOBUF, in_protobuf, meta, normal


def test_names_labels_and_annotations_in_both_forms() -> None:
    value = {"metadata": meta("a", "n", labels={"l": "1"}, annotations={"k": "v"})}
    data = normal("ConfigMap", value)
    for form, one in ((JSON, data), (PROTOBUF, in_protobuf("ConfigMap", data))):
        assert named(FORMS[form], one) == ("n", "a")
        assert identity(FORMS[form], one) == ("n", "a", {"l": "1"}, {"k": "v"})


def test_an_object_without_metadata_has_no_name() -> None:
    for form, data in ((JSON, b"{}"), (PROTOBUF, b"")):
        assert named(FORMS[form], data) == ("", "")
        assert identity(FORMS[form], data) == ("", "", {}, {})
