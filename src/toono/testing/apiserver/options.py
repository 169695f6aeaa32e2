# SPDX-License-Identifier: Apache-2.0
"""Which list and watch options go together (KEP-2340, KEP-3157), as the API server
judges them before it looks at anything else: all that is wrong is told at once."""

from toono.testing.apiserver.query import Query
from toono.testing.apiserver.refusals import (
    Cause,
    forbidden,
    invalid_options,
    unsupported,
)

EXACT, NOT_OLDER = "Exact", "NotOlderThan"


def check_options(query: Query) -> None:
    """Raise the Refusal that a wrong combination gets."""
    match, watch = query.text("resourceVersionMatch"), query.true("watch")
    if query.given("sendInitialEvents"):
        causes = _of_initial(match, watch=watch)
    elif match and watch:
        what = "resourceVersionMatch is forbidden for watch"
        causes = [forbidden(f"{what} unless sendInitialEvents is provided")]
    elif match:
        causes = _of_match(match, query)
    else:
        causes = []
    if causes:
        raise invalid_options(*causes)


def _of_initial(match: str, *, watch: bool) -> list[Cause]:
    if not watch:
        what = "sendInitialEvents is forbidden for list"
        return [forbidden(what, field="sendInitialEvents")]
    if match == NOT_OLDER:
        return []
    what = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    causes = [forbidden(what)]
    if match:
        causes.append(unsupported(match, NOT_OLDER))
    return causes


def _of_match(match: str, query: Query) -> list[Cause]:
    causes, version = [], query.text("resourceVersion")
    if not version:
        what = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append(forbidden(what))
    if query.text("continue"):
        what = "resourceVersionMatch is forbidden when continue is provided"
        causes.append(forbidden(what))
    if match not in (EXACT, NOT_OLDER):
        causes.append(unsupported(match, EXACT, NOT_OLDER, ""))
    if match == EXACT and version == "0":
        what = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        causes.append(forbidden(what))
    return causes
