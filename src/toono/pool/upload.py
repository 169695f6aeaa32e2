# SPDX-License-Identifier: Apache-2.0
"""What each node lends to its pool: its kubelet's pods and its own Node.

A leader, or an operator with an API server over the pool's etcd, sees nodes that the
cloud cannot. Only what is this node's is uploaded, and only that is taken for its own
when the node's cache of keys was lost: another hub's pods must never be deleted here.
"""

from collections.abc import Iterable

from toono.codec.base import Object
from toono.codec.registry import for_media_type
from toono.errors import CodecError
from toono.kube.names import GroupResource, parse_version
from toono.pool.keys import StorageKeys
from toono.pool.shared import Form, Names, rows_of
from toono.pool.values import read_value
from toono.store.base import Key
from toono.store.etcd_client import Etcd
from toono.store.etcd_components import Claim, Components
from toono.store.etcd_messages import Range
from toono.store.etcd_plan import Outcome

KUBELET = b"kubelet"
PODS, NODES = GroupResource("", "pods"), GroupResource("", "nodes")


class Upload:
    """One node's side: lists and events of its kubelet, as they came from the cloud."""

    def __init__(self, components: Components, keys: StorageKeys, node: str) -> None:
        self._components = components
        self._keys = keys
        self._names = Names(keys)
        self._node = node

    def claims(self) -> list[Claim]:
        """Return what is this node's in etcd, for a lost cache."""
        return [
            Claim(KUBELET, str(of), self._keys.collection(of.group, of.resource), mine)
            for of, mine in ((PODS, self._runs_here), (NODES, self._is_node))
        ]

    async def uploaded(self, etcd: Etcd, of: GroupResource) -> int:
        """Return the version of what the pool holds of this node, 0 for nothing.

        After a crash the node's own cache may be older: a list from there would bring
        back what is gone.
        """
        rows = (await etcd.range(Range(self._names.uploaded(self._node, of)))).kvs
        text = rows[0].value.decode("ascii", "replace") if rows else ""
        return parse_version(text) or 0

    async def replace(
        self, of: GroupResource, form: Form, objects: Iterable[Object], *, version: int
    ) -> Outcome:
        """Have the pool hold exactly what the kubelet's list told."""
        return await self._components.replace(
            KUBELET,
            str(of),
            rows_of(self._keys, of, form, objects),
            version=version,
            note=self._note(of, version),
        )

    async def change(
        self,
        of: GroupResource,
        form: Form,
        objects: Iterable[Object],
        *,
        gone: Iterable[tuple[str, str]] = (),
        version: int,
    ) -> Outcome:
        """Make what events of the kubelet's watch told; `gone`: (namespace, name)."""
        deletes = [
            self._keys.of(of.group, of.resource, namespace=namespace, name=name)
            for namespace, name in gone
        ]
        return await self._components.change(
            KUBELET,
            str(of),
            rows_of(self._keys, of, form, objects),
            deletes=deletes,
            version=version,
            note=self._note(of, version),
        )

    def _note(self, of: GroupResource, version: int) -> tuple[Key, bytes]:
        return self._names.uploaded(self._node, of), b"%d" % version

    def _is_node(self, key: Key, value: bytes) -> bool:
        place = self._keys.parse(key)
        return place is not None and place.name == self._node

    def _runs_here(self, key: Key, value: bytes) -> bool:
        """Say whether a pod is bound to this node; one that cannot be read is not."""
        place = self._keys.parse(key)
        if place is None:
            return False
        try:
            stored = read_value(place, value)
            codec = for_media_type(stored.media_type)
            assert codec is not None
            node = codec.field(
                stored.object.data,
                "spec.nodeName",
                kind=stored.kind,
                api_version=stored.api_version,
            )
        except CodecError:
            return False
        return node == self._node
