# SPDX-License-Identifier: Apache-2.0
"""The end of a certificate is what a real library reads from it."""

import pytest
from cryptography import x509

from toono.certs.ends import ends_at
from toono.testing.certificates import Authority


@pytest.mark.parametrize("days", [1, 30, 365 * 60])
def test_the_end_is_what_the_certificate_says(days: int, tmp_path) -> None:
    pair = Authority(tmp_path).node("edge-1", days=days)
    content = pair.certificate.read_bytes()
    told = x509.load_pem_x509_certificate(content).not_valid_after_utc
    assert ends_at(pair.certificate) == told.timestamp()
    beside = tmp_path / "both.pem"
    beside.write_bytes(pair.key.read_bytes() + content)
    assert ends_at(beside) == told.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_has_no_end(text: str, tmp_path) -> None:
    path = tmp_path / "c.pem"
    path.write_text(text)
    assert ends_at(path) is None
    assert ends_at(tmp_path / "missing") is None
