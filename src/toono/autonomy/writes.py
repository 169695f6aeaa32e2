# SPDX-License-Identifier: Apache-2.0
"""What becomes of a write while the node is cut off: one table, and what it says.

| Write | Whose | What |
|---|---|---|
| create, patch of an event | node; a pod with a valid token | kept, sent in order later |
| patch of a node's or pod's status | node | refused, or the newest kept (an option) |
| token of a service account | node | a real one that was seen, or refused |
| review of a token or of access | node | the verdict that was heard, or refused |
| everything else | | refused |

Refused is 503 that says so: nothing that was not done is told as done.
"""

from dataclasses import dataclass
from enum import Enum

from toono.autonomy.spooled import EVENT_GROUPS
from toono.kube.request import Call

SPOOL, REFUSE = "spool", "503"
READS = frozenset({"get", "list", "watch"})
PATCHES = frozenset(
    {"application/strategic-merge-patch+json", "application/merge-patch+json"}
)
_REVIEWS = frozenset(
    {
        ("authorization.k8s.io", "subjectaccessreviews"),
        ("authentication.k8s.io", "tokenreviews"),
    }
)


class Policy(Enum):
    """What the hub does with a write by itself."""

    EVENT = "event"
    STATUS = "status"
    TOKEN = "token"  # noqa: S105 - a kind of request
    REVIEW = "review"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteTable:
    """What an operator chose; the defaults need no word."""

    events: str = SPOOL
    statuses: str = REFUSE
    reviews: bool = True


def policy_of(call: Call, table: WriteTable) -> Policy:
    """Return what the table says of a call."""
    if call.verb in READS or call.dry_run or not call.resource:
        return Policy.REFUSE
    if is_event(call):
        return Policy.EVENT if table.events == SPOOL else Policy.REFUSE
    if is_status(call):
        return Policy.STATUS if table.statuses == SPOOL else Policy.REFUSE
    if is_token_request(call):
        return Policy.TOKEN
    if is_review(call):
        return Policy.REVIEW if table.reviews else Policy.REFUSE
    return Policy.REFUSE


def is_event(call: Call) -> bool:
    """Say whether an event is created, or its count moved on."""
    if call.resource != "events" or call.group not in EVENT_GROUPS:
        return False
    if not call.namespace or call.subresource:
        return False
    if call.verb == "patch":
        return call.name != "" and media_type_of(call) in PATCHES
    return call.verb == "create" and call.name == ""


def is_status(call: Call) -> bool:
    """Say whether the status of a node or pod is patched, as kubelets do."""
    return (
        call.verb == "patch"
        and call.group == ""
        and call.resource in ("nodes", "pods")
        and call.subresource == "status"
        and media_type_of(call) in PATCHES
    )


def is_token_request(call: Call) -> bool:
    """Say whether a token of a service account is asked for."""
    return (
        call.verb == "create"
        and call.group == ""
        and call.resource == "serviceaccounts"
        and call.subresource == "token"
    )


def is_review(call: Call) -> bool:
    """Say whether the API server is asked what somebody may do, or who it is."""
    return call.verb == "create" and (call.group, call.resource) in _REVIEWS


def media_type_of(call: Call) -> str:
    """Return the bare media type of a call's body."""
    return call.content_type.partition(";")[0].strip().lower()
