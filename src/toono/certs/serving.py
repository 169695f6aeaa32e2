# SPDX-License-Identifier: Apache-2.0
"""The listener's side of certificates: each handshake gets the newest that can be used.

Connections that are open keep what they began with. What is wrong with a certificate
is said at the start, before a pod meets it; a later change that cannot be used leaves
the old one in place (`wire.tls`).
"""

import logging
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from toono.errors import OptionError
from toono.runtime.clock import Clock
from toono.wire.tls import Contexts, ServerFiles

if TYPE_CHECKING:
    from cryptography import x509

log = logging.getLogger(__name__)


def serving_context(files: ServerFiles, *, clock: Clock) -> ssl.SSLContext:
    """Return a context whose handshakes follow the files; OptionError where unusable."""
    try:
        contexts = Contexts(files, clock=clock)
        listening = Contexts(files, clock=clock).current()
    except (OSError, ssl.SSLError) as exc:
        named = f"{files.certificate} and {files.key}"
        raise OptionError(
            "--serving-cert-file",
            f"{named} cannot be used: {exc}",
            "give a certificate and its own key, as PEM",
        ) from exc

    def choose(tls: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        # Called in every handshake, with or without a server name (OpenSSL calls it
        # for pods too, which connect to an address and send none).
        tls.context = contexts.current()

    # A context holds its callback for ever, so it must not be one of those given out.
    listening.sni_callback = choose
    return listening


def warn_of_problems(files: ServerFiles, *, address: str, now: float) -> None:
    """Log what `check_serving` finds."""
    for problem in check_serving(files, address=address, now=now):
        log.warning("pods will not believe this hub", extra={"why": problem})


def check_serving(files: ServerFiles, *, address: str, now: float) -> list[str]:
    """Say what pods would find wrong with a serving certificate, in words.

    Pods believe the CA of kube-root-ca.crt alone, which is the node's for API servers
    too, and look for the address that they connect to in the certificate.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    certificate, ca = files.certificate, files.client_ca
    if ca is None:
        return []
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        authorities = x509.load_pem_x509_certificates(ca.read_bytes())
    except (OSError, ValueError) as exc:
        return [f"{certificate} or {ca} cannot be read: {exc}"]
    problems = []
    for authority in authorities:
        try:
            found.verify_directly_issued_by(authority)
            break
        except (ValueError, TypeError, InvalidSignature):
            continue
    else:
        problems.append(f"{certificate} is not signed by {ca}: no pod will believe it")
    moment = datetime.fromtimestamp(now, UTC)
    if moment >= found.not_valid_after_utc:
        problems.append(f"{certificate} ended at {found.not_valid_after_utc}")
    if moment < found.not_valid_before_utc:
        problems.append(f"{certificate} begins at {found.not_valid_before_utc}")
    if address not in names_of(found):
        problems.append(f"{certificate} is not for {address}")
    return problems


def names_of(certificate: "x509.Certificate") -> list[str]:
    """Return the addresses and DNS names that a certificate is for."""
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return []
    names = extension.value
    addresses = [str(one) for one in names.get_values_for_type(x509.IPAddress)]
    return addresses + names.get_values_for_type(x509.DNSName)
