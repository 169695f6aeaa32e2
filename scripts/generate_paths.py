# SPDX-License-Identifier: Apache-2.0
"""Write src/toono/codec/paths.py: where protobuf keeps what field selectors name.

python scripts/generate_paths.py ../shared/wire/protobuf-fields.json
"""

import json
import sys
from pathlib import Path

# What the API server's field selectors can name, by kind (pkg/apis/*/v1/conversion.go
# of Kubernetes; metadata.name and metadata.namespace hold for every kind).
PATHS = {
    "v1/Pod": [
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ],
    "v1/Node": ["spec.unschedulable"],
    "v1/Namespace": ["status.phase"],
    "v1/Service": ["spec.clusterIP", "spec.type"],
    "v1/Secret": ["type"],
    "v1/ReplicationController": ["status.replicas"],
    "v1/Event": [
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "type",
    ],
    "apps/v1/ReplicaSet": ["status.replicas"],
    "batch/v1/Job": ["status.succeeded"],
    "certificates.k8s.io/v1/CertificateSigningRequest": ["spec.signerName"],
}


def numbers(messages: dict, message: str, path: str) -> tuple[list[int], str]:
    """Return the field numbers along a path, and the scalar type at its end."""
    found = []
    for step in path.split("."):
        for number, name, kind, flags, *_ in messages[message]:
            if name == step and "r" not in flags:
                found.append(number)
                message = kind
                break
        else:
            raise SystemExit(f"{path}: no {step} in {message}")
    return found, message


def main() -> None:
    fields = json.loads(Path(sys.argv[1]).read_text())
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        '"""Where protobuf keeps what field selectors name: made by',
        "`scripts/generate_paths.py`, do not edit. (apiVersion/kind, path) → (field",
        'numbers, scalar type)."""',
        "",
        "PATHS: dict[tuple[str, str, str], tuple[tuple[int, ...], str]] = {",
    ]
    for kind, paths in PATHS.items():
        version, _, name = kind.rpartition("/")
        for path in paths:
            along, scalar = numbers(fields["messages"], fields["kinds"][kind], path)
            steps = ", ".join(map(str, along)) + ("," if len(along) == 1 else "")
            lines.append(
                f'    ("{version}", "{name}", "{path}"): (({steps}), "{scalar}"),'
            )
    lines += ["}", ""]
    target = Path(__file__).parent.parent / "src/toono/codec/paths.py"
    target.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
