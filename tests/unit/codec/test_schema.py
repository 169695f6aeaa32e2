# SPDX-License-Identifier: Apache-2.0
"""The schema that ships is the table of field numbers, in the order of Go's JSON."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contract.recordings import WIRE

from toono.codec.schema import Field, fields_of, kinds, message_of, messages
from toono.kube import kinds as hub

ROOT = Path(__file__).parents[3]
TABLE = json.loads((WIRE / "protobuf-fields.json").read_text())


def row(field: Field) -> list[object]:
    """Return a field as the table has it."""
    flags = (
        ("r", field.repeated),
        ("i", field.inline),
        ("o", field.omit_empty),
        ("p", field.pointer),
    )
    text = "".join(letter for letter, is_set in flags if is_set)
    return [field.number, field.name, field.type, text, *(["string"] * field.map)]


def test_every_message_of_the_table_ships_and_no_other() -> None:
    assert messages() == TABLE["messages"].keys()


@pytest.mark.parametrize("initial", sorted({name[:2] for name in TABLE["messages"]}))
def test_every_field_ships_as_the_table_has_it(initial: str) -> None:
    for message, rows in TABLE["messages"].items():
        if message.startswith(initial):
            assert sorted(map(row, fields_of(message)), key=str) == sorted(
                rows, key=str
            )


def test_every_kind_ships_with_its_message() -> None:
    found = {
        f"{version}/{kind}": message for (version, kind), message in kinds().items()
    }
    assert found == TABLE["kinds"]


def test_the_script_still_writes_the_file_that_ships() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "generate_schema.py"))
    table = json.loads((WIRE / "protobuf-fields.json").read_text())
    order = script["kept"](table["messages"])
    text = script["HEADER"] + "".join(
        f"{row}\n" for row in script["lines"](table, order)
    )
    assert text == (ROOT / "src" / "toono" / "codec" / "schema.txt").read_text()


def test_a_kind_is_found_by_its_version() -> None:
    assert message_of("Deployment", "apps/v1") == "apps.v1.Deployment"
    assert message_of("Pod", "v1") == "core.v1.Pod"
    assert message_of("Pod", "v2") is None
    assert message_of("CronTab", "x.example.com/v1") is None


def test_fields_stand_in_the_order_in_which_go_declares_them() -> None:
    names = [field.name for field in fields_of("core.v1.Container")]
    assert names[:8] == [
        "name",
        "image",
        "command",
        "args",
        "workingDir",
        "ports",
        "envFrom",
        "env",
    ]


def test_a_field_tells_all_that_the_table_does() -> None:
    fields = {field.number: field for field in fields_of("core.v1.Volume")}
    assert fields[2] == Field(
        number=2,
        name="",
        type="core.v1.VolumeSource",
        repeated=False,
        inline=True,
        omit_empty=False,
        pointer=False,
        map=False,
    )
    meta = {field.name: field for field in fields_of("meta.v1.ObjectMeta")}
    assert meta["labels"].map
    assert meta["labels"].type == "string"
    assert meta["finalizers"].repeated
    assert meta["deletionTimestamp"].pointer
    assert meta["uid"].omit_empty
    assert not meta["uid"].pointer


def test_every_type_is_a_scalar_or_a_message() -> None:
    scalars = {"string", "bytes", "bool", "int32", "int64", "float64", "list:string"}
    for message in messages():
        for field in fields_of(message):
            assert field.type in scalars or field.type in messages()


def test_every_built_in_kind_of_the_hub_is_in_the_schema() -> None:
    known = {(version.rpartition("/")[0], kind) for version, kind in kinds()}
    assert set(hub._BY_KIND) <= known


def test_an_unknown_message_has_no_fields() -> None:
    with pytest.raises(KeyError):
        fields_of("core.v1.Nothing")


def test_a_hub_that_never_transcodes_never_opens_the_schema() -> None:
    script = (
        "import toono.codec.transcode as transcode, toono.codec.schema as schema;"
        "assert schema._table.cache_info().currsize == 0;"
        "transcode.can_transcode(kind='Pod', api_version='v1');"
        "assert schema._table.cache_info().currsize == 1"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
