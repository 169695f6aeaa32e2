# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toono.codec.printers.jsonpath import MAX_STEPS, parse_path
from toono.errors import CodecError

OBJECT = {
    "a": {
        "b.c": 1,
        "d/e": "slash",
        "null": None,
        "list": [
            {"type": "Synced", "n": 1, "on": True},
            {"type": "Ready", "n": 2, "status": "yes", "f": 1.5, "deep": [1]},
            "text",
        ],
    },
    "z": {"type": "deep"},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".a.list[0].type", "Synced"),
        ("$.a.list[0].type", "Synced"),
        (" .z.type ", "deep"),
        (".a['b.c']", 1),
        ('.a["b.c"]', 1),
        (r".a.b\.c", 1),
        (r".a['b\.c']", 1),
        (".a.d/e", "slash"),
        (".a.null", None),
        ("['a']['d/e']", "slash"),
        (".a.list[1].type", "Ready"),
        (".a.list[-1]", "text"),
        (".a.list[-3].n", 1),
        (".a.list[*].status", "yes"),
        (".a.list.*.status", "yes"),
        (".z.*", "deep"),
        (".a.list[1:].type", "Ready"),
        (".a.list[:1].n", 1),
        (".a.list[0:3:2]", {"type": "Synced", "n": 1, "on": True}),
        (".a.list[1,0].n", 2),
        (".a['nothing','b.c']", 1),
        ("..status", "yes"),
        ("..['b.c']", 1),
        ("..type", "Synced"),
        ('.a.list[?(@.type=="Ready")].status', "yes"),
        (".a.list[?(@.type=='Ready')].status", "yes"),
        ('.a.list[?("Ready" == @.type)].status', "yes"),
        ('.a.list[?(@.type!="Synced")].n', 2),
        (".a.list[?(@.n>1)].type", "Ready"),
        (".a.list[?(@.n>=2)].type", "Ready"),
        (".a.list[?(@.f<1.75)].type", "Ready"),
        (".a.list[?(@.n<=1)].type", "Synced"),
        ('.a.list[?(@.type<"S")].type', "Ready"),
        (".a.list[?(@.on==true)].type", "Synced"),
        (".a.list[?(@.on!=false)].type", "Synced"),
        (".a.list[?(@.deep[0])].type", "Ready"),
        (".a.list[-2:-1].type", "Ready"),
        (".a.list[?(@.status)].type", "Ready"),
        (".a.list[?(@.status==@.status)].type", "Ready"),
        ('.a.list[?(@["type"]=="Ready")].n', 2),
    ],
)
def test_path_leads_to_a_value(path, value):
    assert parse_path(path).first(OBJECT) == (True, value)


@pytest.mark.parametrize(
    "path",
    [
        ".nothing",
        ".a.list.type",
        ".a['x','y']",
        ".a.list[3]",
        ".a.list[-4]",
        ".a[0]",
        ".a[0:1]",
        ".a[*]",
        ".a.list[0:4]",
        ".a.list[3:]",
        ".a.list[1:1]",
        ".a.list[2:1]",
        ".a.list[-4:]",
        ".a.null[0]",
        ".a.null[0:1]",
        ".a.null[?(@.x)]",
        ".a.list[0:1:0]",
        ".a.list[0:1:-1]",
        ".z.type.deeper",
        ".z.type.*",
        "..nothing",
        '.z[?(@.type=="deep")]',
        '.a.list[?(@.n=="1")]',
        ".a.list[?(@.n==true)]",
        ".a.list[?(@.on==1)]",
        ".a.list[?(@.on<true)]",
        ".a.list[?(@.n<1.5)]",
        ".a.list[?(@.deep==1)]",
        ".a.list[?(@.*==1)]",
        ".a['list','d/e'][0]",
        ".a.list[?(@.type>1)]",
        ".a.list[?(@.gone!=1)]",
        ".a.list[?(@.gone)]",
        ".a.list[?(@.type[0])]",
        ".a.list[?(@.n>5)]",
    ],
)
def test_path_leads_nowhere(path):
    assert parse_path(path).first(OBJECT) == (False, None)


def test_objects_compare_with_nothing():
    items = [{"x": {}, "y": {}}, {"x": [], "y": []}]
    assert parse_path("[?(@.x==@.y)]").first(items) == (False, None)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "@",
        ".",
        "{.a}",
        ".a[",
        ".a[']",
        ".a[]",
        ".a[x]",
        ".a[99999999999]",
        ".a.'b'",
        ".a b",
        '.a["b" c]',
        ".a]",
        ".a[?(@.)]",
        ".a[?(==1)]",
        ".a" * (MAX_STEPS + 1),
    ],
)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(CodecError):
        parse_path(path)


def test_longest_path():
    assert parse_path(".a" * MAX_STEPS).first({}) == (False, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(path=st.text(alphabet=".[]*?()@='\"abc012:,<>!\\", max_size=12), value=JSON)
@example(path="..a..b..c", value={"a": {"b": {"c": 1}}})
def test_any_text_is_a_path_or_refused(path, value):
    try:
        found, what = parse_path(path).first(value)
    except CodecError:
        return
    assert found or what is None


def test_values_are_bounded():
    value: object = 1
    for _ in range(8):
        value = [value] * 8
    assert parse_path("[*][*]").first(value)[0]
    assert parse_path("[*]" * 8).first(value) == (False, None)


def test_what_is_too_deep_leads_nowhere():
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    assert parse_path("..x").first(deep) == (False, None)
