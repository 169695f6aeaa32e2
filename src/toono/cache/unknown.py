# SPDX-License-Identifier: Apache-2.0
"""What a client is told of a question that the hub cannot answer, and it must be true.

Sentences for people, each behind "cut off:"; docs/how-to/troubleshooting.md has them.
"""

from toono.kube.request import Call

NOT_KEPT = "no answer to this question was kept while the link was up"
"""Also where it was asked: by one that is not kept, or in vain."""
OF_A_MOMENT = "answers of this kind tell of a moment, have no version, and are not kept"
ONLY_IN_PART = (
    "only metadata or a table of it was seen while the link was up, not the objects"
)
NO_KIND = "nothing that was seen tells of what kind these objects are"
NO_SCOPE = "nothing that was seen tells whether this resource has namespaces"
NOT_SELECTABLE = "what was kept cannot be selected from so"
DAMAGED = "what was kept for this question is incomplete or damaged"
OWN_ABSENT = (
    "the API server had no such object of this node when last asked, and a node that "
    "is cut off is not told 404 of its own"
)
"""A kubelet would make it anew, or give up: the object may be there by now."""

_MEASURED = frozenset(
    {"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"}
)


def never_kept(call: Call) -> str:
    """Say why nothing that could answer `call` is known.

    What an API server makes up as it is asked has no resourceVersion: nobody could
    say which of two answers is newer, or watch it.
    """
    probed = call.group == "" and call.resource == "componentstatuses"
    return OF_A_MOMENT if probed or call.group in _MEASURED else NOT_KEPT
