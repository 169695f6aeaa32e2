# SPDX-License-Identifier: Apache-2.0
"""Every exception that toono raises across a package border.

ToonoError
 +-- WireError                    bytes on a connection are not what HTTP allows
 |    +-- RejectedRequestError    a request must be refused (status, reason)
 |    +-- BadResponseError        an upstream answer breaks the protocol
 |    +-- BodyCutError            a body ended before its end
 |    +-- WireTimeoutError        nothing came within the time allowed
 +-- UpstreamError                no answer can be had from the API servers
 |    +-- UnreachableError        the link or the server is down (breaker agrees)
 |    |    +-- LinkLostError      it went down after the request was sent
 |    +-- UpstreamLimitError      our own limits on the upstream are reached
 +-- CodecError                   a payload is not what its media type says
 |    +-- CannotTranscodeError    an object has no exact form in another media type
 +-- RequestError                 a client asked for what the API forbids (Status 4xx)
 +-- StoreError
 |    +-- DamagedRowError         a row's checksum does not match
 |    +-- StoreFullError          the write queue is full; the batch was not taken
 |    +-- StoreUnavailableError   the store cannot be opened or used
 |         +-- StoreInUseError    another hub has the directory
 +-- CertificateError             a certificate, or what leads to one, is no good
 +-- OptionError                  a flag, variable or file holds what cannot be used

Each carries the values that explain it. Foreign exceptions are turned into these at
the border of the package that met them (`raise ... from exc`).
"""

from collections.abc import Mapping


class ToonoError(Exception):
    """Base of all errors that toono raises on purpose."""


class WireError(ToonoError):
    """Bytes on a connection are not what HTTP/1.1 allows, or not in time."""


class RejectedRequestError(WireError):
    """A request that must be refused before anything of it goes upstream."""

    def __init__(self, status: int, message: str, *, close: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.close = close


class BadResponseError(WireError):
    """An upstream answered with bytes that are no valid HTTP/1.1 answer."""


class BodyCutError(WireError):
    """A body ended before its length or its last chunk."""


class WireTimeoutError(WireError):
    """A peer sent nothing for longer than it may."""


class UpstreamError(ToonoError):
    """No answer can be had from the upstream."""


class UnreachableError(UpstreamError):
    """No API server can be reached: the link or the servers are down."""


class LinkLostError(UnreachableError):
    """The link went down while an answer was awaited: it may have been done."""


class UpstreamLimitError(UpstreamError):
    """A limit of ours on the upstream (connections a second) is reached."""


class CodecError(ToonoError):
    """A payload is not what its media type says it is."""


class CannotTranscodeError(CodecError):
    """An object has no form in another media type that keeps all of it."""

    def __init__(self, kind: str, api_version: str, reason: str) -> None:
        super().__init__(f"{api_version} {kind} cannot be transcoded: {reason}")
        self.kind = kind
        self.api_version = api_version
        self.reason = reason


class RequestError(ToonoError):
    """A request that the API server would refuse; becomes a Status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details


class StoreError(ToonoError):
    """A store could not do what was asked."""


class DamagedRowError(StoreError):
    """A row's checksum does not match its content."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"checksum of row {key!r} does not match")
        self.key = key


class StoreFullError(StoreError):
    """The write queue is full: the batch was not taken, nothing of it is kept."""


class StoreUnavailableError(StoreError):
    """The store cannot be opened or used; says which file and what to do."""


class StoreInUseError(StoreUnavailableError):
    """Another hub has the store's directory: two writers would ruin it."""


class CertificateError(ToonoError):
    """A certificate, or what leads to one, cannot be had or must not be believed."""


class OptionError(ToonoError):
    """A flag, variable or file holds what cannot be used."""

    def __init__(self, option: str, problem: str, remedy: str = "") -> None:
        super().__init__(f"{option}: {problem}" + (f" ({remedy})" if remedy else ""))
        self.option = option
        self.problem = problem
        self.remedy = remedy
