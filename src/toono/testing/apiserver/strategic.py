# SPDX-License-Identifier: Apache-2.0
"""Strategic merge patch: a merge patch that knows which lists are maps.

Kubernetes' own: directives $patch, $retainKeys, $deleteFromPrimitiveList and
$setElementOrder, and lists whose items are told apart by a key. Which key, the API
server reads from tags of its types; here stand the common ones.
"""

from typing import Any

JSON = dict[str, Any]

_KEYS = {
    "conditions": ("type",),
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "port"),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "podIPs": ("ip",),
    "hostIPs": ("ip",),
    "topologySpreadConstraints": ("topologyKey",),
    "resourceClaims": ("name",),
    "addresses": ("type",),
    "ownerReferences": ("uid",),
}
"""Field → the keys its items may be told apart by: the first that all of them have."""
_SETS = frozenset({"finalizers", "podCIDRs"})
"""Lists of strings that are merged, not replaced."""
_DELETE, _ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"


def strategically_merged(target: Any, patch: Any, *, field: str = "") -> Any:
    """Return `target` with a strategic merge patch applied; `field` is its name."""
    if isinstance(patch, dict):
        return _merged_object(target if isinstance(target, dict) else {}, patch)
    if isinstance(patch, list):
        return _merged_list(target if isinstance(target, list) else [], patch, field)
    return patch


def _merged_object(target: JSON, patch: JSON) -> JSON:
    directive = patch.get("$patch")
    plain = {key: value for key, value in patch.items() if not key.startswith("$")}
    if directive == "replace":
        return {key: _cleaned(value) for key, value in plain.items()}
    if directive == "delete":
        return {}
    result = dict(target)
    if "$retainKeys" in patch:
        result = {key: result[key] for key in result if key in patch["$retainKeys"]}
    for key, value in plain.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = strategically_merged(result.get(key), value, field=key)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            field = key.removeprefix(_DELETE)
            result[field] = [one for one in result.get(field) or () if one not in value]
    for key, value in patch.items():
        field = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and isinstance(result.get(field), list):
            before = target.get(field) or []
            result[field] = _ordered(result[field], value, before, field)
    return result


def _merged_list(target: list[Any], patch: list[Any], field: str) -> list[Any]:
    if field in _SETS:
        both = [*target, *(one for one in patch if one not in target)]
        return _ordered(both, patch, target, field)
    replaces = {"$patch": "replace"} in patch
    items = [one for one in patch if one != {"$patch": "replace"}]
    key = _key_of(field, [*target, *items])
    if replaces or not key:
        return [_cleaned(one) for one in items]
    merged = {one[key]: one for one in target}
    for one in items:
        if one.get("$patch") == "delete":
            merged.pop(one[key], None)
        else:
            merged[one[key]] = _merged_object(merged.get(one[key], {}), one)
    return _ordered(list(merged.values()), items, target, field)


def _key_of(field: str, items: list[Any]) -> str:
    """Return the key of a list that is a map, "" for a list that is replaced."""
    if not all(isinstance(one, dict) for one in items):
        return ""
    for key in _KEYS.get(field, ()):
        if all(key in one for one in items):
            return key
    return ""


def _ordered(
    found: list[Any], order: list[Any], before: list[Any], field: str
) -> list[Any]:
    """Put the items that `order` names into its order, among the others as they were.

    A named item that was not there `before` comes ahead of the next unnamed one; for
    those that were, the old order says which of the two goes first.
    """
    key = _key_of(field, [*found, *order, *before])

    def name(one: Any) -> Any:
        return one[key] if key else one

    old = {name(one): place for place, one in enumerate(before)}
    wanted = {name(one): place for place, one in enumerate(order)}
    named = sorted(
        (one for one in found if name(one) in wanted), key=lambda one: wanted[name(one)]
    )
    others = [one for one in found if name(one) not in wanted]
    result = []
    while named and others:
        ahead = old.get(name(named[0]), -1) < old.get(name(others[0]), -1)
        result.append((named if ahead else others).pop(0))
    return [*result, *named, *others]


def _cleaned(value: Any) -> Any:
    """What a patch puts where nothing was: without directives and nulls."""
    if isinstance(value, dict):
        return {
            key: _cleaned(each)
            for key, each in value.items()
            if each is not None and not key.startswith("$")
        }
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    return value
