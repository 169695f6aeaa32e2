# SPDX-License-Identifier: Apache-2.0
"""What pods are configured by, and who may do what: namespaces, accounts, bindings."""

from toono.codec.printers import descriptions as say
from toono.codec.printers.ages import human_duration
from toono.codec.printers.base import (
    AGE_COLUMN,
    NAME_COLUMN,
    Cell,
    Printer,
    age_of,
    column,
    name_of,
)
from toono.codec.printers.reading import (
    Json,
    at,
    entries,
    has_number,
    mapping,
    number,
    quantity,
    size,
    text,
)


def _config_map(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), size(obj, "data") + size(obj, "binaryData"), age_of(obj, now)]


def _secret(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), text(obj, "type"), size(obj, "data"), age_of(obj, now)]


def _service_account(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), size(obj, "secrets"), age_of(obj, now)]


def _namespace(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), text(obj, "status", "phase"), age_of(obj, now)]


def _resource_quota(obj: Json, now: float) -> list[Cell]:
    requests: list[str] = []
    limits: list[str] = []
    for resource in sorted(mapping(obj, "status", "hard")):
        used = quantity(obj, "status", "used", resource)
        hard = quantity(obj, "status", "hard", resource)
        kind = limits if resource.startswith("limits.") else requests
        kind.append(f"{resource}: {used}/{hard}")
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age_of(obj, now)]


def _binding(obj: Json, now: float) -> list[Cell]:
    names: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for one in entries(obj, "subjects"):
        kind, name = text(one, "kind"), text(one, "name")
        if kind == "ServiceAccount":
            name = f"{text(one, 'namespace')}/{name}"
        names.setdefault(kind, []).append(name)
    return [
        name_of(obj),
        f"{text(obj, 'roleRef', 'kind')}/{text(obj, 'roleRef', 'name')}",
        age_of(obj, now),
        ", ".join(names["User"]),
        ", ".join(names["Group"]),
        ", ".join(names["ServiceAccount"]),
    ]


def _webhooks(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), size(obj, "webhooks"), age_of(obj, now)]


def _certificate_request(obj: Json, now: float) -> list[Cell]:
    duration = "<none>"
    if has_number(obj, "spec", "expirationSeconds"):
        duration = human_duration(number(obj, "spec", "expirationSeconds"))
    return [
        name_of(obj),
        age_of(obj, now),
        text(obj, "spec", "signerName") or "<none>",
        text(obj, "spec", "username"),
        duration,
        _decision(obj),
    ]


def _decision(obj: Json) -> str:
    kinds = {text(one, "type") for one in entries(obj, "status", "conditions")}
    decided = (one for one in ("Denied", "Approved") if one in kinds)
    found = [next(decided, "Pending")]
    if "Failed" in kinds:
        found.append("Failed")
    if at(obj, "status", "certificate"):
        found.append("Issued")
    return ",".join(found)


CONFIG_MAPS = Printer(
    (NAME_COLUMN, column("Data", say.CONFIG_MAP_DATA), AGE_COLUMN), _config_map
)
SECRETS = Printer(
    (
        NAME_COLUMN,
        column("Type", say.SECRET_TYPE),
        column("Data", say.SECRET_DATA),
        AGE_COLUMN,
    ),
    _secret,
)
SERVICE_ACCOUNTS = Printer(
    (NAME_COLUMN, column("Secrets", say.SERVICE_ACCOUNT_SECRETS), AGE_COLUMN),
    _service_account,
)
NAMESPACES = Printer(
    (NAME_COLUMN, column("Status", "Whether it is going away."), AGE_COLUMN),
    _namespace,
)
RESOURCE_QUOTAS = Printer(
    (
        NAME_COLUMN,
        column("Request", "What pods ask for, of what they may ask for."),
        column("Limit", "What pods may use at most, of what is allowed."),
        AGE_COLUMN,
    ),
    _resource_quota,
)
BINDINGS = Printer(
    (
        NAME_COLUMN,
        column("Role", "The role that is given."),
        AGE_COLUMN,
        column("Users", "Users who get it.", wide=True),
        column("Groups", "Groups that get it.", wide=True),
        column("ServiceAccounts", "Service accounts that get it.", wide=True),
    ),
    _binding,
)
WEBHOOKS = Printer(
    (
        NAME_COLUMN,
        column("Webhooks", "How many webhooks it registers.", of_type="integer"),
        AGE_COLUMN,
    ),
    _webhooks,
)
CERTIFICATE_REQUESTS = Printer(
    (
        NAME_COLUMN,
        AGE_COLUMN,
        column("SignerName", "Who is asked to sign."),
        column("Requestor", "Who asked."),
        column("RequestedDuration", "How long the certificate is to be valid."),
        column("Condition", "What has been decided."),
    ),
    _certificate_request,
)
