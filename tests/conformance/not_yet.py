# SPDX-License-Identifier: Apache-2.0
"""Exchanges that the embedded server cannot answer yet, each with its reason.

A test fails as soon as one of them is answered as recorded: then its line goes.
"""

DISCOVERY = "serves fewer resources than a cluster, and no storageVersionHash"
OPENAPI = "has no OpenAPI documents"
PROTOBUF = "speaks JSON alone; protobuf is replayed (toono.testing.replay)"
CBOR = "speaks JSON alone; cbor is replayed (toono.testing.replay)"
TABLE = "makes no Tables"
CRDS = "puts a CRD's finalizer there at once, and gives conditions no reasons"
IDENTITY = "knows no callers: no tokens, rights or reviews"

NOT_YET: dict[str, str] = {
    "discovery-api-legacy": DISCOVERY,
    "discovery-apis-legacy": DISCOVERY,
    "discovery-api-aggregated": DISCOVERY,
    "discovery-apis-aggregated": DISCOVERY,
    "discovery-apis-aggregated-304": DISCOVERY,
    "discovery-core-v1": DISCOVERY,
    "discovery-group-version": DISCOVERY,
    "discovery-apiextensions": DISCOVERY,
    "discovery-protobuf": PROTOBUF,
    "openapi-v3-index": OPENAPI,
    "openapi-v3-crontabs": OPENAPI,
    "list-pods-protobuf": PROTOBUF,
    "list-pods-table": TABLE,
    "list-pods-partial-protobuf": PROTOBUF,
    "list-pods-cbor": CBOR,
    "list-pods-node-field": PROTOBUF,
    "list-pods-table-object": TABLE,
    "list-pods-table-none": TABLE,
    "list-nodes-protobuf": PROTOBUF,
    "list-services-protobuf": PROTOBUF,
    "list-services-table": TABLE,
    "list-endpointslices-protobuf": PROTOBUF,
    "list-endpointslices-table": TABLE,
    "list-crontabs-protobuf": PROTOBUF,
    "list-crontabs-table": TABLE,
    "list-crds-json": CRDS,
    "list-crds-protobuf": PROTOBUF,
    "list-crds-table": TABLE,
    "list-crds-partial": CRDS,
    "list-leases-protobuf": PROTOBUF,
    "list-leases-table": TABLE,
    "list-crontabs-cbor": CBOR,
    "list-secrets-forbidden": IDENTITY,
    "list-pods-unauthorized": IDENTITY,
    "list-pods-anonymous": IDENTITY,
    "get-pod-protobuf": PROTOBUF,
    "get-pod-table": TABLE,
    "get-pod-cbor": CBOR,
    "get-pod-404-protobuf": PROTOBUF,
    "get-node-protobuf": PROTOBUF,
    "get-lease-protobuf": PROTOBUF,
    "create-token": IDENTITY,
    "create-subjectaccessreview": IDENTITY,
    "create-selfsubjectaccessreview": IDENTITY,
    "create-selfsubjectreview": IDENTITY,
    "watch-pods-protobuf": PROTOBUF,
    "watch-pods-table": TABLE,
    "watch-pods-client-go": PROTOBUF,
    "watchlist-pods-protobuf": PROTOBUF,
    "watchlist-pods-cbor": CBOR,
    "watch-not-watchable": IDENTITY,
    "after-v2-discovery-apis-aggregated": DISCOVERY,
    "watch-rv-expired-protobuf": PROTOBUF,
}
