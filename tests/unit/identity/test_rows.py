# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.errors import CodecError
from toono.identity import rows
from toono.identity.rows import FedRow, KeySetRow, Question, RefusedRow, VerdictRow

LIST = Question("list", "", "pods", "", "shop")


@pytest.mark.parametrize(
    "row",
    [
        VerdictRow("user/uid", LIST, True, 5.0),
        KeySetRow("https://issuer", b"{}", 5.0),
        RefusedRow(5.0),
        FedRow("discovery.k8s.io", "endpointslices"),
    ],
    ids=lambda row: type(row).__name__,
)
def test_what_is_written_is_read(row) -> None:
    found = rows.decode(type(row), rows.encode(row))
    assert found == row
    with pytest.raises(CodecError):
        rows.decode(type(row), b"\xc1")


def test_no_two_questions_share_a_key() -> None:
    keys = {
        rows.verdict_key("a", LIST),
        rows.verdict_key("b", LIST),
        rows.verdict_key("a", LIST._replace(verb="watch")),
        rows.verdict_key("a", LIST._replace(namespace="", name="shop")),
        rows.verdict_key("", Question("a", *LIST[:5])),
        rows.fed_key(FedRow("a", "bc")),
        rows.fed_key(FedRow("ab", "c")),
    }
    assert len(keys) == 7
    assert all(key.startswith(rows.PREFIX) for key in keys)
