# SPDX-License-Identifier: Apache-2.0
"""The status page says the same to a terminal and to a browser, and believes nobody."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.admin.page import html_page, spoken, text_page

FACTS = {
    "mode": "offline",
    "since": 1_760_000_000.0,
    "servers": {"10.0.0.1:6443": "down", "10.0.0.2:6443": "healthy"},
    "scopes": 3,
}
VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Collects tags and text, and fails on what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return reader


def test_the_text_page_speaks_of_moments_and_servers_as_people_do() -> None:
    lines = text_page(FACTS).splitlines()
    assert "since: 2025-10-09 08:53:20 UTC" in lines
    assert "servers: 10.0.0.1:6443 down, 10.0.0.2:6443 healthy" in lines


def test_the_page_shows_mode_notes_facts_and_tables() -> None:
    page = html_page(
        FACTS,
        notes={"cache-agents": "bad value"},
        tables={"Remembered": [{"component": "kubelet", "objects": 4}], "Other": []},
    )
    text = " ".join(read(page).text)
    for piece in (
        "offline",
        "bad value",
        "kubelet",
        "Remembered",
        "none",
        "2025-10-09",
    ):
        assert piece in text
    assert 'class="mode offline"' in page


@given(st.text(max_size=40))
def test_no_name_of_a_client_becomes_markup(name: str) -> None:
    hostile = f"<script>{name}</script>\"'&"
    page = html_page(
        {"mode": "online", "node": hostile, hostile: hostile},
        notes={hostile: hostile},
        tables={hostile: [{hostile: hostile}]},
    )
    assert "script" not in read(page).seen


@pytest.mark.parametrize(
    ("value", "told"),
    [(True, "yes"), (False, "no"), (["a", "b"], "a, b"), (4, "4"), ("x", "x")],
)
def test_values_are_spoken(value: object, told: str) -> None:
    assert spoken("any", value) == told
