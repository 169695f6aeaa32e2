# SPDX-License-Identifier: Apache-2.0
"""Creates, updates and deletes: what the server adds to objects, and what it refuses.

Knows objects and storage, no requests: which verb asked and in which form the answer
goes out is `server`'s.
"""

import random
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from toono.runtime.clock import Clock
from toono.testing.apiserver.crds import CRDS, with_cleanup
from toono.testing.apiserver.defaults import created, written
from toono.testing.apiserver.query import JSON, Refusal
from toono.testing.apiserver.refusals import (
    bad_request,
    conflict,
    exists,
    invalid,
    not_found,
    precondition,
    unversioned,
)
from toono.testing.apiserver.resources import Resource, shaped
from toono.testing.apiserver.storage import Storage, Stored, encode, path_of

POD_GRACE = 30
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters,"
    " '-' or '.', and must start and end with an alphanumeric character (e.g. "
    "'example.com', regex used for validation is '" + NAME.pattern + "')"
)
SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Of generated names: no vowels, so that no words come out."""
ANSWERED_WHOLE = frozenset(
    {"pods", "services", "serviceaccounts", "persistentvolumes"}
    | {"persistentvolumeclaims"}
)
"""Resources whose DELETE answers the object instead of a Status."""
NEVER_BLINDLY = frozenset({"leases"})
"""Resources whose PUT must say which version it was made on."""
_FIXED = ("uid", "creationTimestamp", "name", "namespace", "deletionTimestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """What a DELETE asks for."""

    grace: int | None = None
    uid: str = ""
    version: str = ""
    """With `uid` the preconditions; "" asks for nothing."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Deleted:
    """What became of an object that was to be deleted."""

    last: Stored
    whole: bool
    """Whether it is answered with the object: it is still there, or of such a kind."""


