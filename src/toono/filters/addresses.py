# SPDX-License-Identifier: Apache-2.0
"""addresses: this node's endpoints with the addresses that its pods have now.

After a reboot while cut off the pods are back under new addresses, and the endpoint
slices that are remembered have the old ones. The kubelet says the new ones in the
status writes that it makes, whether they reach the cloud or not. What is corrected is
marked by an annotation. An endpoint is corrected only if it is this very pod's, by uid,
and only with an address of its own family: all else stays as the cloud said it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from toono.filters.base import ANNOTATIONS, METADATA
from toono.filters.fields import Field, Fields, change_each, change_inner

MARK = "toono.io/addresses-corrected"
ENDPOINTS = Field("endpoints", 2)
ADDRESSES = Field("addresses", 1)
NODE_NAME = Field("nodeName", 6)
TARGET = Field("targetRef", 4)
SUBSETS = Field("subsets", 2)
READY, NOT_READY = Field("addresses", 1), Field("notReadyAddresses", 2)
IP = Field("ip", 1)
NODE_OF_ADDRESS, TARGET_OF_ADDRESS = Field("nodeName", 4), Field("targetRef", 2)
KIND, NAMESPACE, NAME = Field("kind", 1), Field("namespace", 2), Field("name", 3)
UID = Field("uid", 4)


class PodKey(NamedTuple):
    """One pod: one of the same name that came later is another."""

    namespace: str
    name: str
    uid: str


Addresses = tuple[str, ...]


class _PodIP(msgspec.Struct):
    ip: str = ""
    patch: str = msgspec.field(default="", name="$patch")


class _Status(msgspec.Struct):
    ip: str | UnsetType | None = msgspec.field(default=UNSET, name="podIP")
    ips: list[_PodIP] | UnsetType | None = msgspec.field(default=UNSET, name="podIPs")


class _Meta(msgspec.Struct):
    uid: str = ""


class _Write(msgspec.Struct):
    metadata: _Meta | None = None
    status: _Status | None = None


_decode_write = msgspec.json.Decoder(_Write).decode


def read_write(content: bytes) -> tuple[str, Addresses | None] | None:
    """Return (uid, addresses) of a write of a pod's status, in JSON or as a patch.

    No addresses: the pod lost those it had. None: the write says nothing of them.
    """
    try:
        write = _decode_write(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    status = write.status
    if status is None or write.metadata is None or not write.metadata.uid:
        return None
    if status.ip is UNSET and status.ips is UNSET:
        return None
    found = [one.ip for one in status.ips or () if one.ip and not one.patch]
    if status.ip and status.ip not in found:
        found.insert(0, status.ip)
    return write.metadata.uid, tuple(found) if all(map(_is_ip, found)) else None


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class CorrectedAddresses:
    """The filter, for one kind of question."""

    resource: str
    node: str
    pods: Mapping[PodKey, Addresses]

    @property
    def marks(self) -> tuple[bytes, ...]:
        return tuple(key.uid.encode() for key in self.pods) or (_NOTHING,)

    def __call__(self, fields: Fields, data: bytes) -> bytes | None:
        if self.resource == "endpoints":
            changed = change_each(fields, data, SUBSETS, self._subset(fields))
        else:
            changed = change_each(
                fields, data, ENDPOINTS, lambda one: self._endpoint(fields, one)
            )
        return data if changed is data else _marked(fields, changed)

    def _endpoint(self, fields: Fields, one: bytes) -> bytes:
        if fields.text(one, NODE_NAME) != self.node:
            return one
        before = fields.texts(one, ADDRESSES)
        target = fields.inner(one, TARGET)
        if len(before) != 1 or target is None:
            return one
        after = self._now(fields, target, before[0])
        return one if after == before[0] else fields.put_texts(one, ADDRESSES, [after])

    def _subset(self, fields: Fields) -> Callable[[bytes], bytes]:
        def address(one: bytes) -> bytes:
            target = fields.inner(one, TARGET_OF_ADDRESS)
            if fields.text(one, NODE_OF_ADDRESS) != self.node or target is None:
                return one
            before = fields.text(one, IP)
            after = self._now(fields, target, before)
            return one if after == before else fields.put_text(one, IP, after)

        def subset(one: bytes) -> bytes:
            one = change_each(fields, one, READY, address)
            return change_each(fields, one, NOT_READY, address)

        return subset

    def _now(self, fields: Fields, target: bytes, before: str) -> str:
        """Return the address that a pod has now in the family of `before`."""
        if fields.text(target, KIND) != "Pod" or not _is_ip(before):
            return before
        key = PodKey(
            fields.text(target, NAMESPACE),
            fields.text(target, NAME),
            fields.text(target, UID),
        )
        version = ip_address(before).version
        same = [
            ip for ip in self.pods.get(key, ()) if ip_address(ip).version == version
        ]
        return same[0] if same else before


_NOTHING = b"\0no pod has another address\0"


def _marked(fields: Fields, data: bytes) -> bytes:
    return change_inner(
        fields,
        data,
        METADATA,
        lambda meta: fields.put_entry(meta, ANNOTATIONS, MARK, "true"),
    )
