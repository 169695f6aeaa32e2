# SPDX-License-Identifier: Apache-2.0
"""Whose a request is, as far as limits care: never what its sender chose to say.

A pod that came under a new User-Agent, or with a token made up anew, each time would
have the room of many; one that came under another's name would eat that one's. So the
node's own programs are told apart by name, for root may do as it likes. Others are
their address; where the machine's own address is theirs (pods in the host's network),
their token's owner, once the API server or the cluster's key set has vouched for it.
Who has none of these shares one room with all like it.
"""

from collections import OrderedDict
from collections.abc import Callable

from toono.identity.rights import Rights, is_loopback
from toono.kube.request import Call, Caller

Client = tuple[str, str]
"""(whose it is, which of its programs)"""
ClientOf = Callable[[Call], Client]
NODE = "node"
"""No address and no identity is spelt so."""
KUBELET: Client = (NODE, "kubelet")
"""The node's own; a pod that takes its name is another."""
MAX_CONNECTIONS = 4096


class Clients:
    """Tells clients apart by what `rights` knows of them; asks nobody."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self._is_node = rights.nodes.get
        self._owners: OrderedDict[int, tuple[int, Client]] = OrderedDict()
        """By connection: the last token's hash, and whose it is."""

    def of(self, call: Call) -> Client:
        """Return whose `call` is; a connection of which nothing is known is nobody's."""
        caller = call.caller
        # As `Rights.knows_node`, without a call: each request is counted.
        shows = caller.token or caller.impersonates
        if not shows and self._is_node(caller.connection):
            return (NODE, call.component)
        source = caller.remote[0]
        if source != caller.local[0] and not is_loopback(source):
            return (source, "")
        return self._owner(caller) if caller.token else (source, "")

    def _owner(self, caller: Caller) -> Client:
        mark = hash(caller.token)
        known = self._owners.get(caller.connection)
        if known is not None and known[0] == mark:
            return known[1]
        owner = self._rights.owner_of(caller.token)
        if not owner:
            return (caller.remote[0], "")  # its word alone; it may be proven yet
        client = (owner, "")
        self._owners[caller.connection] = (mark, client)
        if len(self._owners) > MAX_CONNECTIONS:
            self._owners.popitem(last=False)
        return client


def by_address(call: Call) -> Client:
    """Return whose a call is where nothing but its address is known."""
    return (call.caller.remote[0], "")
