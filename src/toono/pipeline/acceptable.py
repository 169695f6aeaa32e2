# SPDX-License-Identifier: Apache-2.0
"""What an API server refuses by Accept alone, whatever it has: 406, in its words.

It knows two readers of that field. Built-in resources, and the documents of their
versions, have routes that a type must name; custom resources, /apis and OpenAPI are
behind handlers that understand `application/*` and `*` too. Seen of 1.34.
"""

from toono.codec import cbor
from toono.errors import RequestError
from toono.kube.accept import names_one_of
from toono.kube.kinds import built_in, has_group
from toono.kube.request import Call

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
TOLD = (JSON, YAML, PROTOBUF)
TYPES = frozenset({*TOLD, cbor.MEDIA_TYPE})
"""CBOR is not told of: an API server offers it behind a feature gate."""
STREAMS = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
NO_ROUTE = "406: Not Acceptable\n\nAvailable representations: "


def check_accept(call: Call) -> None:
    """Raise the 406 of a question whose Accept leads to no route."""
    forms = call.accept
    if not forms or forms[0].media_type in TYPES:
        return
    if call.path == "/version":
        told: tuple[str, ...] = (JSON,)
    elif _is_routed(call):
        told = TOLD + (STREAMS if call.verb in ("list", "watch") else ())
    else:
        return
    if not names_one_of(forms, TYPES):
        raise RequestError(406, "NotAcceptable", NO_ROUTE + ", ".join(told))


def _is_routed(call: Call) -> bool:
    if call.resource:
        return built_in(call.group, call.resource) is not None
    match call.path.strip("/").split("/"):
        case ["api"] | ["api", _]:
            return True
        case ["apis", group, _]:
            return has_group(group)
    return False
