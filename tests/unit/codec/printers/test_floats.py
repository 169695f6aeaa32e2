# SPDX-License-Identifier: Apache-2.0
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.codec.printers.floats import json_number, text_number


@pytest.mark.parametrize(
    ("value", "in_json", "in_text"),
    [
        (0.0, "0", "0"),
        (-0.0, "-0", "-0"),
        (3.0, "3", "3"),
        (-2.5, "-2.5", "-2.5"),
        (100000.0, "100000", "100000"),
        (1000000.0, "1000000", "1e+06"),
        (1234567.5, "1234567.5", "1.2345675e+06"),
        (0.0001, "0.0001", "0.0001"),
        (0.00001, "0.00001", "1e-05"),
        (0.000001, "0.000001", "1e-06"),
        (1.5e-7, "1.5e-7", "1.5e-07"),
        (1e20, "100000000000000000000", "1e+20"),
        (1e21, "1e+21", "1e+21"),
        (1.5e300, "1.5e+300", "1.5e+300"),
    ],
)
def test_numbers_are_written_as_go_does(value, in_json, in_text):
    assert json_number(value) == in_json
    assert text_number(value) == in_text


@pytest.mark.parametrize(
    ("value", "shown"), [(math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")]
)
def test_what_json_cannot_hold_is_null(value, shown):
    assert json_number(value) == "null"
    assert text_number(value) == shown


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_as_they_were(value):
    assert float(json.loads(json_number(value))) == value
    assert float(text_number(value)) == value
