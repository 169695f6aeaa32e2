# SPDX-License-Identifier: Apache-2.0
"""What a hub takes from its pool while it is cut off: collections newer than its own.

They become a scope of the hub's cache under the rule of every list: one that is older
changes nothing, so neither a new leader nor a member of etcd that is behind can take
an answer back. Of what is stored nothing is believed that is not whole.
"""

import logging
from collections.abc import Callable

from toono.cache.scope import Reading, Scope, accept_list
from toono.cache.scopes import Scopes
from toono.cache.taking import describe
from toono.codec.protobuf import ProtobufCodec
from toono.kube.kinds import built_in
from toono.pool.cloud import Collection
from toono.pool.keys import StorageKeys
from toono.pool.shared import Reader, Snapshot
from toono.store.etcd_client import Etcd

log = logging.getLogger(__name__)

JSON = "application/json"


class Adopting:
    """A follower's side of the pool's collections."""

    def __init__(
        self,
        etcd: Etcd,
        keys: StorageKeys,
        scopes: Scopes,
        *,
        newer: Callable[[str, str], None],
    ) -> None:
        self._reader = Reader(etcd, keys)
        self._scopes = scopes
        self._newer = newer
        self.versions: dict[Collection, int] = {}
        """What was taken last."""

    async def take(self, collection: Collection) -> None:
        """Take a collection where the pool's is newer than all known of it here."""
        known = collection.scope(self._scopes)
        if known is not None and not known.loaded:
            await self._scopes.load(known)
        than = known.version if known is not None and known.complete else 0
        found = await self._reader.newest(collection.of, than=than)
        if found is not None and self._keep(collection, found):
            self.versions[collection] = found.version
            self._newer(collection.group, collection.resource)

    def _keep(self, collection: Collection, found: Snapshot) -> bool:
        forms = {(one.media_type, one.kind, one.api_version) for one in found.objects}
        if len(forms) > 1 or any(api != collection.api_version for _, _, api in forms):
            log.warning(
                "a collection of the pool is in another version of the API",
                extra={"resource": str(collection.of), "forms": sorted(forms)},
            )
            return False
        media_type = next((one[0] for one in forms), _usual(collection))
        scope = self._scopes.ensure(collection.question(media_type))
        if scope is None:
            return False
        change = accept_list(
            scope,
            Reading(False, scope.version, scope.epoch, scope.serial),
            version=found.version,
            items=[one.object for one in found.objects],
            next_epoch=scope.epoch,
        )
        if change is None:
            return False
        _describe(scope, collection, found)
        self._scopes.commit(scope, change)
        return True


def _usual(collection: Collection) -> str:
    """Return the form of a collection that has no object to tell it."""
    known = built_in(collection.group, collection.resource)
    return JSON if known is None else ProtobufCodec.media_type


def _describe(scope: Scope, collection: Collection, found: Snapshot) -> None:
    if found.objects:
        first = found.objects[0]
        describe(scope, first.kind, first.api_version)
        scope.style = first.style
        return
    known = built_in(collection.group, collection.resource)
    if known is not None:
        describe(scope, known.kind, collection.api_version)
