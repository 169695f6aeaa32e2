# SPDX-License-Identifier: Apache-2.0
"""What two scopes that hold the same objects could say against each other.

Of all that may answer the newest scope does. A version that brought nothing new is
written late; lost in a crash, it lets a scope that is older in truth answer in its
stead. That does no harm where both say the same, and this module says where not. It
knows nothing of stores, nor of when what is written.
"""

from toono.cache.index import name_of
from toono.cache.scope import Scope
from toono.kube.names import parse_version


def belies(other: Scope, scope: Scope, since: int) -> bool:
    """Say whether `other` would contradict `scope`, were that at `since` again.

    Rows of equal versions are equal at all versions between. What can have come and
    gone is an object that `other` holds, that is younger than `since`, and that
    `scope` knows to be away.
    """
    if other.age_order <= (scope.epoch, since):
        return False
    if not other.loaded:
        return True
    name = name_of(scope.question)
    return any(
        (parse_version(row.resource_version) or 0) > since
        for key, row in other.rows.items()
        if key not in scope.rows and (not name or key[1] == name)
    )
