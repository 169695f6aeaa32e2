# SPDX-License-Identifier: Apache-2.0
"""What an operator says of identities, for the hub and for who asks about it."""

from toono.config.options import Options, parse_reader
from toono.identity.rights import RightsSettings


def rights_of(options: Options) -> RightsSettings:
    """Return the settings of rights; the node's own name comes from its certificate."""
    return RightsSettings(
        node_uids=frozenset(int(uid) for uid in options.words("node-uids")),
        lapse=options.number("pod-rights-lapse"),
        leeway=options.number("token-leeway"),
        audiences=frozenset(options.words("api-audiences")),
        allowed=frozenset(map(parse_reader, options.words("offline-readers"))),
    )
