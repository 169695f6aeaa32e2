# SPDX-License-Identifier: Apache-2.0
"""Exchanges that the embedded server cannot answer yet, each with its reason.

A test fails as soon as one of them is answered as recorded: then its line goes.
"""

OPENAPI = "tells fields and their types, not what they are for, nor options"

NOT_YET: dict[str, str] = {
    "openapi-v3-index": OPENAPI,
    "openapi-v3-crontabs": OPENAPI,
}
