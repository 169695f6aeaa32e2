# SPDX-License-Identifier: Apache-2.0
"""Accept is negotiated by the API server's rules."""

import pytest

from toono.kube.accept import (
    MAX_CLAUSES,
    Form,
    choose,
    choose_form,
    names_one_of,
    parse_accept,
)

JSON, PROTOBUF = "application/json", "application/vnd.kubernetes.protobuf"
OFFERS = (JSON, PROTOBUF)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (f"{PROTOBUF},{JSON}", PROTOBUF),
        (f"{JSON}, */*", JSON),
        (f"{PROTOBUF}, */*", PROTOBUF),
        (f"*/*,{PROTOBUF}", PROTOBUF),
        (f"application/*,{PROTOBUF}", PROTOBUF),
        (f"*/*,application/*;q=0.9,{PROTOBUF};q=0.8", JSON),
        (f"{JSON};q=0.9,{PROTOBUF}", PROTOBUF),
        (f"{JSON};q=0.9,application/cbor;q=1", JSON),
        (f"{PROTOBUF};stream=watch", PROTOBUF),
        (f"{PROTOBUF};stream=other,{JSON}", JSON),
        (f"{JSON};as=Table;v=v1;g=meta.k8s.io,{JSON}", JSON),
        (f"{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}", JSON),
        (f"{PROTOBUF};g=meta.k8s.io,{JSON}", JSON),
        (f"{PROTOBUF};profile=nopeer;drop=x", PROTOBUF),
        ("Application/JSON", JSON),
        (f" {PROTOBUF} ; q=1.000 ", PROTOBUF),
        (f"{PROTOBUF};q=0,{JSON}", JSON),
        (f"{PROTOBUF};q=0.000,{JSON};q=0.001", JSON),
        (f"{PROTOBUF};q=2,{JSON};q=.5", JSON),
        (f"{PROTOBUF};q=nan,{JSON}", JSON),
        (f"{PROTOBUF};q=1_0,{JSON}", JSON),
        (f"{PROTOBUF};q=-1,{JSON}", JSON),
        (f"json,{PROTOBUF}", PROTOBUF),
    ],
)
def test_the_best_form_is_chosen(accept: str, chosen: str) -> None:
    forms = parse_accept(accept) if accept else ()
    assert choose(forms, OFFERS) == chosen


@pytest.mark.parametrize(
    "accept",
    [
        "application/xml",
        "text/*",
        "application/yaml",
        "application/cbor-seq",
        f"{JSON};as=Table;g=meta.k8s.io;v=v1",
        f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        f"{JSON};as=Table;g=",
    ],
)
def test_what_is_not_on_offer_is_not_acceptable(accept: str) -> None:
    assert choose(parse_accept(accept), OFFERS) is None


def test_nothing_offered_is_nothing_chosen() -> None:
    assert choose((), ()) is None
    assert choose(parse_accept(JSON), ()) is None


def test_a_converted_form_is_chosen_where_it_is_on_offer() -> None:
    partial = Form(
        media_type=PROTOBUF,
        as_kind="PartialObjectMetadata",
        group="meta.k8s.io",
        version="v1",
    )
    plain = Form(media_type=JSON)
    asked = parse_accept(
        f"{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"
    )
    assert choose_form(asked, [plain, partial]) == partial
    assert choose_form(asked, [plain]) == plain
    assert choose_form(parse_accept("*/*"), [partial, plain]) == plain
    assert choose_form((), [partial, plain]) == partial


def test_a_thousand_clauses_are_bounded() -> None:
    many = ",".join(f"a/b{number}" for number in range(1000))
    assert len(parse_accept(many)) == MAX_CLAUSES
    assert choose(parse_accept(f"{many},{JSON}"), OFFERS) is None
    assert choose(parse_accept(f"{JSON},{many}"), OFFERS) == JSON


def test_what_is_long_is_not_remembered() -> None:
    from toono.kube import accept

    before = accept._parsed.cache_info().currsize
    parse_accept(",".join(f"a/b{number}" for number in range(300)))
    assert accept._parsed.cache_info().currsize == before


def test_how_it_is_written_and_what_is_left_out_are_told_and_decide_nothing() -> None:
    (form,) = parse_accept(f"{JSON};pretty=1;drop=metadata.managedFields")
    assert (form.pretty, form.drop) == (True, "metadata.managedFields")
    assert choose_form((form,), [Form(media_type=JSON)]) == Form(media_type=JSON)
    assert parse_accept(f"{JSON};pretty=0")[0].pretty is False


@pytest.mark.parametrize("accept", ["json", ";;;,,", "text", "-"])
def test_who_names_no_media_type_at_all_takes_nothing(accept: str) -> None:
    assert choose(parse_accept(accept), ("application/json",)) is None


@pytest.mark.parametrize("accept", ["", " ", "*", "*;q=0.5", "application/json;q=0"])
def test_who_wants_anything_or_says_nothing_takes_the_first(accept: str) -> None:
    assert choose(parse_accept(accept), ("application/json",)) == "application/json"


@pytest.mark.parametrize(
    ("accept", "named"),
    [
        ("", True),
        ("*/*", True),
        ("application/json", True),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", True),
        ("application/*, text/html, application/json", True),
        ("application/*, */*;q=0.1", True),
        ("application/*", False),
        ("*", False),
        ("*;q=0.5, application/*", False),
        ("text/html", False),
    ],
)
def test_a_route_is_found_by_a_type_and_not_by_half_a_wildcard(accept, named) -> None:
    assert names_one_of(parse_accept(accept), ("application/json",)) is named


def test_a_star_alone_is_as_wild_as_can_be() -> None:
    assert choose(parse_accept("*, text/*, text/html"), ("text/html", "a/b")) == (
        "text/html"
    )
    assert choose(parse_accept("*, a/*"), ("text/html", "a/b")) == "a/b"
    assert choose(parse_accept("*"), ("text/html", "a/b")) == "text/html"
