# SPDX-License-Identifier: Apache-2.0
"""What the hub says by itself: a whole object in the client's form, or why there is none.

It decides nothing; who calls has decided.
"""

from toono.codec.sent import FORMS, JSON, Values, write_sent
from toono.errors import CannotTranscodeError, CodecError, RequestError
from toono.identity.rights import Judgement, Verdict
from toono.kube import accept, status
from toono.kube.request import Call
from toono.pipeline import heads
from toono.wire.messages import Response


def reply(
    call: Call, code: int, values: Values, cache_status: tuple[bytes, bytes]
) -> Response:
    """Return an object in the form that the client takes."""
    form = accept.choose(call.accept, FORMS) or JSON
    try:
        content = write_sent(values, form)
    except CannotTranscodeError:
        form, content = JSON, write_sent(values, JSON)
    headers = [
        (b"Cache-Control", b"no-cache, private"),
        (b"Content-Type", form.encode()),
        heads.VIA,
        cache_status,
    ]
    return Response(status=code, headers=headers, content=content)


def cut_off(why: str) -> RequestError:
    """Return the 503 of what cannot be done while the node is cut off."""
    return status.refuse(status.unavailable(f"cut off: {why}"))


def unreadable(exc: CodecError) -> RequestError:
    """Return the 400 of a body that is not what it says it is."""
    return RequestError(400, "BadRequest", f"the body cannot be read: {exc}")


def not_allowed(call: Call, judgement: Judgement) -> RequestError:
    """Return the refusal that a caller hears offline: the code it would hear online."""
    match judgement.verdict:
        case Verdict.UNAUTHENTICATED:
            message = f"Unauthorized: {judgement.why}"
            return RequestError(401, "Unauthorized", message)
        case Verdict.FORBIDDEN:
            refused = status.forbidden(
                call.group,
                call.resource,
                call.name or call.pinned_name,
                user=judgement.user,
                verb=call.verb,
                namespace=call.namespace,
            )
            return status.refuse(refused)
        case _:
            return RequestError(503, "ServiceUnavailable", judgement.why)
