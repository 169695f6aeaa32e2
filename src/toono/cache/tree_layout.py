# SPDX-License-Identifier: Apache-2.0
"""Where YurtHub keeps an object: questions and names → paths, and back.

    <component>/<resource>.<version>.<group or core>/[<namespace>/]<name>
    <component>/partialobjectmetadata.v1.meta.k8s.io/<the same>      metadata only

Pure: knows no disk. What has no place in this layout, or would be another one's place
there (a name that climbs out, that YurtHub takes for its own backup, that a file
system cannot hold), has no path: it stays in the database alone.
"""

from collections.abc import Container
from typing import NamedTuple

from toono.cache.forms import PARTIAL, TABLE, split_form
from toono.cache.scope import Question, RowKey
from toono.codec.schema import message_of
from toono.kube.kinds import built_in, groups_of

BACKUP = "tmp_"
"""YurtHub renames what starts so over the rest of the name, whenever it starts."""
OWN = ("_internal", "toono")
"""The one place below the cache directory that is toono's own."""
PARTIAL_FOLDER = "partialobjectmetadata.v1.meta.k8s.io"
_PARTIAL_RESOURCES = ("partialobjectmetadata", "partialobjectmetadatas")
CORE = "core"
MAX_PART_BYTES = 255
_TOP_LEVEL_FILES = ("version", "component-key-cache")
"""What YurtHub itself keeps beside the components."""

_SHARED = "toono"
"""The hub's own component: what it reads once for all readers of the node."""
_READERS = {
    "services": ("kubelet", "kube-proxy"),
    "endpointslices": ("kube-proxy",),
    "endpoints": ("kube-proxy",),
}
"""Who reads what the hub shares: YurtHub looks for it under each of them."""

Folder = tuple[str, ...]
"""Of one component and resource: the path's parts down to it."""


class Resource(NamedTuple):
    """Whose directory it is, and of which resource."""

    component: str
    group: str
    version: str
    resource: str


def folder_of(question: Question) -> Folder | None:
    """Return the directory of a question's objects, None where they have none.

    Tables are no objects, and a Lease is old before it can be read.
    """
    component, group, version, resource = question[:4]
    form = split_form(question.media_type)[1]
    if form == TABLE or resource == "leases" or resource in _PARTIAL_RESOURCES:
        return None
    if component in _TOP_LEVEL_FILES or component.startswith("_"):
        return None
    name = f"{resource}.{version}.{group or CORE}"
    known = resource and version and "." not in resource + version and group != CORE
    if not known or not (is_part(component) and is_part(name)):
        return None
    return (component, PARTIAL_FOLDER, name) if form == PARTIAL else (component, name)


def folders_beside(question: Question, components: Container[str]) -> list[Folder]:
    """Return the directories of those who were answered from the hub's own question.

    Only of `components`, those of the node that are kept: nobody else needs a copy.
    """
    asked = question._replace(media_type="", group="", version="", resource="")
    if asked != Question(_SHARED, *[""] * 8):
        return []
    readers = [one for one in _READERS.get(question.resource, ()) if one in components]
    found = (folder_of(question._replace(component=one)) for one in readers)
    return [folder for folder in found if folder is not None]


def place_of(folder: Folder, key: RowKey) -> tuple[str, ...] | None:
    """Return an object's path below its folder, None where it can have none."""
    namespace, name = key
    if folder[-1] == f"namespaces.v1.{CORE}":
        namespace = ""
    parts = (namespace, name) if namespace else (name,)
    return parts if all(map(is_part, parts)) else None


def is_part(text: str) -> bool:
    """Say whether `text` can be one name of a path, and means nothing else there."""
    if text in ("", ".", "..") or "/" in text or "\0" in text:
        return False
    if text.startswith(BACKUP):
        return False
    try:
        return len(text.encode()) <= MAX_PART_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def is_partial_folder(name: str) -> bool:
    """Say whether a component's directory holds metadata, as toono or YurtHub spell it.

    YurtHub's own spelling has a final s; older ones have neither version nor group.
    """
    resource, _, rest = name.partition(".")
    known = ("", "v1.meta.k8s.io", "v1beta1.meta.k8s.io")
    return resource in _PARTIAL_RESOURCES and rest in known


def resource_of_folder(
    component: str, folder: str, *, api_version: str | None
) -> Resource | None:
    """Return what a directory holds; None where it says another API than its objects.

    `api_version` is that of its objects, None where they do not tell it (metadata).
    """
    resource, dot, rest = folder.partition(".")
    if not dot:
        api = _only_api(resource) if api_version is None else api_version
        if api is None:
            return None
        group, _, version = api.rpartition("/")
        return Resource(component, group, version, resource)
    version, dot, group = rest.partition(".")
    group = "" if group == CORE else group
    told = f"{group}/{version}" if group else version
    if not dot or not version or api_version not in (None, told):
        return None
    return Resource(component, group, version, resource)


def _only_api(resource: str) -> str | None:
    """Return the API version of a built-in resource that one group alone has at v1."""
    found: list[str] = []
    for group in groups_of(resource):
        kind = built_in(group, resource)
        api_version = f"{group}/v1" if group else "v1"
        if kind and message_of(kind.kind, api_version) is not None:
            found.append(api_version)
    return found[0] if len(found) == 1 else None
