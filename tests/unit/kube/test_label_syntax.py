# SPDX-License-Identifier: Apache-2.0
"""Label selectors are read, and refused in the API server's own words."""

import pytest

from toono.errors import RequestError
from toono.kube.label_syntax import parse
from toono.kube.requirements import Requirement

NAME = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', "
    "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', "
    "'_' or '.', and must start and end with an alphanumeric character (e.g. "
    "'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
    "characters, '-' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" \t\r\n", []),
        ("a=b", [("a", "in", "b")]),
        ("a==b", [("a", "in", "b")]),
        ("a = b", [("a", "in", "b")]),
        ("a=", [("a", "in", "")]),
        ("a=,b", [("a", "in", ""), ("b", "exists")]),
        ("a!=b", [("a", "notin", "b")]),
        ("a", [("a", "exists")]),
        ("!a", [("a", "!")]),
        ("! a , b", [("a", "!"), ("b", "exists")]),
        ("a in (b)", [("a", "in", "b")]),
        ("a in(b,c)", [("a", "in", "b", "c")]),
        ("a notin ( b , c )", [("a", "notin", "b", "c")]),
        ("a in ()", [("a", "in", "")]),
        ("a in (b,)", [("a", "in", "", "b")]),
        ("a in (,b)", [("a", "in", "", "b")]),
        ("a in (b,,c)", [("a", "in", "", "b", "c")]),
        ("a>5", [("a", ">", "5")]),
        ("a<5", [("a", "<", "5")]),
        ("in in (in)", [("in", "in", "in")]),
        ("notin", [("notin", "exists")]),
        ("a=in,b", [("a", "in", "in"), ("b", "exists")]),
        (
            "x in (foo,,baz),y,z notin ()",
            [("x", "in", "", "baz", "foo"), ("y", "exists"), ("z", "notin", "")],
        ),
        ("example.com/A_b.c=1-2", [("example.com/A_b.c", "in", "1-2")]),
    ],
)
def test_selectors_are_read(text: str, found: list[tuple[str, ...]]) -> None:
    wanted = [Requirement(key, op, frozenset(rest)) for key, op, *rest in found]
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("===", "found '==', expected: !, identifier, or 'end of string'"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("(", "found '(', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!!a", "unable to parse requirement: found '!', expected: identifier"),
        (
            "a b",
            "unable to parse requirement: found 'b', expected: "
            "in, notin, =, ==, !=, gt, lt",
        ),
        (
            "a (",
            "unable to parse requirement: found '(', expected: "
            "in, notin, =, ==, !=, gt, lt",
        ),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        (
            "a in (=",
            "unable to parse requirement: found '=', expected: ',', ')' or identifier",
        ),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        (
            "a in (b,",
            "unable to parse requirement: found '', expected: ',', or identifier",
        ),
        (
            "a in (b,=)",
            "unable to parse requirement: found '=', expected: ',', or identifier",
        ),
        (
            "-a",
            f'unable to parse requirement: <nil>: Invalid value: "-a": name part {NAME}',
        ),
        (
            "/a",
            'unable to parse requirement: <nil>: Invalid value: "/a": '
            "prefix part must be non-empty",
        ),
        (
            "b/",
            'unable to parse requirement: <nil>: Invalid value: "b/": '
            f"name part must be non-empty; name part {NAME}",
        ),
        (
            "B/a",
            'unable to parse requirement: <nil>: Invalid value: "B/a": '
            f"prefix part {SUBDOMAIN}",
        ),
        (
            "a/b/c",
            'unable to parse requirement: <nil>: Invalid value: "a/b/c": '
            f"a valid label key {NAME} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')",
        ),
        (
            "a=-",
            'unable to parse requirement: values[0][a]: Invalid value: "-": ' + VALUE,
        ),
        (
            "a>x",
            'unable to parse requirement: values[0]: Invalid value: "x": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        (
            "a in (-,+)",
            f'unable to parse requirement: [values[0][a]: Invalid value: "+": {VALUE}, '
            f'values[1][a]: Invalid value: "-": {VALUE}]',
        ),
    ],
)
def test_what_has_no_meaning_is_refused_in_the_api_servers_words(
    text: str, message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        parse(text)
    refusal = caught.value
    assert (refusal.code, refusal.reason) == (400, "BadRequest")
    assert refusal.message == message


def test_names_and_values_have_their_lengths() -> None:
    assert parse(f"{'b' * 253}/{'a' * 63}={'c' * 63}")
    for text, problem in (
        ("a" * 64, "name part must be no more than 63 bytes"),
        ("b" * 254 + "/a", "prefix part must be no more than 253 bytes"),
        ("a=" + "c" * 64, "must be no more than 63 bytes"),
    ):
        with pytest.raises(RequestError, match=problem):
            parse(text)


@pytest.mark.parametrize("text", ["a\0", "a=b\0c", "\u00e9", "a=\u00e9", "a=\udcff"])
def test_odd_characters_are_refused(text: str) -> None:
    with pytest.raises(RequestError):
        parse(text)
