# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from toono.codec.printers import descriptions

TEXTS = {key: one for key, one in vars(descriptions).items() if key.isupper()}


def test_every_description_is_used_by_a_printer():
    folder = Path(descriptions.__file__).parent
    used = "".join(
        path.read_text()
        for path in folder.glob("*.py")
        if path.name != "descriptions.py"
    )
    assert [key for key in TEXTS if f"say.{key}" not in used] == ["NAME", "CREATED"]


def test_descriptions_are_plain_sentences():
    assert all(isinstance(one, str) and one.strip() == one for one in TEXTS.values())