class Writes:
    """Changes the objects of one storage."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage, self._clock = storage, clock
        self._random = random.Random()

    def existing(self, resource: Resource, namespace: str, name: str) -> Stored:
        """Return an object; 404 where it is not there."""
        collection = self._storage.collection(resource.qualified)
        found = collection.now.get((namespace, name))
        if found is None:
            raise not_found(resource, name)
        return found

    def create(
        self,
        resource: Resource,
        namespace: str,
        content: JSON,
        *,
        dry_run: bool = False,
    ) -> Stored:
        """Create an object with all that the server adds."""
        meta = self._named(resource, namespace, content)
        key = (meta.get("namespace", ""), meta["name"])
        if key in self._storage.collection(resource.qualified).now:
            raise exists(resource, meta["name"])
        meta.pop("deletionTimestamp", None)
        meta["resourceVersion"] = ""  # its place; storage tells the value
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", self._stamp())
        if resource.counts_generation:
            meta.setdefault("generation", 1)
        if dry_run:
            del meta["resourceVersion"]
        whole = created(resource, self._typed(resource, content, meta))
        whole = shaped(resource, whole)
        if dry_run:
            return Stored(key, 0, whole)
        return self._storage.put(resource.qualified, key, whole)

    def _named(self, resource: Resource, namespace: str, content: JSON) -> JSON:
        """Return the metadata with its name and namespace."""
        meta = dict(content.get("metadata") or {})
        if not meta.get("name") and meta.get("generateName"):
            suffix = "".join(self._random.choices(SUFFIX_LETTERS, k=5))
            meta["name"] = meta["generateName"] + suffix
        name = meta.get("name", "")
        if not name:
            why = "Required value: name or generateName is required"
            raise invalid(
                resource,
                "",
                field="metadata.name",
                why=why,
                reason="FieldValueRequired",
            )
        if not NAME.fullmatch(name) or len(name) > 253:
            why = f'Invalid value: "{name}": {NAME_RULE}'
            reason = "FieldValueInvalid"
            raise invalid(resource, name, field="metadata.name", why=why, reason=reason)
        if not resource.namespaced:
            meta.pop("namespace", None)
            return meta
        meta["namespace"] = meta.get("namespace") or namespace
        if namespace and meta["namespace"] != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent"
                " on the request"
            )
        return meta

    def replace(
        self,
        resource: Resource,
        old: Stored,
        content: JSON,
        *,
        part: str = "",
        dry_run: bool = False,
    ) -> Stored:
        """Replace an object, or one `part` of it: "spec" is all but the status.

        A write of what is there changes nothing, not the version. The last finalizer
        that goes lets an object go that is being deleted.
        """
        before = old.object
        if part == "status":
            content = _with_status(resource, before, content)
        elif part == "spec" and resource.has_status:
            content = {k: v for k, v in content.items() if k != "status"}
            if "status" in before:
                content["status"] = before["status"]
        whole = shaped(resource, self._updated(resource, before, content))
        if encode(whole) == encode(before):
            return old
        meta = whole["metadata"]
        if dry_run:
            return Stored(old.key, old.version, whole)
        if _is_freed(before["metadata"], meta):
            self._storage.delete(resource.qualified, old.key)
            return Stored(old.key, old.version, whole)
        return self._storage.put(resource.qualified, old.key, whole)

    def _updated(self, resource: Resource, before: JSON, content: JSON) -> JSON:
        """Return the new object with what a writer cannot change put back."""
        old = before["metadata"]
        kept = {name: old[name] for name in _FIXED if name in old}
        meta = {**(content.get("metadata") or {}), **kept}
        meta["resourceVersion"] = old["resourceVersion"]
        meta.pop("generation", None)
        if "generation" in old:
            wants_other = _wanted(content) != _wanted(before)
            meta["generation"] = old["generation"] + (wants_other is True)
        return written(resource, self._typed(resource, content, meta))

    def delete(
        self, resource: Resource, old: Stored, options: DeleteOptions
    ) -> Deleted:
        """Delete an object: at once, after its grace, or once its finalizers are gone."""
        _check_preconditions(resource, old, options)
        if resource.qualified == CRDS.qualified:
            old = with_cleanup(old)
        grace = self._grace(resource, old, options)
        whole = resource.plural in ANSWERED_WHOLE
        if old.object["metadata"].get("finalizers") or resource.qualified == "pods":
            old = self._marked(resource, old, grace, dry_run=options.dry_run)
            if old.object["metadata"].get("finalizers") or grace > 0:
                return Deleted(old, whole=True)
        if not options.dry_run:
            old = self._storage.delete(resource.qualified, old.key)
        return Deleted(old, whole=whole)

    def _grace(self, resource: Resource, old: Stored, options: DeleteOptions) -> int:
        """Seconds; a pod that no node has taken needs none."""
        spec = old.object.get("spec") or {}
        if resource.qualified != "pods" or not spec.get("nodeName"):
            return 0
        if options.grace is not None:
            return options.grace
        return int(spec.get("terminationGracePeriodSeconds", POD_GRACE))

    def _marked(
        self, resource: Resource, old: Stored, grace: int, *, dry_run: bool
    ) -> Stored:
        """Return the object with its end in it; a grace may only become shorter."""
        meta = old.object["metadata"]
        marked = meta.get("deletionGracePeriodSeconds")
        if marked is not None and grace >= marked:
            return old
        marks: JSON = {
            "deletionTimestamp": self._stamp(grace),
            "deletionGracePeriodSeconds": grace,
        }
        if "generation" in meta and marked is None:
            marks["generation"] = meta["generation"] + 1
        whole = shaped(resource, {**old.object, "metadata": {**meta, **marks}})
        if dry_run:
            return Stored(old.key, old.version, whole)
        return self._storage.put(resource.qualified, old.key, whole)

    def _typed(self, resource: Resource, content: JSON, meta: JSON) -> JSON:
        head = {"kind": resource.kind, "apiVersion": resource.api_version}
        return {**content, **head, "metadata": meta}

    def _stamp(self, later: float = 0.0) -> str:
        moment = datetime.fromtimestamp(self._clock.wall() + later, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def check_update(resource: Resource, old: Stored, content: JSON) -> None:
    """Raise where a write is for another object, or made on an older version."""
    meta, before = content.get("metadata") or {}, old.object["metadata"]
    name = old.key[1]
    if meta.get("name", name) != name:
        raise bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL"
            f" ({name})"
        )
    uid = before.get("uid", "")
    if meta.get("uid", uid) != uid:
        path = f"/registry/{resource.stored_as}{path_of(old.key)}"
        why = (
            f"StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: UID in precondition: "
            f"{meta['uid']}, UID in object meta: {uid}"
        )
        raise conflict(resource, name, why)
    given = meta.get("resourceVersion")
    if given and given != before["resourceVersion"]:
        raise conflict(resource, name)
    if not given and resource.plural in NEVER_BLINDLY:
        raise unversioned(resource, name)


def _check_preconditions(
    resource: Resource, old: Stored, options: DeleteOptions
) -> None:
    meta = old.object["metadata"]
    pairs = (
        ("UID", options.uid, meta.get("uid", "")),
        ("ResourceVersion", options.version, meta["resourceVersion"]),
    )
    for field, wanted, found in pairs:
        if wanted and wanted != found:
            pair = f"{wanted} {found}"
            raise precondition(resource, old.key[1], field=field, pair=pair)


def _is_freed(before: JSON, meta: JSON) -> bool:
    """Whether this write took the last finalizer of an object that is to go."""
    waits = meta.get("finalizers") or meta.get("deletionGracePeriodSeconds")
    return "deletionTimestamp" in meta and bool(before.get("finalizers")) and not waits


def _with_status(resource: Resource, before: JSON, content: JSON) -> JSON:
    """What a write to the status changes: of built-in kinds the metadata too."""
    if resource.custom:
        return {**before, "status": content.get("status")}
    return {
        **before,
        "status": content.get("status") or {},
        "metadata": content["metadata"],
    }


def _wanted(content: JSON) -> JSON:
    """What an object asks for: all but its type, metadata and status."""
    aside = ("kind", "apiVersion", "metadata", "status")
    return {key: value for key, value in content.items() if key not in aside}


def delete_options(options: JSON, grace: str, *, dry_run: bool) -> DeleteOptions:
    """Read DeleteOptions; a grace in the query counts where the body has none."""
    seconds = options.get("gracePeriodSeconds", grace or None)
    wanted = options.get("preconditions") or {}
    try:
        number = None if seconds is None else max(0, int(seconds))
    except (TypeError, ValueError) as exc:
        message = f"invalid gracePeriodSeconds: {seconds!r}"
        raise Refusal(400, "BadRequest", message) from exc
    return DeleteOptions(
        grace=number,
        uid=wanted.get("uid", ""),
        version=wanted.get("resourceVersion", ""),
        dry_run=dry_run or bool(options.get("dryRun")),
    )
