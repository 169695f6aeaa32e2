# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.codec.printers.fallback import FALLBACK
from toono.codec.printers.pods import PODS
from toono.codec.printers.registry import PRINTERS, printer_of
from toono.kube.kinds import resource_of

CRD = b"""{"spec":{"versions":[{"name":"v1","additionalPrinterColumns":
[{"name":"Cron","type":"string","jsonPath":".spec.cron"}]}]}}"""


def names(printer) -> list[str]:
    return [one.name for one in printer.columns]


@pytest.mark.parametrize(("group", "kind"), sorted(PRINTERS))
def test_every_printer_is_of_a_built_in_kind(group, kind):
    assert resource_of(group, kind) is not None
    assert printer_of(kind, f"{group}/v1") is PRINTERS[group, kind]


@pytest.mark.parametrize(("group", "kind"), sorted(PRINTERS))
def test_every_printer_names_its_objects(group, kind):
    printer = PRINTERS[group, kind]
    (at,) = (
        index
        for index, one in enumerate(printer.columns)
        if (one.name, one.format) == ("Name", "name")
    )
    assert printer.cells({"metadata": {"name": "a"}}, 0.0)[at] == "a"
    assert len(printer.cells({}, 0.0)) == len(printer.columns)
    assert {one.type for one in printer.columns} <= {"string", "integer", "boolean"}
    assert {one.priority for one in printer.columns} <= {0, 1}


def test_the_core_group_has_no_name():
    assert printer_of("Pod", "v1") is PODS


def test_built_in_kinds_without_columns_show_when_they_were_made():
    assert printer_of("LimitRange", "v1") is FALLBACK
    assert printer_of("LimitRange", "v1", definition=CRD) is FALLBACK


def test_custom_resources_show_what_their_definition_names():
    assert names(printer_of("T", "x.example.com/v1", definition=CRD)) == [
        "Name",
        "Cron",
    ]
    assert names(printer_of("T", "x.example.com/v2", definition=CRD)) == ["Name", "Age"]


@pytest.mark.parametrize("definition", [None, b"", b"[]", b"\xff", b'{"spec":3}'])
def test_custom_resources_without_a_definition_show_their_age(definition):
    printer = printer_of("T", "x.example.com/v1", definition=definition)
    assert names(printer) == ["Name", "Age"]
    meta = {"name": "a", "creationTimestamp": "1970-01-01T00:00:01Z"}
    assert printer.cells({"metadata": meta}, 8.0) == ["a", "7s"]
