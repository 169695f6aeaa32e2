# SPDX-License-Identifier: Apache-2.0
"""What of the kubelet's cache goes to the pool, and when: its pods and its own Node."""

from collections.abc import Iterable

from toono.cache.forms import split_form
from toono.cache.scope import Scope
from toono.cache.scopes import Scopes
from toono.kube.names import GroupResource
from toono.pool.keys import StorageKeys
from toono.pool.shipping import Shipping
from toono.pool.upload import KUBELET, NODES, PODS, Upload
from toono.store.etcd_client import Etcd
from toono.store.etcd_components import Claim, Components

COMPONENT = KUBELET.decode()


class Lending:
    """One node's side: tells the pool what its kubelet was told."""

    def __init__(
        self, components: Components, keys: StorageKeys, scopes: Scopes, node: str
    ) -> None:
        self._upload = Upload(components, keys, node)
        self._scopes = scopes
        self._node = node
        self._pinned = {
            PODS: f"spec.nodeName={node}",
            NODES: f"metadata.name={node}",
        }
        self._shipping = {of: Shipping() for of in self._pinned}
        self._floor = dict.fromkeys(self._pinned, 0)

    @property
    def versions(self) -> dict[str, int]:
        """What the pool was told last."""
        return {str(of): one.version for of, one in self._shipping.items()}

    def claims(self) -> list[Claim]:
        """Return what is this node's in etcd, for a lost cache."""
        return self._upload.claims()

    async def anew(self, etcd: Etcd) -> None:
        """Tell all again, but nothing older than what the pool was told before."""
        for of, shipping in self._shipping.items():
            shipping.anew()
            self._floor[of] = await self._upload.uploaded(etcd, of)

    async def upload(self) -> None:
        """Tell what changed since the last time."""
        for of, shipping in self._shipping.items():
            scope = self._scope(of)
            if scope is None or not shipping.is_due(scope):
                continue
            if not scope.loaded:
                await self._scopes.load(scope)
                if not scope.complete:
                    continue
            if scope.version < self._floor[of]:
                continue
            parcel = await shipping.pack(self._scopes, scope)
            if parcel is None:
                continue
            if parcel.whole:
                await self._upload.replace(
                    of, parcel.form, parcel.objects, version=parcel.version
                )
            else:
                await self._upload.change(
                    of, parcel.form, parcel.objects, gone=parcel.gone,
                    version=parcel.version,
                )  # fmt: skip
            shipping.taken(scope, parcel)

    def _scope(self, of: GroupResource) -> Scope | None:
        """Return the kubelet's newest whole answer to its own question."""
        return max(self._whole(of), key=lambda one: one.age_order, default=None)

    def _whole(self, of: GroupResource) -> Iterable[Scope]:
        for one in self._scopes.about(COMPONENT, of.group, of.resource, self._node):
            asked = one.question
            if (
                one.complete
                and asked.version == "v1"
                and asked.field_selector == self._pinned[of]
                and not (asked.namespace or asked.label_selector or asked.name)
                and not split_form(asked.media_type)[1]
            ):
                yield one
